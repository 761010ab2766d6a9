"""Perceptual networks: features of a pretrained network's layer, alike for every network, with the mean and the spread of each filter."""

from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from novelette.errors import InputError
from novelette.perceptual.networks import NETWORKS
from novelette.perceptual.tables import filter_table
from novelette.perceptual.weights import load_weights

__all__ = ["NETWORKS", "Perceptual", "check_layer", "load", "with_its_layer"]


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
        return out

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


def load(network: str, layer: str, size: int, given: str = "") -> tuple[Perceptual, str]:
    """A network with its weights, up to a layer.

    Args: size: of the images that it is for, px.   given: a weight file, see `load_weights`.
    Returns: it, and what records say of its weights.
    Raises: InputError when there are no weights, or an image is smaller than the layer's stride.
    """
    made = Perceptual(network, layer)
    if size < made.stride:
        raise InputError(
            f"images of {size} px are smaller than the stride of {network}'s {layer}, {made.stride} px: give larger or an earlier layer"
        )
    state, title = load_weights(network, made.network, layer, given)
    made.layers.load_state_dict(state)
    made.mean, made.std = filter_table(network, layer)
    return made.eval(), title
