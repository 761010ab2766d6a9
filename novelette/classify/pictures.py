"""The training images of a classifier, turned, moved, zoomed and mirrored anew in every epoch where that is asked for.

What becomes of an image is a function of (seed, epoch, image), so that a resumed run sees the same, and players who stand still while
another one learns can be asked once for their scores of every image.
"""

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from novelette.data.images import as_tensor
from novelette.settings import setting

CHUNK = 500  # images at a time


class Augmentation(BaseModel, frozen=True, extra="forbid"):
    """How training images are changed, at random and anew in each epoch. KDGAN's paper denies it of MNIST, and its code does it."""

    rotate: float = setting(0.0, "largest random rotation of training images either way", unit="degrees", ge=0, le=180)
    shift: float = setting(0.0, "largest random shift of training images in each direction, as a share of their side", ge=0, le=0.5)
    zoom: float = setting(0.0, "largest random change in the size of training images, up or down, as a share of it", ge=0, le=0.9)
    mirror: bool = setting(False, "mirror half of the training images, drawn at random")

    def moves(self) -> bool:
        """Whether it does anything."""
        return bool(self.rotate or self.shift or self.zoom or self.mirror)


class Pictures:
    """Training images, uint8 (N, C, S, S), as float32 in [-1, 1], as they are in an epoch."""

    def __init__(self, images: Tensor, augmentation: Augmentation, seed: int) -> None:
        self.images, self.augmentation, self.seed = images, augmentation, seed
        self._moved: tuple[int, Tensor] | None = None  # of the last epoch asked for

    @property
    def device(self) -> torch.device:
        return self.images.device

    def at(self, epoch: int, index: Tensor) -> Tensor:
        """The images `index`, (B,) int64, in an epoch: (B, C, S, S)."""
        x = as_tensor(self.images[index])
        return moved(x, self._moves(epoch)[index.cpu()].to(x)) if self.augmentation.moves() else x

    def all(self, epoch: int) -> list[Tensor]:
        """Every image in an epoch, in order, in chunks."""
        every = torch.arange(len(self.images), device=self.images.device)
        return [self.at(epoch, index) for index in every.split(CHUNK)]

    def _moves(self, epoch: int) -> Tensor:
        """What is done to each image: the 2 x 3 matrix that takes a pixel's place, in [-1, 1]², to where it is taken from, (N, 2, 3)."""
        if self._moved is None or self._moved[0] != epoch:
            self._moved = epoch, self._drawn(epoch)
        return self._moved[1]

    def _drawn(self, epoch: int) -> Tensor:
        a, n, rng = self.augmentation, len(self.images), np.random.default_rng((self.seed, epoch))
        angle, x, y, scale = rng.uniform(-1, 1, (4, n)) * np.array([[np.radians(a.rotate)], [2 * a.shift], [2 * a.shift], [a.zoom]])
        mirrored = np.where(rng.random(n) < 0.5, -1.0, 1.0) if a.mirror else np.ones(n)
        scale = 1 / (1 + scale)
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        return torch.from_numpy(np.stack([mirrored * cos, -mirrored * sin, x, sin, cos, y], 1).reshape(n, 2, 3))


def moved(x: Tensor, where: Tensor) -> Tensor:
    """Images (B, C, S, S) with each pixel taken from where (B, 2, 3) says, between pixels in proportion; what lies outside is black, -1."""
    grid = affine_grid(where, list(x.shape), align_corners=False)
    return grid_sample(x + 1, grid, align_corners=False) - 1
