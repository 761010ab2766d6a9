"""The games themselves, played by tables: what each player goes down, and that they end where p_c = p_t = p_u (Theorem 4.2)."""

import math

import pytest
import torch
from torch import Tensor, nn

from novelette.classify import algorithm, kdgan, nagan
from novelette.classify.game import Player, Turns, detection, persuasion
from novelette.classify.gradients import Looking
from novelette.classify.losses import value
from novelette.training import Run

P_U = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
MANY = 32  # pictures, of two kinds by turns
ALPHA = 0.3


class Table(nn.Module):
    """A player that is a table of scores: a row for each kind of picture."""

    def __init__(self, scores: Tensor) -> None:
        super().__init__()
        self.scores = nn.Parameter(scores.clone())

    def forward(self, i: Tensor) -> Tensor:
        """Numbers of pictures, (B,), to scores (B, 3)."""
        return self.scores[i % len(self.scores)]


class Numbers:
    """Pictures are shown as their numbers."""

    device = torch.device("cpu")

    def at(self, epoch: int, index: Tensor) -> Tensor:
        return index

    def all(self, epoch: int) -> list[Tensor]:
        return [torch.arange(MANY)]


def truth(i: Tensor) -> Tensor:
    return torch.multinomial(P_U[i % 2], 1)[:, 0]


