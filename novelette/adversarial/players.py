"""The networks of the adversarial game: four discriminators, and the generator and encoder that they share with nets.py."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from novelette.nets import SLOPE, Decoder, Encoder, block_widths, draw_kaiming_weights, draw_weights
from novelette.residual import Block, batch_spread, with_batch_spread

Kind = Literal["plain", "dropout", "convolutional", "residual"]

DROPPED = 0.5  # of what each dense layer puts out


class Discriminator(nn.Module):
    """D: images (N, C, S, S) to logits (N,), D(x) = σ(logit).

    `plain` and `dropout` are two dense layers of 16 u units, u the width; `convolutional` is that of nets.py, u, 2u, 4u, ... channels;
    `residual` has a residual block of residual.py in the place of each convolution.

    Args: minibatch: one more feature says how much the features vary over the batch, so that alike pictures give themselves away. A
        picture to be scored has no batch: it is given the `spread` that normal pictures have (`learn_spread`).
    """

    spread: Tensor

    def __init__(self, kind: Kind, channels: int, size: int, width: int, *, minibatch: bool = False) -> None:
        super().__init__()
        widths, units = block_widths((width,), size), 16 * width
        self.kind, self.minibatch = kind, minibatch
        if kind in ("plain", "dropout"):
            layers: list[nn.Module] = [nn.Flatten()]
            for c_in in (channels * size**2, units):
                layers += [nn.Linear(c_in, units), nn.LeakyReLU(SLOPE)] + ([nn.Dropout(DROPPED)] if kind == "dropout" else [])
            self.features: nn.Module = nn.Sequential(*layers, nn.Unflatten(1, (units, 1, 1)))
        elif kind == "convolutional":
            self.features = Encoder(channels, widths, 1).features
        else:
            blocks = [Block(c, d, "down") for c, d in pairwise((width, *widths))]
            self.features = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), *blocks, nn.LeakyReLU(SLOPE))
        top, side = (units, 1) if kind in ("plain", "dropout") else (widths[-1], 4)
        self.head = nn.Conv2d(top + minibatch, 1, side)
        self.register_buffer("spread", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        f = self.features(x)
        if self.minibatch:
            f = with_batch_spread(f, None if self.training else self.spread)
        out: Tensor = self.head(f)
        return out.flatten()

    @torch.no_grad()
    def learn_spread(self, parts: Sequence[Tensor]) -> None:
        """Take over how much the features of normal images vary over a batch, the mean over batches (B, C, S, S)."""
        was = self.training
        self.eval()
        self.spread.copy_(torch.stack([batch_spread(self.features(x)) for x in parts]).mean())
        self.train(was)

    def draw(self, rng: torch.Generator) -> None:
        """Initial weights; the head's are small, so that D begins near ½."""
        if self.kind == "convolutional":
            draw_weights(self.features, [rng])
        else:
            draw_kaiming_weights(self.features, rng, fan="in")
        draw_weights(self.head, [rng])


class Autoencoder(nn.Module):
    """E and G: images to latents, and latents, drawn or encoded, to images."""

    def __init__(self, channels: int, size: int, width: int, latent: int) -> None:
        super().__init__()
        widths = block_widths((width,), size)
        self.encode, self.generate = Encoder(channels, widths, latent), Decoder(channels, widths, latent)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.generate(self.encode(x))
        return out
