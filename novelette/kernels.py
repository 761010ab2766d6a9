"""A weighted sum of Gaussian kernels around training images: what a kernel density and a one-class support vector machine share."""

import torch
from torch import Tensor, nn

from novelette.vectors import Contrast, Vectors


class Kernels(nn.Module):
    """Images (N, C, S, S) in [-1, 1] to scores (N,).

        score(x) = -log Σᵢ wᵢ exp(-γ ‖v(x) - vᵢ‖²),   Σᵢ wᵢ = 1

    At least 0. The logarithm keeps far images apart, where the sum itself is 0 in float32.

    Args: rows: vᵢ, (M, K).   log_weights: log wᵢ, (M,).   gamma: ().
    """

    rows: Tensor
    log_weights: Tensor
    gamma: Tensor

    def __init__(self, vectors: Vectors, rows: Tensor, log_weights: Tensor, gamma: Tensor) -> None:
        super().__init__()
        self.vectors = vectors
        self.register_buffer("rows", rows)
        self.register_buffer("log_weights", log_weights)
        self.register_buffer("gamma", gamma)

    def exponents(self, x: Tensor) -> Tensor:
        """log wᵢ - γ ‖v(x) - vᵢ‖², (N, M)."""
        return self.log_weights - self.gamma * squared_distances(self.vectors(x), self.rows)

    def forward(self, x: Tensor) -> Tensor:
        return -self.exponents(x).logsumexp(1)

    def without_the_nearest(self, x: Tensor) -> Tensor:
        """The score of images (N, C, S, S) that are rows themselves, by the others alone; with one row, by that: (N,)."""
        exponents = self.exponents(x)
        if exponents.shape[1] == 1:
            return -exponents[:, 0]
        own = exponents.argmax(1, keepdim=True)
        others = (-self.log_weights[own[:, 0]].exp()).log1p()  # log of their weights' sum
        return others - exponents.scatter(1, own, -torch.inf).logsumexp(1)

    def heatmap(self, x: Tensor) -> Tensor:
        """Where x differs from the mean of the rows, each weighed by its share of the sum, over channels: (N, C, S, S) -> (N, S, S)."""
        expected = self.exponents(x).softmax(1) @ self.rows
        return (self.vectors.centred(x) - self.vectors.back(expected)).abs().view_as(x).mean(1)

    @classmethod
    def from_state(cls, contrast: Contrast, state: dict[str, Tensor], channels: int, size: int) -> "Kernels":
        """Rebuild from `state_dict()`. Raises: RuntimeError when it is of images of another shape."""
        inner = {name.removeprefix("vectors."): value for name, value in state.items()}
        vectors = Vectors.from_state(contrast, inner, channels, size)
        return cls(vectors, state["rows"], state["log_weights"], state["gamma"])


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """‖aᵢ - bⱼ‖² of (N, K) and (M, K): (N, M).

    As ‖a‖² - 2ab + ‖b‖², whose rounding, about 1e-6 of ‖a‖² + ‖b‖², is small beside 1/γ where vectors are centred.
    """
    return (a.square().sum(1, keepdim=True) - 2 * a @ b.T + b.square().sum(1)).clamp_min(0)
