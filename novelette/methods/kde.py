"""Kernel density estimation: a picture is novel where training pictures, each spread by a Gaussian kernel, are sparse."""

import math

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from novelette.kernels import Kernels, squared_distances
from novelette.settings import setting
from novelette.training import Run
from novelette.vectors import Contrast, vectors_of

PAPER = "Parzen: On estimation of a probability density function and mode (1962); as a baseline in Ruff et al., Deep SVDD (2018)"

LEFT_OUT = 1_000  # training images that bandwidths are tried on, evenly spaced
BANDWIDTHS = tuple(2 ** (i / 4) for i in range(-16, 9))  # tried, times the spread of a dimension: 1/16 to 4


class Config(BaseModel, frozen=True, extra="forbid"):
    """Chosen on held-out training pictures; the detector keeps vectors of all training pictures."""

    bandwidth: float = setting(
        0.0, "standard deviation of the kernel; 0: the one under which left-out training pictures are likeliest", ge=0, le=1e4
    )
    variance: float = setting(0.95, "share of the variance that the principal components explain; 1: all pixels", gt=0, le=1)
    contrast: Contrast = setting(
        "l2", "how pictures are normalized: less their mean and scaled to length 1 (l2) or mean size 1 (l1), or not at all (none)"
    )


TINY = Config()


def paper() -> Config:
    """The baseline of Deep SVDD's paper: L1 contrast normalization and 95 % of the variance."""
    return Config(contrast="l1")


def fit(
    images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run | None = None
) -> "Scorer":
    """Keep the vectors of normal images, uint8 (N, C, S, S). Raises: InputError when there are no two that differ."""
    vectors = vectors_of(images, config.contrast, config.variance).to(device)
    rows = vectors.of(images)
    h = config.bandwidth or likeliest_bandwidth(rows)
    uniform = torch.full((len(rows),), -math.log(len(rows)), device=device)
    return Scorer(config, Kernels(vectors, rows, uniform, torch.tensor(1 / (2 * h**2), device=device)))


def likeliest_bandwidth(rows: Tensor) -> float:
    """Of BANDWIDTHS the h under which training vectors (N, K), each left out in turn, are likeliest by the others.

        ℓ(h) = Σᵢ log Σ_{j ≠ i} exp(-‖vᵢ - vⱼ‖² / 2h²) - K log h      over i, up to what does not depend on h

    Deviation: Deep SVDD's code takes five folds instead of one image at a time, and 2^-4.5 to 2^5 at steps of √2.
    """
    n, k = rows.shape
    some = torch.arange(0, n, -(-n // LEFT_OUT), device=rows.device)
    d2 = squared_distances(rows[some], rows)
    d2[torch.arange(len(some), device=rows.device), some] = torch.inf
    spread = float(rows.var(0, correction=0).mean().sqrt())
    tried = [spread * factor for factor in BANDWIDTHS]
    return max(tried, key=lambda h: float((-d2 / (2 * h**2)).logsumexp(1).double().mean()) - k * math.log(h))


class Scorer:
    """The vectors of the training images and a bandwidth."""

    keeps_pictures = True  # their principal components, from which they can be drawn again

    def __init__(self, config: Config, kernels: Kernels) -> None:
        self.config, self.kernels = config, kernels

    @torch.inference_mode()
    def score(self, x: Tensor) -> Tensor:
        """-log p(x) without the constant (K / 2) log 2πh², so that it is at least 0: (N, C, S, S) in [-1, 1] -> (N,)."""
        out: Tensor = self.kernels(x)
        return out

    @torch.inference_mode()
    def score_own(self, x: Tensor) -> Tensor:
        """`score` of training images (N, C, S, S), each by the density of the others: (N,)."""
        return self.kernels.without_the_nearest(x)

    @torch.inference_mode()
    def heatmap(self, x: Tensor) -> Tensor:
        """Where x differs from the mean of the training images near it: (N, C, S, S) -> (N, S, S)."""
        return self.kernels.heatmap(x)

    def module(self) -> nn.Module:
        return self.kernels

    def state(self) -> dict[str, Tensor]:
        return self.kernels.state_dict()

    @classmethod
    def from_state(cls, config: Config, state: dict[str, Tensor], channels: int, size: int) -> "Scorer":
        """Rebuild from `state()`. Raises: RuntimeError when it is of images of another shape."""
        return cls(config, Kernels.from_state(config.contrast, state, channels, size))
