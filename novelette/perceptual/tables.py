"""The mean and the standard deviation of each filter of a pretrained network over photographs: μ and σ of PIAD, Eq. 3."""

from functools import cache
from importlib.resources import files

import torch
from safetensors.torch import load
from torch import Tensor

FILE = "tables.safetensors"
LEAST_STD = 0.1  # some filters hardly ever answer, and must not count a thousand times for it


def filter_table(network: str, layer: str, least: float = LEAST_STD) -> tuple[Tensor, Tensor]:
    """μ and σ of a layer, (1, F, 1, 1) each; a σ under `least` times the layer's mean σ is raised to that."""
    mean, std = (_tables()[f"{network}/{layer}/{part}"].float().view(1, -1, 1, 1) for part in ("mean", "std"))
    return mean, std.clamp_min(least * float(std.mean()))


@cache
def _tables() -> dict[str, Tensor]:
    return load(files("novelette.perceptual").joinpath(FILE).read_bytes())


class Statistics:
    """Mean and standard deviation of each filter over all positions of all images, gathered part by part in float64."""

    def __init__(self) -> None:
        self.n, self.sums = 0, torch.zeros(2, 1, dtype=torch.float64)

    def add(self, f: Tensor) -> None:
        """Features (N, F, h, w)."""
        f = f.double()
        self.n += f.numel() // f.shape[1]
        self.sums = self.sums + torch.stack([f.sum((0, 2, 3)), f.square().sum((0, 2, 3))]).cpu()

    def table(self) -> tuple[Tensor, Tensor]:
        """μ and σ (by n), (F,) each."""
        mean, square = self.sums / self.n
        return mean.float(), (square - mean.square()).clamp_min(0).sqrt().float()
