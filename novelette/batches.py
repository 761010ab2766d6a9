"""The pictures of each step: shuffled, cut into batches, moved about if asked. A step's are a function of the seed and the step alone."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from novelette.data.images import as_tensor

SHIFTS = 1  # keeps the draws of shifts apart from those of the order


def batches(images: Sequence[Tensor], batch_size: int, seeds: Sequence[int], device: torch.device, shift: int = 0) -> "Batches":
    """The endless shuffled stream of each model's images, cut into batches; `batches(...)[step]` is a function of the step alone.

    Args:
        images: per stacked model, uint8 (N_m, C, S, S).   seeds: one per model.
        shift: each image is moved by up to so many pixels each way, at random; what comes in repeats its edge.
    Returns: an object whose item `step` is a float32 tensor (batch_size, M, C, S, S) in [-1, 1] on `device`.
    """
    return Batches([i.to(device) for i in images], batch_size, list(seeds), shift)


class Batches:
    """See `batches`."""

    def __init__(self, images: list[Tensor], batch_size: int, seeds: list[int], shift: int = 0) -> None:
        self.images, self.batch_size, self.seeds, self.shift = images, batch_size, seeds, shift
        self._orders: list[tuple[int, np.ndarray]] = [(-1, np.empty(0))] * len(images)

    def numbers(self, step: int, model: int = 0) -> list[int]:
        """Which of a model's images are in a step's batch."""
        return [self._index(model, p) for p in range(step * self.batch_size, (step + 1) * self.batch_size)]

    def _index(self, model: int, position: int) -> int:
        n = len(self.images[model])
        epoch, within = divmod(position, n)
        if self._orders[model][0] != epoch:
            self._orders[model] = epoch, np.random.default_rng((self.seeds[model], epoch)).permutation(n)
        return int(self._orders[model][1][within])

    def _moved(self, picked: Tensor, model: int, step: int) -> Tensor:
        size, reach = picked.shape[-1], self.shift
        rng = np.random.default_rng((self.seeds[model], step, SHIFTS))
        rows, columns = (np.clip(np.arange(size) + by[:, None], 0, size - 1) for by in rng.integers(-reach, reach + 1, (2, len(picked))))
        image = np.arange(len(picked))[:, None, None]
        return picked.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    def __getitem__(self, step: int) -> Tensor:
        picked = [images[self.numbers(step, m)] for m, images in enumerate(self.images)]
        if self.shift:
            picked = [self._moved(images, m, step) for m, images in enumerate(picked)]
        return as_tensor(torch.stack(picked, dim=1))
