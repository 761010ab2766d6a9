"""Spectral normalization (Miyato et al., 2018) of every layer of a network: weights over their largest singular value."""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized


def add_spectral_norm(net: nn.Module, rng: torch.Generator) -> None:
    """From here on the weights W of convolutions and linear layers are W / σ(W), σ by a power iteration a forward pass.

    Args: rng: draws the seed of the vectors that the iteration begins with, so that training can be repeated.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(int(torch.randint(2**62, (), generator=rng)))
        for layer in _layers(net):
            spectral_norm(layer)


def plain_state(net: nn.Module) -> dict[str, Tensor]:
    """The state of the same network without spectral normalization, its weights W / σ(W) as they are now: a scorer needs no iteration."""
    was = net.training
    net.eval()  # in training a look at a weight is a step of its iteration
    state = {name: value for name, value in net.state_dict().items() if ".parametrizations." not in name}
    for name, layer in net.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and is_parametrized(layer, "weight"):
            state[f"{name}.weight"] = layer.weight.detach()
    net.train(was)
    return state


def _layers(net: nn.Module) -> list[nn.Module]:
    return [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
