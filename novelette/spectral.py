"""Spectral normalization (Miyato et al., 2018) of every layer of a network: weights over their largest singular value."""

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import remove_parametrizations


def add_spectral_norm(net: nn.Module, rng: torch.Generator) -> None:
    """From here on the weights W of convolutions and linear layers are W / σ(W), σ by a power iteration a forward pass.

    Args: rng: draws the seed of the vectors that the iteration begins with, so that training can be repeated.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(int(torch.randint(2**62, (), generator=rng)))
        for layer in _layers(net):
            spectral_norm(layer)


def remove_spectral_norm(net: nn.Module) -> None:
    """The weights stay W / σ(W) as they are now, and are plain again: a scorer needs no iteration."""
    net.eval()
    for layer in _layers(net):
        remove_parametrizations(layer, "weight")


def _layers(net: nn.Module) -> list[nn.Module]:
    return [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
