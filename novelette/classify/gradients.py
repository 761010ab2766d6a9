"""How far the gradients of KDGAN's classifier lie apart, its teacher's and its discriminator's (Figure 7, Eqs. 6 and 7)."""

import copy
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from novelette.bench.cells import Record, markdown
from novelette.bench.figures import Line, Lines
from novelette.bench.sections import Section
from novelette.classify.algorithm import Game
from novelette.classify.concrete import Estimator
from novelette.classify.game import Sights, persuasion
from novelette.classify.losses import distillation
from novelette.words import counted

See = Callable[[int], dict[str, Any]]  # in an epoch of the game

DISTILLATION, MIXED = "distillation", ", mixed with distillation"
ADVERSARIAL: dict[str, tuple[Estimator, bool]] = {  # by name: the estimator, and whether rewards have a baseline
    "Gumbel-Max": ("concrete", True),
    "plain draws": ("categorical", True),
    "Gumbel-Max, rewards as they are": ("concrete", False),
    "plain draws, rewards as they are": ("categorical", False),
}


class Spread:
    """Of draws of a gradient, one after another (Welford's sums): how far they lie apart, and how long their mean is."""

    def __init__(self) -> None:
        self.n = 0
        self.mean = self.apart = torch.zeros((), dtype=torch.float64)

    def add(self, gradient: Tensor) -> None:
        """Another draw, (W,)."""
        self.n += 1
        far = gradient.double() - self.mean
        self.mean = self.mean + far / self.n
        self.apart = self.apart + far * (gradient - self.mean)

    def figures(self) -> dict[str, float]:
        """`variance`, summed over weights; `squared_norm` of the mean, without what the spread of so few draws adds to it, 0 at least."""
        variance = float(self.apart.sum() / (self.n - 1))
        return {"variance": variance, "squared_norm": max(float(self.mean.square().sum()) - variance / self.n, 0.0)}


def look(nets: Sequence[nn.Module], x: Tensor, a: Game, batch_size: int, tau: float, draws: int) -> dict[str, dict[str, float]]:
    """The spread of C's gradient of each loss over batches, dropout and labels, at players that stand still.

        ∇_c U = λ ∇_c L_AD + (1 - λ) ∇_c L_DS,   λ = α / (α + β)                                                  (Eq. 6)

    Args: nets: c, t and d, in training; of each a copy is looked at, since BatchNorm averages what it sees.
        x: all that they are shown in training, (N, ...).
    Returns: figures of L_DS, of L_AD by each estimator, and of both together, by name.
    """
    c, t, d = (copy.deepcopy(net) for net in nets)
    weights, part = list(c.parameters()), a.alpha / (a.alpha + a.beta)
    with torch.no_grad():
        f, g = t.eval()(x), d.eval()(x)
    found = {name: Spread() for name in (DISTILLATION, *ADVERSARIAL, *(name + MIXED for name in ADVERSARIAL))}
    for _ in range(draws):
        i = torch.randperm(len(x), device=x.device)[:batch_size]
        h = c(x[i])
        distilled = _gradient(distillation(h, f[i], a.distance), weights)
        found[DISTILLATION].add(distilled)
        for name, (estimator, baseline) in ADVERSARIAL.items():
            l = persuasion(h, g[i], temperature=tau, samples=a.samples, estimator=estimator, baseline=baseline)
            adversarial = _gradient(l, weights)
            found[name].add(adversarial)
            found[name + MIXED].add(part * adversarial + (1 - part) * distilled)
    return {name: spread.figures() for name, spread in found.items()}


def _gradient(l: Tensor, weights: Sequence[Tensor]) -> Tensor:
    return torch.cat([gradient.flatten() for gradient in torch.autograd.grad(l.mean(), weights, retain_graph=True)])


class Looking:
    """What players are shown, and a look at the players before the first move of some epochs; their random numbers are left as they were.

    Attributes: looks: what was seen, in order.
    """

    def __init__(self, sights: Sights, pretraining: int, epochs: Collection[int], see: See) -> None:
        """Args: pretraining: its epochs, which `at` counts too.   epochs: of the game, from 0, that `see` is to look in."""
        self.sights, self.pretraining, self.see = sights, pretraining, see
        self.looks = list[dict[str, Any]]()
        self._left = set(epochs)

    @property
    def device(self) -> torch.device:
        return self.sights.device

    def at(self, epoch: int, index: Tensor) -> Tensor:
        """Those of `index`, (B,) int64, as they are in an epoch: (B, ...)."""
        if (now := epoch - self.pretraining) in self._left:
            self._left.remove(now)
            with torch.random.fork_rng():
                self.looks.append({"epoch": now} | self.see(now))
        return self.sights.at(epoch, index)

    def all(self, epoch: int) -> list[Tensor]:
        """All of them in an epoch, in order, in chunks."""
        return self.sights.all(epoch)


