"""The networks of PIAD (supplement): pre-activation residual blocks without normalization, for images of 32 to 256 px.

A residual block is LeakyReLU(0.2), 3x3 convolution, LeakyReLU, 3x3 convolution, beside a way for what stays as it is (Figure 1). `up`
doubles the pixels before the first convolution (nearest neighbour), `down` halves them after the second (average); the other way does the
same, with a 1x1 convolution where the width changes.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from novelette.nets import SLOPE, depth
from novelette.wasserstein import Convolution


@dataclass(frozen=True)
class Architecture:
    """One of the supplement's Tables 1 to 4.

    Attributes:
        encoder, generator, critic: widths of the first convolution and of each block after it, in their order.
        latent: numbers of a latent vector, or channels of a latent map.   dense: units of D_Z's two hidden layers.
        latent_side: 1, or 4 for latents that are maps of 4x4.
    """

    encoder: tuple[int, ...]
    generator: tuple[int, ...]
    critic: tuple[int, ...]
    latent: int
    dense: int
    latent_side: Literal[1, 4] = 1

    def at(self, size: int, divide: int = 1) -> "Architecture":
        """The same for images of another size: the outermost width is repeated, or left out. All widths are divided by `divide`."""
        blocks = depth(size)

        def narrow(widths: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(max(1, width // divide) for width in widths)

        return replace(
            self,
            encoder=narrow(_fitted(self.encoder, blocks)),
            generator=narrow(_fitted(self.generator[::-1], blocks)[::-1]),
            critic=narrow(_fitted(self.critic, blocks)),
            dense=max(1, self.dense // divide),
        )


def _fitted(widths: tuple[int, ...], blocks: int) -> tuple[int, ...]:
    """Widths from the outermost in, of `blocks` blocks and the convolution beside them."""
    return (widths[0],) * (blocks + 1 - len(widths)) + widths[-(blocks + 1) :]


ARCHITECTURES: dict[str, Architecture] = {
    "small": Architecture((32,) * 4, (32,) * 4, (32,) * 4, 32, 128),  # Table 1: MNIST, Fashion-MNIST, COIL-100
    "cifar10": Architecture((64, 64, 128, 256), (256, 256, 128, 64), (32, 32, 64, 128), 256, 1024),  # Table 2
    "lsun": Architecture((64,) * 5, (64,) * 5, (64,) * 5, 32, 2048, latent_side=4),  # Table 3
    "celeba": Architecture((64,) * 5, (64,) * 5, (64,) * 5, 64, 256),  # Table 4
}


class Block(nn.Module):
    """A residual block: (N, c_in, H, W) to (N, c_out, H', W'), H' = 2H, H / 2 or H.

    Args: pre: whether an activation stands before the first convolution (pre-activation); in Table 3's first block none does.
    """

    def __init__(self, c_in: int, c_out: int, resize: Literal["up", "down", "none"] = "none", *, pre: bool = True) -> None:
        super().__init__()
        first: list[nn.Module] = [nn.LeakyReLU(SLOPE)] if pre else []
        up: list[nn.Module] = [nn.Upsample(scale_factor=2, mode="nearest")] if resize == "up" else []
        down: list[nn.Module] = [nn.AvgPool2d(2)] if resize == "down" else []
        convolutions = [nn.Conv2d(c_in, c_out, 3, padding=1), nn.LeakyReLU(SLOPE), nn.Conv2d(c_out, c_out, 3, padding=1)]
        self.change = nn.Sequential(*first, *up, *convolutions, *down)
        self.stay = nn.Sequential(*up, *down, *([nn.Conv2d(c_in, c_out, 1)] if c_in != c_out else []))

    def forward(self, x: Tensor) -> Tensor:
        x = _channels_last(x)
        out: Tensor = self.stay(x) + self.change(x)
        return out


class CriticBlock(nn.Module):
    """A residual block `down` of a critic: (N, c_in, H, W) to (N, c_out, H / 2, W / 2). Its pooling is part of its second convolution."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        first, second = Convolution(c_in, c_out, 3, padding=1), Convolution(c_out, c_out, 3, padding=1, pooled=True)
        self.change = nn.Sequential(nn.LeakyReLU(SLOPE), first, nn.LeakyReLU(SLOPE), second)
        self.stay = nn.Sequential(nn.AvgPool2d(2), *([Convolution(c_in, c_out, 1)] if c_in != c_out else []))

    def forward(self, x: Tensor) -> Tensor:
        x = _channels_last(x)
        out: Tensor = self.stay(x) + self.change(x)
        return out