def ended(game, rounds=120, **changed):
    """p_c, p_t (of kdgan) and p_d, (2, 3) each: means over the last half of a game from nothing, in which they go round their end."""
    own = {"passes_t": 1, "alpha": ALPHA, "beta": 0.1, "gamma": 0.1, "distance": "kl"} if game is kdgan else {}
    every = {"batch_size": MANY, "pretraining": 0, "epochs": rounds, "passes_d": 2, "passes_c": 1, "samples": 32, "explore": 0.0}
    a = game.Config(**every | own | changed)
    playing = [Player(Table(torch.zeros(2, 3)), 0.08) for _ in range(3 if game is kdgan else 2)]

    def probabilities(epoch: int) -> dict[str, Tensor]:
        *drawing, judging = (p.net.scores.detach() for p in playing)
        return {"p": torch.stack([*(scores.softmax(1) for scores in drawing), judging.sigmoid()])}

    looking = Looking(Numbers(), 0, range(rounds // 2, rounds), probabilities)
    (algorithm.kdgan if game is kdgan else algorithm.nagan)(*playing, looking, truth, Turns(MANY, a, 0), a, Run(), seed=0)
    return torch.stack([seen["p"] for seen in looking.looks]).mean(0)


@pytest.mark.parametrize("game", [kdgan, nagan], ids=["kdgan", "nagan"])
@pytest.mark.parametrize(("estimator", "baseline"), [("categorical", False), ("categorical", True), ("concrete", True)])
def test_the_classifier_learns_the_truth(game, estimator, baseline):
    assert torch.allclose(ended(game, estimator=estimator, baseline=baseline)[0], P_U, atol=0.06)  # of so short a game


@pytest.mark.parametrize("distance", ["kl", "l2"])
def test_all_three_players_go_to_the_equilibrium_whose_value_is_minus_log_4(distance):
    p_c, p_t, p_d = ended(kdgan, estimator="categorical", distance=distance)
    half = torch.full_like(P_U, 0.5)
    assert torch.allclose(p_c, P_U, atol=0.06)
    assert torch.allclose(p_t, P_U, atol=0.06)
    assert torch.allclose(p_d, half, atol=0.06)
    assert torch.allclose(value(P_U, p_c, p_t, p_d, alpha=ALPHA), torch.full((2,), -math.log(4)), atol=0.02)


def test_a_discriminator_that_explores_moves_the_equilibrium_by_little_and_as_the_value_says():
    p_c, p_d = ended(nagan, explore=0.4)
    assert torch.allclose(p_c[0], (P_U[0] - 0.4 / 3) / 0.6, atol=0.06)  # of labels that are less likely than 0.4 / 3 none is drawn
    assert torch.allclose(p_d[0], torch.full((3,), 0.5), atol=0.06)


def test_gumbel_max_with_rewards_as_they_are_ends_too_certain_and_collapses_where_tau_does_not_fall():
    falling, held = (ended(kdgan, estimator="concrete", baseline=False, last_temperature=last)[0] for last in (0.1, 1.0))
    certain = falling.amax(1) - P_U.amax(1)
    assert (certain > 0.03).all()
    assert (certain < 0.2).all()
    assert (held.amax(1) > 0.95).all()
    assert (held.argmax(1) == P_U.argmax(1)).all()


H, F, G = torch.tensor([[0.3, -1.0, 0.8]]), torch.tensor([[-0.4, 0.2, 1.5]]), torch.tensor([[1.0, -0.5, -2.0]])
EXPLORE = 0.3
ONE_ROUND = {"batch_size": MANY, "epochs": 1, "passes_d": 1, "passes_c": 1, "samples": 4, "explore": EXPLORE}
DRAWS = {"temperature": 1.0, "samples": 4, "estimator": "categorical", "baseline": True}


def losses(monkeypatch, game, a):
    """What each player goes down in a game of one round, all labels being 1: (B,) by name, and torch's state before its draws."""
    seen, states = {}, []

    def label(i: Tensor) -> Tensor:
        states.append(torch.get_rng_state())
        return torch.ones_like(i)

    def noted(playing, l, run, step):
        seen.update({name: (own.detach(), states[-1]) for name, own in l.items()})

    monkeypatch.setattr(algorithm, "play", noted)
    playing = [Player(Table(scores), 1e-3) for scores in ((H, F, G) if game is kdgan else (H, G))]
    (algorithm.kdgan if game is kdgan else algorithm.nagan)(*playing, Numbers(), label, Turns(MANY, a, 0), a, Run(), seed=0)
    return seen


def again(state: Tensor, work, *scores, **given):
    """The same with the same draws, of scores (1, 3) of all pictures."""
    torch.set_rng_state(state)
    return work(*(one.expand(MANY, -1) for one in scores), **given)


def detected(g: Tensor, *made: Tensor, weights: tuple[float, ...]) -> Tensor:
    return detection(g, torch.ones(MANY, dtype=torch.long), list(zip(weights, made, strict=True)), 4, EXPLORE)


def test_kdgans_losses_by_hand(monkeypatch):
    weights = {"alpha": 0.2, "beta": 3.0, "gamma": 5.0, "label_weight": 7.0}
    l = losses(monkeypatch, kdgan, kdgan.Config(**ONE_ROUND, **weights, pretraining=0, passes_t=1, estimator="categorical"))
    apart = (0.7**2 + 1.2**2 + 0.7**2) / 2  # ½ ‖h - f‖²
    entropy = 1.0 + math.log(math.exp(0.3) + math.exp(-1.0) + math.exp(0.8))  # -log p_c of label 1, whose score is -1
    assert torch.allclose(l["d"][0], again(l["d"][1], detected, G, H, F, weights=(0.2, 0.8)))
    assert torch.allclose(l["t"][0], 0.8 * again(l["t"][1], persuasion, F, G, **DRAWS) + 5 * apart, atol=1e-5)
    assert torch.allclose(l["c"][0], 0.2 * again(l["c"][1], persuasion, H, G, **DRAWS) + 3 * apart + 7 * entropy, atol=1e-5)


def test_nagans_losses_by_hand(monkeypatch):
    l = losses(monkeypatch, nagan, nagan.Config(**ONE_ROUND, pretraining=0))
    assert torch.allclose(l["d"][0], again(l["d"][1], detected, G, H, weights=(1.0,)))
    assert torch.allclose(l["c"][0], again(l["c"][1], persuasion, H, G, **DRAWS))


def test_in_pretraining_each_goes_down_its_own_loss_of_labels(monkeypatch):
    monkeypatch.setattr(Turns, "__len__", lambda turns: 1)  # the game itself is left out
    l = losses(monkeypatch, kdgan, kdgan.Config(**ONE_ROUND, pretraining=1, passes_t=1))
    assert l["c"][0][0].item() == pytest.approx(-float(H.log_softmax(1)[0, 1]), rel=1e-5)
    assert l["t"][0][0].item() == pytest.approx(-float(F.log_softmax(1)[0, 1]), rel=1e-5)
    p = torch.sigmoid(G)[0]
    assert l["d"][0][0].item() == pytest.approx(-float(p[1].log() + ((1 - p[0]).log() + (1 - p[2]).log()) / 2), rel=1e-5)
