"""Perceptual networks: features of a pretrained network's layer, alike for every network, with the mean and the spread of each filter."""

from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from novelette.data.images import as_tensor
from novelette.errors import InputError
from novelette.perceptual.networks import NETWORKS, Name
from novelette.perceptual.tables import Statistics, filter_table, raised
from novelette.perceptual.weights import load_weights

__all__ = ["NETWORKS", "Name", "Perceptual", "check_layer", "load", "with_its_layer"]

MEASURED = 1000  # images at most that μ and σ are measured over


class Looks(Protocol):
    """A method's Config that names a network and one of its layers."""

    @property
    def network(self) -> str: ...
    @property
    def layer(self) -> str: ...


LooksT = TypeVar("LooksT", bound=Looks)


class Perceptual(nn.Module):
    """Images to features f(x) of one layer, with μ and σ of each of its filters over photographs.

    Its state holds the layers, μ and σ: what has it needs no weight file. As it is made it knows nothing; `load` gives it its weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: str, layer: str) -> None:
        super().__init__()
        check_layer(network, layer)
        self.network = NETWORKS[network]
        self.stride, channels = self.network.stride(layer), self.network.channels(layer)
        self.layers = self.network.layers(layer)
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("std", torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """f(x): images (N, 1 | 3, H, W) in [-1, 1], grey repeated for three channels, to (N, F, h, w)."""
        colour = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        prepared = self.network.prepared(colour)
        out: Tensor = self.layers(prepared.contiguous(memory_format=torch.channels_last))  # twice as fast for depthwise convolutions
        return out.to(x.dtype)

    def set_filters(self, mean: Tensor, std: Tensor) -> None:
        """Take μ and σ, (F,) each."""
        self.mean, self.std = mean.view_as(self.mean), raised(std).view_as(self.std)

    def normalized(self, x: Tensor) -> Tensor:
        """f̃(x) = (f(x) - μ) / σ (PIAD, Eq. 3): (N, 1 | 3, H, W) to (N, F, h, w)."""
        return (self(x) - self.mean) / self.std


def check_layer(network: str, layer: str) -> None:
    """Raises: InputError when there is no such network or layer."""
    if network not in NETWORKS:
        raise InputError(f"there is no perceptual network {network!r}: choose one of {', '.join(NETWORKS)}")
    if layer not in NETWORKS[network].names:
        raise InputError(f"{network} has no layer {layer!r}: choose one of {', '.join(NETWORKS[network].names)}")


def with_its_layer(config: LooksT) -> LooksT:
    """A Config as it is, for its validator.   Raises: ValueError when its layer is none of its network."""
    try:
        check_layer(config.network, config.layer)
    except InputError as error:
        raise ValueError(f"--layer: {error}") from error
    return config


def load(network: str, layer: str, size: int, given: str = "", *, table: str = "", images: Tensor | None = None) -> tuple[Perceptual, str]:
    """A network with its weights up to a layer.

    Args:
        size: of the images that it is for, px.
        given: a weight file, see `load_weights`.
        table: a file with μ and σ, see `filter_table`; if empty, the package's, which are of the public weights.
        images: uint8 (N, C, S, S), over which μ and σ are measured for other weights that come without a table; without images they stay
            0 and 1, for who asks for no normalized features.
    Returns: it, and what records say of its weights.
    Raises: InputError when there are no weights or no table, or an image is smaller than the layer's stride.
    """
    made = Perceptual(network, layer)
    if size < made.stride:
        raise InputError(
            f"images of {size} px are smaller than the stride of {network}'s {layer}, {made.stride} px: give larger, or an earlier layer"
        )
    weights = load_weights(network, layer, given)
    made.layers.load_state_dict(weights.state)
    title = weights.title
    if table or weights.public:
        made.set_filters(*filter_table(network, layer, table))
        title += f", filters of {Path(table).name}" if table else ""
    elif images is not None:
        made.set_filters(*_measured(made, images[:: -(-len(images) // MEASURED)]))
        title += ", filters of the training pictures"
    return made.eval(), title


@torch.inference_mode()
def _measured(made: Perceptual, images: Tensor) -> tuple[Tensor, Tensor]:
    """μ and σ, (F,) each, over images, uint8 (N, C, S, S)."""
    statistics = Statistics()
    for part in images.split(25):
        statistics.add(made(as_tensor(part)))
    return statistics.table()