def _channels_last(x: Tensor) -> Tensor:
    """The same numbers in another order in memory: on a CPU convolutions are up to twice as fast, and pooling seven times."""
    return x.contiguous(memory_format=torch.channels_last)


class Encoder(nn.Module):
    """E: images (N, C, S, S) to latents (N, Z, 1, 1), or (N, Z, 4, 4)."""

    def __init__(self, a: Architecture, channels: int) -> None:
        super().__init__()
        top = a.encoder[-1]
        if a.latent_side == 1:
            last = [nn.LeakyReLU(SLOPE), nn.Conv2d(top, top, 4), nn.LeakyReLU(SLOPE), nn.Conv2d(top, a.latent, 1)]
        else:
            last = [Block(top, top), nn.LeakyReLU(SLOPE), nn.Conv2d(top, a.latent, 1)]
        blocks = [Block(c, d, "down") for c, d in pairwise(a.encoder)]
        self.layers = nn.Sequential(nn.Conv2d(channels, a.encoder[0], 3, padding=1), *blocks, *last)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(_channels_last(x))
        return out


class Generator(nn.Module):
    """G: latents (N, Z, 1, 1), or (N, Z, 4, 4), to images (N, C, S, S), without a last activation."""

    def __init__(self, a: Architecture, channels: int) -> None:
        super().__init__()
        first = nn.Conv2d(a.latent, a.generator[0], 4, padding=3) if a.latent_side == 1 else Block(a.latent, a.generator[0], pre=False)
        last = a.generator[-1]
        self.layers = nn.Sequential(
            first,
            *(Block(c, d, "up") for c, d in pairwise(a.generator)),
            Block(last, last),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(last, channels, 1),
        )

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.layers(z)
        return out


class ImageCritic(nn.Module):
    """D_X: images (N, C, S, S) to (N,). It sees a batch: one channel is how much the batch varies (minibatch standard deviation)."""

    def __init__(self, a: Architecture, channels: int) -> None:
        super().__init__()
        top = a.critic[-1]
        blocks = [CriticBlock(c, d) for c, d in pairwise(a.critic)]
        self.layers = nn.Sequential(Convolution(channels, a.critic[0], 3, padding=1), *blocks)
        self.head = nn.Sequential(nn.LeakyReLU(SLOPE), Convolution(top + 1, top, 4), nn.LeakyReLU(SLOPE), Convolution(top, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(with_batch_spread(self.layers(_channels_last(x))))
        return out.flatten()


class LatentCritic(nn.Module):
    """D_Z: latents (N, Z, 1, 1), or (N, Z, 4, 4), to (N,), by three dense layers."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        inputs = a.latent * a.latent_side**2
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(inputs, a.dense),
            nn.LeakyReLU(SLOPE),
            nn.Linear(a.dense, a.dense),
            nn.LeakyReLU(SLOPE),
            nn.Linear(a.dense, 1),
        )

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.layers(z)
        return out.flatten()


def batch_spread(f: Tensor) -> Tensor:
    """The standard deviation of features (N, C, h, w) over the batch, averaged over channels and positions: a scalar."""
    return (f.var(0, unbiased=False) + 1e-8).sqrt().mean()  # 1e-8: the root's gradient at 0 is not finite


def with_batch_spread(f: Tensor, spread: Tensor | None = None) -> Tensor:
    """Features with one more channel that holds one number: their own `batch_spread` unless another is given.

    Args: f: (N, C, h, w).   Returns: (N, C + 1, h, w).
    """
    spread = batch_spread(f) if spread is None else spread
    return torch.cat([f, spread.expand(f.shape[0], 1, *f.shape[2:])], 1)