def section(runs: Sequence[Record], of: str) -> Section:
    """What looks at several runs saw: a table, a plot, and how often Eq. 7's condition and its conclusion hold.

    Args: runs: each with `looks`, which have an epoch and `gradients` as of `look`, and with `draws` and `config`.   of: what was trained.
    """
    epochs = [seen["epoch"] for seen in runs[0]["looks"]]
    panels: dict[str, list[Line]] = {"variance, log10": [], "over the mean's squared length, log10": []}
    table = []
    for name in runs[0]["looks"][0]["gradients"]:
        variance, norm = (
            np.array([[seen["gradients"][name][figure] for seen in run["looks"]] for run in runs])
            for figure in ("variance", "squared_norm")
        )
        ratios = [_ratio(variance[:, at], norm[:, at]) for at in (0, -1)]
        table.append([name, *(f"{variance[:, at].mean():.3g}" for at in (0, -1)), *ratios])
        if MIXED not in name:
            with np.errstate(divide="ignore", invalid="ignore"):
                relative = variance / norm
            colour = len(panels["variance, log10"])
            for lines, values in zip(panels.values(), (variance, relative), strict=True):
                lines.append(_banded(name, epochs, values, colour))
    text = (
        f"Gradients of the classifier's losses in {counted(len(runs), 'run')} of KDGAN on {of}, at {len(epochs)} epochs of each, over "
        f"{runs[0]['draws']} batches with dropout and labels drawn anew, all players standing still. Variances are sums over weights. The "
        "lengths of the mean gradients are different for each loss, and that of Gumbel-Max grows with 1/τ, so the variance stands over the "
        "mean's squared length too; `-` where so many draws do not tell that length from 0."
    )
    heads = ["gradient", "variance, first epoch", "last", "over the mean's squared length, first epoch", "last"]
    alt = "Variance of the classifier's gradients by epoch of the game; bands are standard deviations over runs"
    lemma = markdown(["adversarial gradient", "Var(L_DS) ≤ Var(L_AD)", "Var(U) ≤ Var(V)", "looks"], _lemma(runs))
    alpha, beta = (runs[0]["config"][name] for name in ("alpha", "beta"))
    after = (
        "Lemma 4.3: where the distillation loss's gradient varies no more than the adversarial one (Eq. 7's condition), neither does λ of "
        f"this and 1 - λ of that (Eq. 6), here λ = α / (α + β) = {alpha / (alpha + beta):.3g}. At how many of the looks each holds; V is "
        "NaGAN's value, whose gradient is the adversarial one alone."
    )
    return Section(
        "Variance of gradients",
        f"{text}\n\n{markdown(heads, table)}\n\n{after}\n\n{lemma}",
        (Lines("variance", alt, panels, "epoch of the game", ""),),
    )


def _ratio(variance: np.ndarray, norm: np.ndarray) -> str:
    return f"{np.mean(variance / norm):.3g}" if (norm > 0).all() else "-"


def _banded(label: str, epochs: Sequence[int], values: np.ndarray, colour: int) -> Line:
    """log10 of values (runs, epochs), of the epochs at which all have one: means with their standard deviations."""
    finite = (np.isfinite(values) & (values > 0)).all(0)
    logs = np.log10(values[:, finite])
    spread = logs.std(0, ddof=1) if len(logs) > 1 else np.zeros(logs.shape[1])
    return Line(label, [e for e, kept in zip(epochs, finite, strict=True) if kept], logs.mean(0).tolist(), colour, spread=spread.tolist())


def _lemma(runs: Sequence[Record]) -> list[list[str]]:
    looks = [seen["gradients"] for run in runs for seen in run["looks"]]
    rows = []
    for name in ADVERSARIAL:
        condition = [seen[DISTILLATION]["variance"] <= seen[name]["variance"] for seen in looks]
        conclusion = [seen[name + MIXED]["variance"] <= seen[name]["variance"] for seen in looks]
        rows.append([name, str(sum(condition)), str(sum(conclusion)), str(len(looks))])
    return rows
