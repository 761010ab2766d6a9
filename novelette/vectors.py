"""Images as vectors: normalized in contrast, less the mean training image, and turned to their leading principal components."""

from typing import Literal

import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn
from torch.nn.functional import linear

from novelette.data.images import as_tensor
from novelette.errors import InputError

Contrast = Literal["none", "l1", "l2"]

BLOCK = 512  # images at a time
ONE_GREY = 1e-4  # what rounding leaves of an image less its mean, at most; the smallest step of an 8-bit image is 80 times as large


def normalized(images: Tensor, contrast: Contrast) -> Tensor:
    """Global contrast normalization of each image by itself.

        none: x       l1: (x - x̄) / ⟨|x - x̄|⟩       l2: (x - x̄) / ‖x - x̄‖₂

    Args: images: (N, C, S, S).   Returns: (N, C * S * S). An image of one grey becomes zeros.
    """
    rows = images.flatten(1)
    if contrast == "none":
        return rows
    rows = rows - rows.mean(1, keepdim=True)
    rows = rows.where(rows.abs().amax(1, keepdim=True) > ONE_GREY, 0.0)
    length = rows.norm(dim=1, keepdim=True) if contrast == "l2" else rows.abs().mean(1, keepdim=True)
    return rows / length.clamp_min(1e-6)


class Vectors(nn.Module):
    """Images (N, C, S, S) in [-1, 1] to vectors (N, K): A (normalized(x) - mean), or without A where there are no axes.

    Args: mean: (C, S, S).   axes: A, orthonormal rows, (K, C * S * S).
    """

    mean: Tensor
    axes: Tensor | None

    def __init__(self, contrast: Contrast, mean: Tensor, axes: Tensor | None) -> None:
        super().__init__()
        self.contrast: Contrast = contrast
        self.register_buffer("mean", mean)
        self.register_buffer("axes", axes)

    def centred(self, x: Tensor) -> Tensor:
        """normalized(x) - mean, (N, C * S * S)."""
        return normalized(x, self.contrast) - self.mean.flatten()

    def forward(self, x: Tensor) -> Tensor:
        rows = self.centred(x)
        return rows if self.axes is None else linear(rows, self.axes)

    def back(self, v: Tensor) -> Tensor:
        """Vectors (N, K) to where they lie among centred images, (N, C * S * S)."""
        return v if self.axes is None else linear(v, self.axes.T)

    def of(self, images: Tensor) -> Tensor:
        """The vectors of uint8 images (N, C, S, S), (N, K)."""
        return torch.cat([self(as_tensor(part, self.mean.device)) for part in images.split(BLOCK)])

    @classmethod
    def from_state(cls, contrast: Contrast, state: dict[str, Tensor], channels: int, size: int) -> "Vectors":
        """Rebuild from `state_dict()`. Raises: RuntimeError when it is of images of another shape."""
        mean, axes = state["mean"], state.get("axes")
        if mean.shape != (channels, size, size):
            raise RuntimeError(f"vectors of images {tuple(mean.shape)} where {(channels, size, size)} was expected")
        return cls(contrast, mean, axes)


def vectors_of(images: Tensor, contrast: Contrast, variance: float) -> Vectors:
    """The vectors of training images, uint8 (N, C, S, S).

    Args: variance: the share that the fewest principal components explain; 1: there are no axes.
    Raises: InputError when there are no two images that differ.
    """
    rows = torch.cat([normalized(as_tensor(part), contrast) for part in images.cpu().split(BLOCK)])
    mean = rows.mean(0, dtype=torch.float64).float()
    rows -= mean
    if rows.abs().max() < 1e-6:
        raise InputError("the training pictures are all alike: give pictures that differ")
    axes = None
    if variance < 1:
        solver = "covariance_eigh" if len(rows) > rows.shape[1] else "full"
        axes = torch.from_numpy(PCA(variance, svd_solver=solver).fit(rows.numpy()).components_)
    return Vectors(contrast, mean.view(images.shape[1:]), axes)
