"""Gradient-normalizing weights by hand: Algorithms 2 and 3 on two losses and two layers."""

import pytest
import torch
from torch import nn

from novelette.balance import History, gradient_norms, select_weight


def history(*norms, smoothing=1.0, length=10):
    made = History(smoothing, length)
    for one in norms:
        made.add(torch.tensor(one))
    return made


def test_the_norm_of_a_gradient_is_l2_or_its_standard_deviation():
    g = [torch.tensor([[3.0, 4.0]]), torch.tensor([1.0, 1.0])]
    assert gradient_norms(g, "l2").tolist() == pytest.approx([5, 2**0.5])
    assert gradient_norms(g, "std").tolist() == pytest.approx([0.5, 0])


def test_smoothing_by_hand():
    assert history([1.0], [3.0], [3.0], smoothing=0.5).smoothed.flatten().tolist() == [1, 2, 2.5]


def test_the_last_n_of_a_smoothed_history_are_those_of_the_whole():
    values = torch.rand(30, 2, generator=torch.Generator().manual_seed(0)).tolist()
    whole, short = history(*values, smoothing=0.3, length=100), history(*values, smoothing=0.3, length=7)
    assert torch.equal(short.smoothed, whole.smoothed[-7:])


def test_the_weight_by_hand():
    """Two layers, two measurements: ratios 2, 4 in the first layer, 1, 9 in the second."""
    first, second = history([2.0, 1.0], [8.0, 9.0]), history([1.0, 1.0], [2.0, 1.0])
    assert select_weight(first, second, "mean") == pytest.approx(((2 + 4) / 2 + (1 + 9) / 2) / 2)
    assert select_weight(first, second, "median") == pytest.approx((2 + 4) / 2)  # of 1, 2, 4, 9, as NumPy's


def test_a_layer_that_the_second_loss_does_not_reach_is_left_out():
    assert select_weight(history([2.0, 5.0]), history([1.0, 0.0]), "mean") == 2
    assert select_weight(history([2.0, 5.0]), history([0.0, 0.0]), "mean") == 1
    assert select_weight(History(0.1, 5), History(0.1, 5), "mean") == 1


def test_the_weight_makes_the_gradients_of_two_losses_alike_on_a_toy():
    """Two linear layers and the losses l₁ = ⟨y⟩, l₂ = 100 ⟨y⟩: γ is 1/100, and γ ∂l₂ = ∂l₁ in either layer."""
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)), torch.randn(8, 3)
    layers = [net[0].weight, net[2].weight]
    histories = []
    for scale in (1, 100):
        made = History(0.05, 200)
        made.add(gradient_norms(torch.autograd.grad(scale * net(x).mean(), layers), "l2"))
        histories.append(made)
    assert select_weight(*histories, "mean") == pytest.approx(0.01, rel=1e-5)  # float32


def test_a_history_survives_a_checkpoint():
    made = history([1.0, 2.0], [3.0, 4.0], smoothing=0.5)
    again = History(0.5, 10)
    again.load_state_dict(made.state_dict())
    made.add(torch.tensor([5.0, 6.0]))
    again.add(torch.tensor([5.0, 6.0]))
    assert torch.equal(made.smoothed, again.smoothed)
