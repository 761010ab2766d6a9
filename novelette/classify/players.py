"""The players of KDGAN as scoring functions: images (N, C, S, S) in [-1, 1] to a score for each of K labels, (N, K).

h(x, y), f(x, y) and g(x, y) of the classifier, the teacher and the discriminator (KDGAN, Eq. 2). A softmax over the labels makes a
distribution of h and f, a sigmoid of each score a probability of being true of g. The paper states numbers of weights; its appendix, which
has the layers, is not at hand. Those of MNIST are the authors' code's, and those of CIFAR-10 ours, of the stated size.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from novelette.data.images import as_tensor
from novelette.errors import InputError
from novelette.training import generators

Player = Literal["mlp", "lenet", "small-lenet", "resnet"]

DROPPED = {"mlp": 0.12, "lenet": 0.5}  # of the inputs of each dense layer but the first, in training; a resnet drops nothing


def build(player: Player, channels: int, size: int, labels: int, *, divide_widths: int = 1) -> nn.Sequential:
    """A player with torch's own initial weights, from torch's generator.

    Args: size: of the images, px, a multiple of 4.   labels: K.   divide_widths: its widths are divided by this, at least 1 each.
    """
    makers = {"mlp": _mlp, "lenet": _lenet, "small-lenet": _small_lenet, "resnet": _resnet}
    return nn.Sequential(Centre(channels, size), *makers[player](channels, size, labels, divide_widths))


def initial(
    images: Tensor, labels: int, chosen: Sequence[Player], *, divide_widths: int, subtract_mean: bool, seed: int
) -> list[nn.Sequential]:
    """Players for images, uint8 (N, C, S, S), with initial weights that are functions of the seed and their place among `chosen`.

    Args: subtract_mean: they see images less the mean of these.
    Raises: InputError for images that a network does not take.
    """
    channels, size = images.shape[1:3]
    if size % 4 or size < 16:
        raise InputError(f"classifiers take image sizes that are multiples of 4 px, from 16 on, not {size}: give another --size")
    nets = []
    for place, player in enumerate(chosen):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generators([seed], place)[0].initial_seed())
            net = build(player, channels, size, labels, divide_widths=divide_widths)
        if subtract_mean:
            net[0].load_state_dict({"mean": (as_tensor(images).mean(0) + 1) / 2})
        nets.append(net)
    return nets


class Centre(nn.Module):
    """Images in [-1, 1] to pixels in [0, 1] less the training images' mean of each pixel, which is 0 unless set."""

    mean: Tensor

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, size, size))

    def forward(self, x: Tensor) -> Tensor:
        return (x + 1) / 2 - self.mean


def _mlp(channels: int, size: int, labels: int, divide: int) -> list[nn.Module]:
    """784-800-800-10 on MNIST: 1,276,810 weights, the paper's 1.2 M (of 2^20)."""
    dropped, width = DROPPED["mlp"], max(1, 800 // divide)
    return [nn.Flatten(), *_dense(channels * size * size, width), nn.Dropout(dropped), *_dense(width, width), nn.Dropout(dropped),
            nn.Linear(width, labels)]  # fmt: skip


def _lenet(channels: int, size: int, labels: int, divide: int) -> list[nn.Module]:
    """Convolutions 5x5 of 32 and 64, each halved by pooling, and 1,024 dense: 3,274,634 weights on MNIST, the paper's 3.1 M (of 2^20)."""
    return _convolutions(channels, size, labels, 2, max(1, 1024 // divide), divide)


def _small_lenet(channels: int, size: int, labels: int, divide: int) -> list[nn.Module]:
    """The same without padding and with 288 dense: 517,674 weights on CIFAR-10, the paper's 0.5 M."""
    return _convolutions(channels, size, labels, 0, max(1, 288 // divide), divide)


def _convolutions(channels: int, size: int, labels: int, padding: int, dense: int, divide: int) -> list[nn.Module]:
    widths = [channels, max(1, 32 // divide), max(1, 64 // divide)]
    layers: list[nn.Module] = []
    for c_in, c_out in pairwise(widths):
        layers += [
            nn.Conv2d(c_in, c_out, 5, padding=padding),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
        ]  # a quarter of the work of ReLU first
        size = (size - 4 + 2 * padding) // 2
    return [*layers, nn.Flatten(), *_dense(widths[-1] * size * size, dense), nn.Dropout(DROPPED["lenet"]), nn.Linear(dense, labels)]


def _dense(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]


def _resnet(channels: int, size: int, labels: int, divide: int) -> list[nn.Module]:
    """He et al.'s residual network of 20 layers for CIFAR-10 at 2.5 times its widths: 1.68 million weights, the paper's 1.7 M.

    He et al. have that many in 110 layers; as many multiply-adds in 20 wide layers are quicker, on a CPU above all.
    """
    widths = [max(1, width // divide) for width in (40, 80, 160)]
    layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)]
    for stage, (c_in, c_out) in enumerate(pairwise([widths[0], *widths])):
        layers += [Residual(c_in, c_out, 2 if stage else 1), Residual(c_out, c_out, 1), Residual(c_out, c_out, 1)]
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], labels)]


class Residual(nn.Module):
    """relu(x + conv(relu(conv(x)))), convolutions 3x3 with BatchNorm; where shapes change x is sampled at the stride and padded with 0."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True),
            nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False), nn.BatchNorm2d(c_out),
        )  # fmt: skip
        self.stride, self.more = stride, c_out - c_in

    def forward(self, x: Tensor) -> Tensor:
        skip = nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
        return torch.relu(skip + self.body(x))
