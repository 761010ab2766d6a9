"""Labels drawn from scores, and the three estimators of how a reward moves the scores."""

import math

import pytest
import torch
from torch import Tensor

from novelette.classify.concrete import Drawn, draw, log_q
from novelette.classify.game import persuasion
from novelette.classify.losses import log_made

SCORES = torch.tensor([[0.3, -1.0, 0.8]], dtype=torch.float64)
G = torch.tensor([[1.0, -0.5, -2.0]], dtype=torch.float64)


def exact(scores: Tensor, g: Tensor) -> Tensor:
    """The gradient of Σ_z p_z log(1 - σ(g_z)) with respect to the scores, by hand: p_k (r_k - Σ_z p_z r_z)."""
    p, r = torch.softmax(scores, -1), torch.log(1 - torch.sigmoid(g))
    return p * (r - (p * r).sum(-1, keepdim=True))


def estimated(estimator: str, temperature: float, samples: int = 200_000) -> tuple[Tensor, Tensor]:
    """Mean of the estimator's gradient over draws, and its standard error, (1, 3) each."""
    torch.manual_seed(0)
    many = SCORES.expand(samples, -1).clone().requires_grad_()
    persuasion(many, G.expand(samples, -1), temperature=temperature, samples=1, estimator=estimator, baseline=False).sum().backward()
    return many.grad.mean(0, keepdim=True), many.grad.std(0, keepdim=True) / math.sqrt(samples)


def test_labels_are_drawn_as_often_as_the_softmax_says():
    torch.manual_seed(0)
    drawn = draw(SCORES, 100_000)
    often = torch.bincount(drawn.z[:, 0], minlength=3) / 100_000
    assert torch.allclose(often.double(), torch.softmax(SCORES, -1)[0], atol=0.005)  # three standard errors of 100,000 draws


def test_log_q_by_hand():
    # log p of scores (0, log 3) is (log ¼, log ¾). With g = (log 3, 0) both become log ¾: y = (½, ½) at any temperature.
    scores, drawn = torch.tensor([[0.0, math.log(3)]]), Drawn(torch.tensor([[[math.log(3), 0.0]]]), torch.tensor([[1]]))
    assert log_q(scores, drawn, 0.5, "concrete").item() == pytest.approx(math.log(0.5))
    assert log_q(scores, drawn, 0.5, "categorical").item() == pytest.approx(math.log(0.75))
    # density at y = (½, ½), τ = ½: 1! · ½ · Π p_k y_k^-1.5 / (Σ p_k y_k^-0.5)² = ½ · ¼ · ¾ · 2³ / 2 = 0.375
    assert log_q(scores, drawn, 0.5, "density").item() == pytest.approx(math.log(0.375))


def test_the_concrete_density_integrates_to_one():
    # with two labels y = (u, 1 - u): a sum over a fine grid of u
    u = torch.linspace(0.00005, 0.99995, 10_000, dtype=torch.float64)
    log_p, tau = torch.log_softmax(torch.tensor([[0.4, -0.3]], dtype=torch.float64), -1), 0.7
    y = torch.stack([u, 1 - u], -1)[:, None]
    drawn = Drawn(tau * y.log() - log_p, torch.zeros(len(u), 1, dtype=torch.long))  # the noise that gives this y
    assert log_q(log_p, drawn, tau, "density").exp().mean().item() == pytest.approx(1, abs=2e-3)  # the grid leaves out both ends


@pytest.mark.parametrize("estimator", ["categorical", "density"])
def test_estimators_without_bias(estimator):
    mean, error = estimated(estimator, 0.5)
    assert ((mean - exact(SCORES, G)).abs() < 4 * error).all()


def test_the_concrete_estimator_is_biased_and_has_less_spread():
    mean, error = estimated("concrete", 1.0)
    assert ((mean - exact(SCORES, G)).abs() > 4 * error).any()
    assert torch.cosine_similarity(mean, exact(SCORES, G)).item() > 0.95  # it points about where the true gradient does
    assert (error < estimated("categorical", 1.0)[1]).all()
    assert (estimated("concrete", 10.0)[1] < error).all()


