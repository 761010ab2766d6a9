"""Novelties that nobody has seen, for a discriminator to tell from normal pictures: the static sources of the technical report, 2.6."""

import torch
from torch import Tensor

from novelette.data.images import as_tensor

FITTED_ON = 1_000  # images, evenly spaced


class Gaussian:
    """Every number of a picture from N(0, σ²) by itself, cut to [-1, 1]."""

    def __init__(self, shape: torch.Size, sigma: float, device: torch.device) -> None:
        self.shape, self.sigma, self.device = shape, sigma, device

    def __call__(self, n: int) -> Tensor:
        """(n, C, S, S) from torch's own generator."""
        return (self.sigma * torch.randn(n, *self.shape, device=self.device)).clamp(-1, 1)


class Density:
    """A preliminary model of the normal pictures as the source of noise (Gutmann, Hyvärinen): N(μ, Σ) of most likelihood, cut to [-1, 1].

        x = μ + N^(-1/2) Σ_i ε_i (x_i - μ),   ε_i ~ N(0, 1)

    has the mean and the covariance of the N pictures x_i, and no covariance matrix is ever made.

    Args: images: uint8 (N, C, S, S); of more than FITTED_ON every so manieth counts.
    """

    def __init__(self, images: Tensor, device: torch.device) -> None:
        some = as_tensor(images[:: -(-len(images) // FITTED_ON)], device)
        self.mean = some.mean(0)
        self.rows = (some - self.mean).flatten(1) / len(some) ** 0.5

    def __call__(self, n: int) -> Tensor:
        """(n, C, S, S) from torch's own generator."""
        weights = torch.randn(n, len(self.rows), device=self.rows.device)
        return (self.mean + (weights @ self.rows).view(n, *self.mean.shape)).clamp(-1, 1)
