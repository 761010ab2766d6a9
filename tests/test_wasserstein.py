"""The gradient penalty against finite differences, and a critic's loss by hand."""

import pytest
import torch
from torch import nn

from novelette.training import precise
from novelette.wasserstein import Convolution, critic_loss, gradient_penalty


def test_a_critics_loss_by_hand():
    real, fake, penalty = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 1.0]), torch.tensor([0.25, 0.0])
    loss = critic_loss(real, fake, penalty, weight=10, drift=0.001)
    assert loss.tolist() == pytest.approx([0.5 - 1 + 2.5 + 0.001, 1 + 2 + 0 + 0.004])


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="differ"):
        critic_loss(torch.zeros(3), torch.zeros(3, 1), torch.zeros(3), weight=1, drift=0)
    with pytest.raises(ValueError, match="differ"):
        gradient_penalty(lambda x: x.flatten(1).sum(1), torch.zeros(3, 2), torch.zeros(2, 2))


@pytest.mark.parametrize("slope", [0.0, 1.0, 3.0])
def test_the_penalty_of_a_plane_is_the_square_of_its_slope_less_one(slope):
    direction = torch.tensor([0.6, 0.8]) * slope
    gp = gradient_penalty(lambda x: x @ direction, torch.randn(5, 2), torch.randn(5, 2))
    assert gp.tolist() == pytest.approx([(slope - 1) ** 2] * 5, abs=1e-5)  # the root of 1e-12 where there is no slope


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 1), nn.Flatten(0)).double()


def by_differences(net, real, fake, seed, h=1e-5):
    """The penalty with every partial derivative from (D(x + h) - D(x - h)) / 2h, at the same points between."""
    torch.manual_seed(seed)
    alpha = torch.rand(len(real), 1, 1, 1).double()
    between = alpha * real + (1 - alpha) * fake
    penalties = []
    for x in between:
        slope = []
        for i in range(x.numel()):
            step = torch.zeros_like(x).flatten()
            step[i] = h
            step = step.view_as(x)
            slope.append(float((net((x + step)[None]) - net((x - step)[None])) / (2 * h)))
        penalties.append((sum(s**2 for s in slope) ** 0.5 - 1) ** 2)
    return torch.tensor(penalties, dtype=torch.float64)


def test_the_penalty_is_that_of_finite_differences(net):
    real, fake = torch.randn(4, 1, 4, 4).double(), torch.randn(4, 1, 4, 4).double()
    with torch.no_grad():
        expected = by_differences(net, real, fake, seed=7)
    torch.manual_seed(7)
    torch.testing.assert_close(gradient_penalty(net, real, fake).detach(), expected, rtol=1e-6, atol=1e-8)  # the step squared


def test_the_penaltys_gradient_for_the_critics_weights_is_that_of_finite_differences(net):
    real, fake, h = torch.randn(3, 1, 4, 4).double(), torch.randn(3, 1, 4, 4).double(), 1e-5
    torch.manual_seed(1)
    gradient_penalty(net, real, fake).mean().backward()
    weight = net[0].weight
    analytic, values = weight.grad[0, 0, 1, 1].item(), []
    for sign in (1, -1):
        with torch.no_grad():
            weight[0, 0, 1, 1] += sign * h
        torch.manual_seed(1)
        values.append(gradient_penalty(net, real, fake).mean().item())
        with torch.no_grad():
            weight[0, 0, 1, 1] -= sign * h
    assert analytic == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-5)


def test_samples_receive_no_gradient(net):
    real, fake = torch.randn(2, 1, 4, 4).double().requires_grad_(), torch.randn(2, 1, 4, 4).double().requires_grad_()
    gradient_penalty(net, real, fake).sum().backward()
    assert real.grad is None
    assert fake.grad is None


@pytest.mark.parametrize("pooled", [False, True])
def test_a_critics_convolution_and_all_its_gradients_are_those_of_pytorch(pooled):
    """By pictures, weights and biases, and a penalty's by weights, through an even and, pooled, an odd number of pixels."""
    torch.manual_seed(2)
    fast = nn.Sequential(Convolution(2, 3, 3, padding=1, pooled=pooled), nn.Tanh(), Convolution(3, 4, 3, padding=1, pooled=pooled)).double()
    plain = nn.Sequential(*(nn.Conv2d(c, d, 3, padding=1) for c, d in ((2, 3), (3, 4)))).double()
    plain.load_state_dict({name.replace("2.", "1."): value for name, value in fast.state_dict().items()})
    pool = nn.AvgPool2d(2) if pooled else nn.Identity()
    critics = (lambda x: fast(x).square().flatten(1).sum(1), lambda x: pool(plain[1](pool(plain[0](x)).tanh())).square().flatten(1).sum(1))
    real, fake = torch.randn(2, 3, 2, 10, 10).double()
    found = []
    for critic, net in zip(critics, (fast, plain), strict=True):
        torch.manual_seed(3)
        x, own = real.clone().requires_grad_(), list(net.parameters())
        plainly = torch.autograd.grad(critic(x).sum(), [x, *own])
        gp = gradient_penalty(critic, real, fake)
        found.append([critic(real), gp, *plainly, *torch.autograd.grad(gp.mean(), own)])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("pooled", [False, True])
def test_a_critic_multiplies_in_sixteen_bits(pooled):
    """Its answers, a penalty and all gradients are near those of float32, and not the same."""
    torch.manual_seed(2)
    net = nn.Sequential(Convolution(2, 8, 3, padding=1, pooled=pooled), nn.Tanh(), Convolution(8, 4, 3, padding=1, pooled=pooled))
    real, fake = torch.randn(2, 3, 2, 8, 8)
    found = []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(3)

        def critic(x, precision=precision):
            return precise(lambda x: net(x).square().flatten(1).sum(1), x, precision=precision)

        gp = gradient_penalty(critic, real, fake)
        by_plain, by_gp = (torch.autograd.grad(l.mean(), list(net.parameters()), allow_unused=True) for l in (critic(real), gp))
        found.append([critic(real), gp, *by_plain, *(g for g in by_gp if g is not None)])
    assert len(found[0]) == len(found[1])
    for full, short in zip(*found, strict=True):
        assert short.dtype == torch.float32
        assert 0 < (full - short).norm() / full.norm() < 0.05