def test_a_reward_that_is_the_same_for_all_labels_sharpens_by_the_concrete_estimator_alone():
    """Its log q has a mean gradient: every label is rewarded for having been drawn, the likeliest most. The others' is 0."""
    torch.manual_seed(0)
    n = 200_000
    for estimator, moves in (("concrete", True), ("categorical", False), ("density", False)):
        many = SCORES.expand(n, -1).clone().requires_grad_()
        persuasion(
            many, torch.zeros(n, 3, dtype=torch.float64), temperature=1.0, samples=1, estimator=estimator, baseline=False
        ).sum().backward()
        down, error = -many.grad.mean(0), many.grad.std(0) / math.sqrt(n)
        assert bool((down.abs() > 4 * error).any()) is moves, estimator
        if moves:
            assert down.argmax() == SCORES.argmax()


def test_cold_concrete_gradient_of_two_labels_is_log_2_of_the_true_one():
    torch.manual_seed(0)
    n = 400_000
    scores = torch.zeros(n, 2, dtype=torch.float64, requires_grad=True)
    g = torch.tensor([[1.0, -1.0]], dtype=torch.float64).expand(n, -1)
    persuasion(scores, g, temperature=0.05, samples=1, estimator="concrete", baseline=False).sum().backward()
    ratio = scores.grad.mean(0)[0] / exact(torch.zeros(1, 2, dtype=torch.float64), g[:1])[0, 0]
    assert ratio.item() == pytest.approx(math.log(2), abs=0.03)  # few draws lie near the border of the two labels


@pytest.mark.parametrize("estimator", ["concrete", "categorical", "density"])
def test_less_the_mean_of_the_other_draws_a_reward_that_is_the_same_for_all_labels_moves_nothing(estimator):
    many = SCORES.expand(100, -1).clone().requires_grad_()
    persuasion(many, torch.zeros(100, 3), temperature=0.5, samples=4, estimator=estimator, baseline=True).sum().backward()
    assert many.grad.abs().max() < 1e-7


def test_the_baseline_leaves_the_mean_gradient_of_plain_draws_as_it_is_and_narrows_it():
    torch.manual_seed(0)
    n, g, spread = 100_000, 3 - G, {}  # rewards far from 0
    for baseline in (False, True):
        many = SCORES.expand(n, -1).clone().requires_grad_()
        given = {"temperature": 1.0, "samples": 4, "estimator": "categorical", "baseline": baseline}
        persuasion(many, g.expand(n, -1), **given).sum().backward()
        spread[baseline] = many.grad.std(0)
        assert ((many.grad.mean(0) - exact(SCORES, g)[0]).abs() < 4 * spread[baseline] / math.sqrt(n)).all()
    assert (spread[True] < spread[False]).all()


def test_the_baseline_in_plain_loops():
    scores, g = SCORES.float().expand(2, -1), torch.tensor([[1.0, -0.5, -2.0], [0.3, 2.0, 0.0]])
    torch.manual_seed(1)
    got = persuasion(scores, g, temperature=1.0, samples=3, estimator="categorical", baseline=True)
    torch.manual_seed(1)
    z, log_p = draw(scores, 3).z, torch.log_softmax(scores, -1)
    for n in range(2):
        r = [math.log(1 - torch.sigmoid(g[n, z[s, n]]).item()) for s in range(3)]
        terms = [log_p[n, z[s, n]].item() * (r[s] - sum(r[o] for o in range(3) if o != s) / 2) for s in range(3)]
        assert got[n].item() == pytest.approx(sum(terms) / 3, abs=1e-5)


def test_no_gradient_reaches_the_discriminator():
    scores, g = SCORES.clone().requires_grad_(), G.clone().requires_grad_()
    persuasion(scores, g, temperature=0.5, samples=3, estimator="concrete", baseline=False).sum().backward()
    assert g.grad is None
    assert scores.grad is not None


def test_persuasion_averages_over_draws_in_plain_loops():
    torch.manual_seed(3)
    scores, g = torch.randn(4, 3), torch.randn(4, 3)
    torch.manual_seed(1)
    got = persuasion(scores, g, temperature=0.7, samples=5, estimator="concrete", baseline=False)
    torch.manual_seed(1)
    drawn = draw(scores, 5)
    for n in range(4):
        total = 0.0
        for s in range(5):
            y = torch.softmax((torch.log_softmax(scores[n], 0) + drawn.g[s, n]) / 0.7, 0)
            z = int(y.argmax())
            total += float(torch.log(y[z]) * torch.log(1 - torch.sigmoid(g[n, z])))
        assert got[n].item() == pytest.approx(total / 5, rel=1e-4)
    assert log_made(g, drawn.z).shape == (5, 4)
