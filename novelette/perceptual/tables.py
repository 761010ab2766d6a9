"""The mean and the standard deviation of each filter of a pretrained network over photographs: μ and σ of PIAD, Eq. 3."""

from functools import cache
from importlib.resources import files

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file
from torch import Tensor

from novelette.errors import InputError

FILE = "tables.safetensors"
LEAST_STD = 0.1  # some filters hardly ever answer, and must not count a thousand times for it


def filter_table(network: str, layer: str, given: str = "") -> tuple[Tensor, Tensor]:
    """μ and σ of a layer, (F,) each.

    Args: given: a file of benchmarks/perceptual_tables.py; if empty, the package's, of the public weights over photographs.
    Raises: InputError when the file cannot be read, or has no such layer.
    """
    try:
        tables = load_file(given) if given else _tables()
        mean, std = (tables[f"{network}/{layer}/{part}"].float() for part in ("mean", "std"))
    except (OSError, SafetensorError) as error:
        raise InputError(f"--filter-table {given} cannot be read: make it again with benchmarks/perceptual_tables.py") from error
    except KeyError as error:
        raise InputError(f"--filter-table {given} has no {layer} of {network}: make one with benchmarks/perceptual_tables.py") from error
    return mean, std


def raised(std: Tensor) -> Tensor:
    """σ of a layer's filters, where one under a tenth of their mean is raised to that."""
    return std.clamp_min(LEAST_STD * float(std.mean()))


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
