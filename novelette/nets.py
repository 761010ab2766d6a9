"""DCGAN encoder, decoder and discriminator at any width, image size and channel count.

P-KDGAN, Table 1: convolutions of 4x4 without biases; a downsampling block is convolution (stride 2, padding 1),
normalization, LeakyReLU(0.2); the head is a 4x4 convolution without padding that takes 4x4 pixels to one, with neither normalization
nor activation. The decoder mirrors the encoder with transposed convolutions and ReLU, and ends in Tanh.

Stacking. Every network can be `models` independent networks in one: M networks of C channels are one network of M * C channels whose
convolutions have M groups. A tensor (N, M, C, H, W) enters as (N, M * C, H, W). Normalization, activations and Adam act on each channel
or weight alone, so the M networks train exactly as they would apart; `models=1` is the plain network.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from novelette.errors import InputError

Norm = Literal["image", "batch", "none"]
SLOPE = 0.2  # of every LeakyReLU
WIDEST = 256  # channels that doubling comes to


def depth(size: int) -> int:
    """Downsampling blocks that take size x size pixels to 4x4: log2(size) - 2.   Raises: ValueError where none do."""
    if size < 8 or size & (size - 1):
        raise ValueError(f"a network that halves images down to 4 px takes 8, 16, 32, 64, 128 or 256 px, not {size}")
    return size.bit_length() - 3


def block_widths(widths: Sequence[int], size: int) -> tuple[int, ...]:
    """Channels of each downsampling block: `widths` itself if it names every block, or u, 2u, 4u, ... up to WIDEST from a single u.

    Raises: ValueError when several widths are given and their count is not the number of blocks that `size` needs.
    """
    blocks = depth(size)
    if len(widths) == 1:
        return tuple(min(widths[0] * 2**i, max(WIDEST, widths[0])) for i in range(blocks))
    if len(widths) != blocks:
        shown = "-".join(map(str, widths))
        raise ValueError(
            f"--widths {shown} names {len(widths)} blocks, but images of {size} px need {blocks}: give {blocks} numbers, or one"
        )
    return tuple(widths)


def asked_widths(widths: Sequence[int], size: int) -> tuple[int, ...]:
    """`block_widths` of a person's --widths. Raises: InputError where it raises ValueError."""
    try:
        return block_widths(widths, size)
    except ValueError as error:
        raise InputError(str(error)) from error


def normalization(channels: int, norm: Norm) -> nn.Module:
    """Affine normalization of (N, channels, H, W) over H and W.

    `image`: each image by its own mean and variance, which is BatchNorm in training mode at batch size 1; written as GroupNorm with one
    channel a group, so a score never depends on the batch. `batch`: BatchNorm, for the batch-size study of
    the progressive distillation paper. `none`: nothing.
    """
    if norm == "none":
        return nn.Identity()
    return nn.GroupNorm(channels, channels) if norm == "image" else nn.BatchNorm2d(channels)


class Encoder(nn.Module):
    """Images (N, M * C, S, S) to latents (N, M * out): P-KDGAN, Table 1, E(x).

    `features` gives the activations before the last convolution, (N, M * widths[-1], 4, 4): f(x) of Eq. 4 where the encoder is D.
    With norm `none` the convolutions before the last have biases.
    """

    def __init__(
        self, channels: int, widths: Sequence[int], out: int, *, norm: Norm = "image", norm_first: bool = True, models: int = 1
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (c_in, c_out) in enumerate(pairwise([channels, *widths])):
            layers.append(nn.Conv2d(models * c_in, models * c_out, 4, 2, 1, bias=norm == "none", groups=models))
            if i > 0 or norm_first:
                layers.append(normalization(models * c_out, norm))
            layers.append(nn.LeakyReLU(SLOPE, inplace=True))
        self.features = nn.Sequential(*layers)
        self.head = nn.Conv2d(models * widths[-1], models * out, 4, 1, 0, bias=False, groups=models)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x)).flatten(1)


