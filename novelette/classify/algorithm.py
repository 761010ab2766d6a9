"""Algorithm 1 of the KDGAN paper and its two-player form, for whatever the players see and wherever true labels come from."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from novelette.classify.concrete import Estimator
from novelette.classify.game import Player, Sights, Turns, classification, detection, discrimination, moves, persuasion, play
from novelette.classify.losses import Distance, distillation
from novelette.training import Run

Truth = Callable[[Tensor], Tensor]  # of the pictures of these indices (B,) a true label each, y ~ p_u, (B,)


class Duel(Protocol):
    """Settings of a game with a discriminator: labels drawn for a picture, ε of the discriminator's, how rewards move scores, τ at first
    and at last, and whether Adam forgets pretraining."""

    @property
    def samples(self) -> int: ...
    @property
    def explore(self) -> float: ...
    @property
    def estimator(self) -> Estimator: ...
    @property
    def baseline(self) -> bool: ...
    @property
    def temperature(self) -> float: ...
    @property
    def last_temperature(self) -> float: ...
    @property
    def forget(self) -> bool: ...


class Game(Duel, Protocol):
    """Settings of a game with a teacher as well: Eq. 3's α, β and γ, what L_DS is, and whether C goes on learning from labels."""

    @property
    def alpha(self) -> float: ...
    @property
    def beta(self) -> float: ...
    @property
    def gamma(self) -> float: ...
    @property
    def distance(self) -> Distance: ...
    @property
    def label_weight(self) -> float: ...


def kdgan(c: Player, t: Player, d: Player, sights: Sights, truth: Truth, turns: Turns, a: Game, run: Run, *, seed: int) -> None:
    """Train classifier, teacher and discriminator: min_{c,t} max_d U(c, t, d) (Eq. 3)."""
    playing = {"c": c, "t": t, "d": d}
    for step, (who, epoch, taken) in moves(run, playing, turns, forget=a.forget, seed=seed):
        i = torch.from_numpy(taken).to(sights.device)
        x, y, now = sights.at(epoch, i), truth(i), (sights, epoch, i)
        tau = turns.temperature(epoch, a.temperature, a.last_temperature)
        adversarial = partial(persuasion, temperature=tau, samples=a.samples, estimator=a.estimator, baseline=a.baseline)
        if who == "all":  # l. 1
            l = {"c": classification(c(x), y), "t": classification(t(x), y), "d": discrimination(d(x), y)}
        elif who == "d":  # l. 3-6
            l = {"d": detection(d(x), y, [(a.alpha, c.still(*now)), (1 - a.alpha, t.still(*now))], a.samples, a.explore)}
        elif who == "t":  # l. 7-9
            f = t(x)
            l = {"t": (1 - a.alpha) * adversarial(f, d.still(*now)) + a.gamma * distillation(f, c.still(*now), a.distance)}
        else:  # l. 10-12
            h = c(x)
            l = {"c": a.alpha * adversarial(h, d.still(*now)) + a.beta * distillation(h, t.still(*now), a.distance)}
            l["c"] = l["c"] + a.label_weight * classification(h, y)  # the authors' code alone
        play(playing, l, run, step)


def nagan(c: Player, d: Player, sights: Sights, truth: Truth, turns: Turns, a: Duel, run: Run, *, seed: int) -> None:
    """Train classifier and discriminator: min_c max_d V(c, d) (Eq. 1)."""
    playing = {"c": c, "d": d}
    for step, (who, epoch, taken) in moves(run, playing, turns, forget=a.forget, seed=seed):
        i = torch.from_numpy(taken).to(sights.device)
        x, y, now = sights.at(epoch, i), truth(i), (sights, epoch, i)
        tau = turns.temperature(epoch, a.temperature, a.last_temperature)
        adversarial = partial(persuasion, temperature=tau, samples=a.samples, estimator=a.estimator, baseline=a.baseline)
        if who == "all":
            l = {"c": classification(c(x), y), "d": discrimination(d(x), y)}
        elif who == "d":
            l = {"d": detection(d(x), y, [(1.0, c.still(*now))], a.samples, a.explore)}
        else:
            l = {"c": adversarial(c(x), d.still(*now))}
        play(playing, l, run, step)


def plain(c: Player, sights: Sights, truth: Truth, turns: Turns, run: Run, *, seed: int) -> None:
    """Train a classifier alone, by true labels: cross-entropy."""
    playing = {"c": c}
    for step, (_, epoch, taken) in moves(run, playing, turns, forget=False, seed=seed):
        i = torch.from_numpy(taken).to(sights.device)
        play(playing, {"c": classification(c(sights.at(epoch, i)), truth(i))}, run, step)
