"""Pictures made from normal ones, from hardly changed to hardly to be recognized: what a teacher is asked about besides the normal ones.

Nothing but normal pictures goes in, so that one-class stays one-class. Every change takes images (N, C, S, S) in [-1, 1] and gives as many;
its draws come from a CPU generator, so that a seed and a step say all.
"""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

TURNED = 0.25  # of the pictures are turned by right angles; the others are looked at from elsewhere
ZOOM = (0.35, 1.3)  # side of what is shown, of the picture's own
PIECES = (2, 4)  # a side


def made(x: Tensor, rng: Generator) -> Tensor:
    """Each image turned or looked at from elsewhere; then each of CHANGES, one after the other, by its chance: (N, C, S, S) to the same."""
    y = torch.where(_some(TURNED, x, rng), turned(x, rng), from_elsewhere(x, rng))
    for chance, change in CHANGES:
        y = torch.where(_some(chance, x, rng), change(y, rng), y)
    return y.clamp(-1, 1)


def turned(x: Tensor, rng: Generator) -> Tensor:
    """By 90°, 180° or 270°."""
    quarter = torch.randint(1, 4, (len(x),), generator=rng).to(x.device)
    return torch.stack([x.rot90(k, (2, 3)) for k in range(4)])[quarter, torch.arange(len(x), device=x.device)]


def from_elsewhere(x: Tensor, rng: Generator) -> Tensor:
    """Zoomed, stretched, moved; half of them mirrored, half rotated by any angle. What comes in is mirrored at the edge."""
    angle = _drawn((len(x),), -math.pi, math.pi, rng) * (torch.rand(len(x), generator=rng) < 0.5)
    mirror = 1 - 2.0 * (torch.rand(len(x), generator=rng) < 0.5)
    zoom = _drawn((len(x),), math.log(ZOOM[0]), math.log(ZOOM[1]), rng).exp()
    stretch = _drawn((len(x),), -0.3, 0.3, rng).exp()
    shift = _drawn((2, len(x)), -1, 1, rng) * (1 - zoom).abs()
    rows = [
        torch.stack([mirror * zoom * stretch * angle.cos(), -zoom / stretch * angle.sin(), shift[0]], 1),
        torch.stack([mirror * zoom * stretch * angle.sin(), zoom / stretch * angle.cos(), shift[1]], 1),
    ]
    grid = affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False).to(x.device)
    return grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def recoloured(x: Tensor, rng: Generator) -> Tensor:
    """Channels in another order, lighter or darker, with more or less contrast; one in five as a negative."""
    order = torch.rand(x.shape[:2], generator=rng).argsort(1).to(x.device)
    negative = 1 - 2.0 * _some(0.2, x, rng)
    gain = _drawn((*x.shape[:2], 1, 1), -0.6, 0.6, rng).exp().to(x) * negative
    return (x.gather(1, order[:, :, None, None].expand_as(x)) * gain + _drawn(gain.shape, -0.4, 0.4, rng).to(x)).clamp(-1, 1)


def shuffled(x: Tensor, rng: Generator) -> Tensor:
    """Cut into 2 x 2 or 4 x 4 pieces, which are put together in another order."""
    k = PIECES[int(torch.randint(len(PIECES), (), generator=rng))]
    side = x.shape[-1] // k
    pieces = x.unflatten(3, (k, side)).unflatten(2, (k, side)).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)  # (N, k * k, C, side, side)
    order = torch.rand(len(x), k * k, generator=rng).argsort(1).to(x.device)
    moved = pieces[torch.arange(len(x), device=x.device)[:, None], order].unflatten(1, (k, k))
    return moved.permute(0, 3, 1, 4, 2, 5).reshape(x.shape)


def pasted(x: Tensor, rng: Generator) -> Tensor:
    """With a rectangle of the picture before, of a third to three quarters of each side, in its place."""
    size = x.shape[-1]
    at = torch.arange(size)
    inside = torch.ones(len(x), 1, size, size, dtype=torch.bool)
    for axis in (2, 3):
        side = _drawn((len(x), 1), size / 3, size * 3 / 4, rng).round()
        start = (torch.rand(len(x), 1, generator=rng) * (size - side)).round()
        inside &= ((at >= start) & (at < start + side)).view(len(x), 1, *((size, 1) if axis == 2 else (1, size)))
    return torch.where(inside.to(x.device), x.roll(1, 0), x)


def blended(x: Tensor, rng: Generator) -> Tensor:
    """Seen through the picture before: a quarter to three quarters of either."""
    share = _drawn((len(x), 1, 1, 1), 0.25, 0.75, rng).to(x)
    return share * x + (1 - share) * x.roll(1, 0)


def blurred(x: Tensor, rng: Generator) -> Tensor:
    """Made smaller by half and drawn out again."""
    half = (x.shape[-1] // 2,) * 2
    return interpolate(interpolate(x, half, mode="bilinear", antialias=True), x.shape[2:], mode="bilinear")


def noisy(x: Tensor, rng: Generator) -> Tensor:
    """Under Gaussian noise of a standard deviation of up to 0.4."""
    return x + (_drawn((len(x), 1, 1, 1), 0, 0.4, rng) * torch.randn(x.shape, generator=rng)).to(x)


CHANGES: tuple[tuple[float, Callable[[Tensor, Generator], Tensor]], ...] = (
    (0.3, recoloured),
    (0.15, shuffled),
    (0.3, pasted),
    (0.2, blended),
    (0.1, blurred),
    (0.1, noisy),
)


def _drawn(shape: tuple[int, ...] | torch.Size, low: float, high: float, rng: Generator) -> Tensor:
    return torch.rand(shape, generator=rng) * (high - low) + low


def _some(chance: float, x: Tensor, rng: Generator) -> Tensor:
    """Which pictures, by chance: (N, 1, 1, 1) bool."""
    return (torch.rand(len(x), generator=rng) < chance)[:, None, None, None].to(x.device)