class Decoder(nn.Module):
    """Latents (N, M * latent) to images (N, M * C, S, S) in [-1, 1]: P-KDGAN, Table 1, D(x).

    With `image`, the direction of a latent draws the picture, and not its length: the first convolution has no bias, and is normalized.
    """

    def __init__(self, channels: int, widths: Sequence[int], latent: int, *, norm: Norm = "image", models: int = 1) -> None:
        super().__init__()
        top = widths[-1]
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(models * latent, models * top, 4, 1, 0, bias=False, groups=models),
            normalization(models * top, norm),
            nn.ReLU(inplace=True),
        ]
        for c_in, c_out in pairwise(reversed(widths)):
            layers += [
                nn.ConvTranspose2d(models * c_in, models * c_out, 4, 2, 1, bias=False, groups=models),
                normalization(models * c_out, norm),
                nn.ReLU(inplace=True),
            ]
        layers += [nn.ConvTranspose2d(models * widths[0], models * channels, 4, 2, 1, bias=False, groups=models), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    @property
    def first(self) -> nn.ConvTranspose2d:
        """The convolution that takes the latents."""
        layer = self.layers[0]
        assert isinstance(layer, nn.ConvTranspose2d)
        return layer

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z[:, :, None, None])


def dense(*sizes: int) -> nn.Sequential:
    """Vectors (N, sizes[0]) to (N, sizes[-1]) by linear layers with LeakyReLU between them."""
    layers: list[nn.Module] = []
    for c_in, c_out in pairwise(sizes):
        layers += [nn.Linear(c_in, c_out), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers[:-1])


def draw_weights(net: nn.Module, rngs: Sequence[torch.Generator], models: Iterable[int] | None = None) -> None:
    """Draw the weights anew, in place, as DCGAN does: convolutions from N(0, 0.02), normalization weights from N(1, 0.02), biases 0.

    Layers with biases, which nothing normalizes, are drawn by Kaiming's rule for LeakyReLU, by inputs.

    Args:
        rngs: one CPU generator per stacked model; model m's weights depend on rngs[m] alone.
        models: which of the stacked models to draw; all of them by default.
    """
    for layer in net.modules():
        if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.GroupNorm | nn.BatchNorm2d):
            continue
        normalizes = isinstance(layer, nn.GroupNorm | nn.BatchNorm2d)
        mean, std = float(normalizes), 0.02
        if not normalizes and layer.bias is not None:
            std = _kaiming(layer.weight[0].numel())
        weights = layer.weight.data.chunk(len(rngs))
        biases = None if layer.bias is None else layer.bias.data.chunk(len(rngs))
        for m in range(len(rngs)) if models is None else models:
            weights[m].copy_(torch.empty(weights[m].shape).normal_(mean, std, generator=rngs[m]))
            if biases is not None:
                biases[m].zero_()


def draw_kaiming_weights(net: nn.Module, rng: torch.Generator, fan: Literal["in", "out"] = "out") -> None:
    """Draw the weights of convolutions and linear layers anew, in place: N(0, 2 / ((1 + SLOPE²) fan)), Kaiming's for LeakyReLU; biases 0.

    Args: fan: what keeps its variance through a layer, gradients (out), as PIAD has it, or activations (in).
    """
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            one_output, one_input = layer.weight[0].numel(), layer.weight.shape[0] * layer.weight[0, 0].numel()
            std = _kaiming(one_output if fan == "in" else one_input)
            layer.weight.data.copy_(torch.empty(layer.weight.shape).normal_(0, std, generator=rng))
            assert layer.bias is not None
            layer.bias.data.zero_()


def _kaiming(fan: int) -> float:
    return float((2 / ((1 + SLOPE**2) * fan)) ** 0.5)


def draw_xavier_weights(net: nn.Module, rng: torch.Generator) -> None:
    """Draw the weights anew, in place, by Xavier's uniform rule, ±√(6 / (fan_in + fan_out)); biases 0."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.weight.data.copy_(nn.init.xavier_uniform_(torch.empty(layer.weight.shape), generator=rng))
            if layer.bias is not None:
                layer.bias.data.zero_()


def each(t: Tensor, models: int) -> Tensor:
    """Stacked (B, M * C, ...) as one row an image, (B * M, C, ...), as the losses take it."""
    return t.unflatten(1, (models, -1)).flatten(0, 1)


def per_model(l: Tensor, models: int) -> Tensor:
    """Each stacked model's mean over its batch, (M,), of one value a row, (B * M,). Their sum is a loss that keeps gradients apart."""
    return l.unflatten(0, (-1, models)).mean(0)
