"""Losses and rates by hand, and what they promise."""

import math

import pytest
import torch

from novelette.adversarial.remedies import MOST, curator_loss, forger_loss, minus_log, rates

AT_REST = (2 * math.log(2), math.log(2))  # L_C and L_F where D = ½


def logit(p):
    return torch.tensor([math.log(p / (1 - p))])


@pytest.mark.parametrize("bound", [0.0, 0.01, 0.2])
@pytest.mark.parametrize(("p", "q"), [(0.5, 0.5), (0.9, 0.2), (0.01, 0.999)])
def test_the_losses_are_the_reports_by_hand(p, q, bound):
    kept = lambda value: (1 - 2 * bound) * value + bound  # noqa: E731
    curator = -math.log(kept(p)) - math.log(1 - kept(q))
    assert curator_loss(logit(p), logit(q), bound).item() == pytest.approx(curator, rel=1e-5)
    assert forger_loss(logit(q), bound).item() == pytest.approx(-math.log(kept(q)), rel=1e-5)


@pytest.mark.parametrize("y", [-1e6, -100.0, 100.0, 1e6])
def test_however_sure_d_is_no_loss_is_nan_and_a_bounded_one_is_bounded(y):
    logits = torch.tensor([y], requires_grad=True)
    for bound in (0.0, 0.01):
        loss = curator_loss(logits, logits, bound)
        loss.sum().backward()
        assert torch.isfinite(loss).all()
        assert torch.isfinite(logits.grad).all()
    assert minus_log(logits, 0.01).item() <= -math.log(0.01) + 1e-6


def test_a_bounded_probability_is_never_1_where_the_reports_is():
    reports = (1 - 0.01) * torch.tensor([100.0]).sigmoid() + 0.01
    assert torch.isinf(torch.log(1 - reports))
    assert torch.isfinite(minus_log(torch.tensor([-100.0]), 0.01))


def test_the_best_d_against_a_fixed_source_is_the_share_of_the_data():
    """Where data has density p and novelties q, -p log D - q log(1 - D) is least at D = p / (p + q): noise-contrastive estimation."""
    p, q = 0.3, 0.1
    d = torch.linspace(0.01, 0.99, 99)
    y = (d / (1 - d)).log()
    assert d[(p * minus_log(y, 0.0) + q * minus_log(-y, 0.0)).argmin()].item() == pytest.approx(p / (p + q), abs=0.01)


@pytest.mark.parametrize("control", ["none", "linear", "exponential", "lotka-volterra"])
def test_every_control_leaves_the_rates_alone_at_a_half(control):
    assert rates(control, *AT_REST) == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize(
    ("control", "c", "f", "expected"),
    [
        ("none", 5.0, 0.1, (1, 1)),
        ("linear", 0.5, 3.0, (0.5, 3)),
        ("exponential", 0.5, 3.0, (math.exp(-0.5), math.exp(2))),
        ("lotka-volterra", 0.5, 1.5, (0.5 * 0.5, 1.5 * 1.5)),
        ("lotka-volterra", 0.5, 3.0, (0, 3 * 1.5)),  # G is far behind: D waits
        ("lotka-volterra", 2.5, 0.5, (2.5 * 1.5, 0)),
        ("linear", 1e3, 0.0, (MOST, 0)),
        ("exponential", 1e9, 0.0, (MOST, math.exp(-1))),
    ],
)
def test_rates_by_hand(control, c, f, expected):
    assert rates(control, c * AT_REST[0], f * AT_REST[1]) == pytest.approx(expected)
