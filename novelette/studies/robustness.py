"""How small a change of a picture moves its score across the threshold (technical report, section 5.1).

    Δ_adv(x; f) = min ‖r‖₂ such that f(x + r) has the other sign than f(x),    f(x) = score(x) - threshold

By DeepFool (Moosavi-Dezfooli et al., 2016), r grows by steps to where f, taken for linear, is 0:  r ← r - f(x + r) ∇f / ‖∇f‖²; for a
linear f one step is exact. And by the fast gradient sign (Goodfellow et al., 2015): the smallest ε for which x + ε sign(∓∇f(x)) crosses.

Deviation: DeepFool's overshoot is taken in every step and not once at the end, so that each begins where the last one ended.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from novelette.detector import Detector
from novelette.errors import InputError
from novelette.netscorer import NetScorer

STEPS = 50
OVERSHOOT = 0.02  # DeepFool's: so much farther than to the threshold, so that it is crossed
EPSILONS = 2 ** torch.linspace(-10, 1, 45)  # of the fast gradient sign: up to 2, which is from black to white
HALVINGS = 12

F = Callable[[Tensor], Tensor]  # pictures (N, ...) to score less threshold (N,), each by itself


@dataclass(frozen=True, eq=False)
class Moved:
    """Perturbations r (N, ...) of pictures, and which of them cross, (N,)."""

    r: Tensor
    crossed: Tensor


def margin(detector: Detector) -> F:
    """f: tiles (N, T, C, S, S) in [-1, 1] to the worst tile's score less the threshold.

    A latent that a score searches for is searched anew for each x + r; the gradient is that with the latent kept.

    Raises: InputError for a detector that has no threshold, or whose method has no network from images to scores.
    """
    threshold, scorer = detector.threshold, detector.scorer
    module = scorer.net if isinstance(scorer, NetScorer) else scorer.module()  # some networks have a gradient, but no graph to export
    if threshold is None:
        raise InputError(f"this {detector.method} detector has no threshold to move a score across: novelette calibrate sets one")
    if module is None:
        raise InputError(f"{detector.method} has no network from pictures to scores, and so no gradient: give a detector of another method")

    def f(x: Tensor) -> Tensor:
        scores: Tensor = module(x.flatten(0, 1)).unflatten(0, x.shape[:2]).amax(1)
        return scores - threshold

    return f


def gradient(f: F, x: Tensor) -> tuple[Tensor, Tensor]:
    """f(x), (N,), and ∇f(x), the shape of x.   Raises: InputError where f has no gradient."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = f(x)
        if not value.requires_grad:
            raise InputError("the scores of this detector have no gradient: give a detector of another method")
        (slope,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), slope


def check_slope(f: F, x: Tensor) -> None:
    """Raises: InputError where f has no gradient, or none but zeros at pictures x (N, ...)."""
    if not gradient(f, x)[1].any():
        raise InputError("the gradient of this detector's scores is zero, since they are steps: give a detector of another method")


def deepfool(f: F, x: Tensor, *, in_range: bool = False) -> Moved:
    """DeepFool's perturbations of pictures x (N, ...), overshoot included. Where f is flat, none crosses.

    Args: in_range: x + r is cut to [-1, 1] after each step, and pixels that have no room left take no part in the next.
    """
    start, r = f(x).detach(), torch.zeros_like(x)
    crossed = torch.zeros(len(x), dtype=torch.bool)
    for _ in range(STEPS):
        left = torch.nonzero(~crossed)[:, 0]
        if not len(left):
            break
        value, slope = gradient(f, x[left] + r[left])
        if in_range:
            there, away = x[left] + r[left], -_each(value.sign(), x) * slope  # the way that the step will go
            slope = torch.where((there <= -1) & (away < 0) | (there >= 1) & (away > 0), 0.0, slope)
        length = slope.flatten(1).square().sum(1).clamp_min(1e-30)
        r[left] -= (1 + OVERSHOOT) * _each(value / length, x) * slope
        if in_range:
            r[left] = (x[left] + r[left]).clamp(-1, 1) - x[left]
        crossed[left] = _across(f(x[left] + r[left]), start[left])
    return Moved(r, crossed)


def fast_gradient(f: F, x: Tensor) -> Moved:
    """ε sign(∇f) towards the threshold: the least of EPSILONS that crosses, and from the one below it on to more digits by halving."""
    start, slope = gradient(f, x)
    direction = -_each(start.sign(), x) * slope.sign()
    across = torch.stack([_across(f(x + epsilon * direction), start) for epsilon in EPSILONS])
    first = across.int().argmax(0)  # 0 where none crosses
    high, low = EPSILONS[first], torch.cat([torch.zeros(1), EPSILONS])[first]
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        there = _across(f(x + _each(middle, x) * direction), start)
        low, high = torch.where(there, low, middle), torch.where(there, middle, high)
    return Moved(_each(high, x) * direction, across.any(0))


def random_like(r: Tensor, seed: int) -> Tensor:
    """Gaussian directions as long as r (N, ...), each."""
    noise = torch.randn(r.shape, generator=torch.Generator().manual_seed(seed))
    return noise * _each(norms(r) / norms(noise), r)


def norms(x: Tensor) -> Tensor:
    """‖x‖₂ of each, (N,)."""
    return x.flatten(1).norm(dim=1)


def as_picture(x: Tensor) -> Tensor:
    """The nearest picture of 256 levels."""
    return ((x.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


@torch.no_grad()
def crosses(f: F, x: Tensor, other: Tensor) -> Tensor:
    """Whether f has different signs at x and at other, (N,)."""
    return _across(f(other), f(x))


def _across(value: Tensor, start: Tensor) -> Tensor:
    return (value.detach() > 0) != (start > 0)


def _each(values: Tensor, x: Tensor) -> Tensor:
    """Values (N,) in a shape that multiplies x (N, ...)."""
    return values.view(-1, *[1] * (x.dim() - 1))
