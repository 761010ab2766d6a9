"""A classifier as a detector of what belongs to none of its classes: how uncertain it is under dropout (novelette.methods.certainty).

What is drawn for dropout is drawn once: a score is a function of the image alone.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from novelette.methods.certainty import entropy
from novelette.training import generators

PASSES = 20  # predictions that the mean is of
SCORED = 256  # images at a time


class Reading(nn.Module):
    """A player's distribution over labels, and how uncertain it is.

        p = softmax(h)                                                     without dropout
        1 - C = H(p̄) / log K,   p̄ the mean over the passes of softmax(h)   with dropout     (the technical report, 2.3)

    A player without dropout, such as the ResNet, is asked once: p̄ = p.

    Args: net: a player, as `players.build` makes it.   kept: what each pass keeps before each dense layer that has dropout, bool (T, F).
    """

    def __init__(self, net: nn.Sequential, kept: Sequence[Tensor]) -> None:
        super().__init__()
        self.net = net
        for i, of_layer in enumerate(kept):
            self.register_buffer(f"kept{i}", of_layer)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, S, S) in [-1, 1] to how uncertain the prediction is, (N,), in [0, 1]."""
        return self.both(x)[1]

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, C, S, S) to probabilities (N, K) and how uncertain the prediction is, (N,).

        What lies before the first dropout is computed once.
        """
        layers = list(self.net)
        first = next((i for i, layer in enumerate(layers) if isinstance(layer, nn.Dropout)), len(layers))
        for layer in layers[:first]:
            x = layer(x)
        plain, passes, i = x, x[None], 0
        for layer in layers[first:]:
            if isinstance(layer, nn.Dropout):
                passes, i = passes * self.get_buffer(f"kept{i}")[:, None] / (1 - layer.p), i + 1
            else:
                plain, passes = layer(plain), layer(passes)
        p, mean = plain.softmax(1), passes.softmax(-1).mean(0)
        return p, entropy(mean) / math.log(p.shape[1])


class Scorer:
    """See novelette.detector.Scorer; `probability` says which class."""

    keeps_pictures = False

    def __init__(self, net: nn.Sequential, kept: Sequence[Tensor]) -> None:
        self.reading = Reading(net, kept).eval()

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities (N, K) and scores (N,) of images (N, C, S, S)."""
        with torch.inference_mode():
            parts = [self.reading.both(part) for part in x.split(SCORED)]
        return torch.cat([p for p, _ in parts]), torch.cat([score for _, score in parts])

    def score(self, x: Tensor) -> Tensor:
        """1 - C: (N, C, S, S) in [-1, 1] -> (N,)."""
        return self.both(x)[1]

    def score_own(self, x: Tensor) -> Tensor:
        """`score`: no training image is kept."""
        return self.score(x)

    def heatmap(self, x: Tensor) -> Tensor | None:
        """None: a certainty has no place."""
        return None

    def module(self) -> nn.Module:
        return self.reading

    def state(self) -> dict[str, Tensor]:
        return dict(self.reading.state_dict())

    @classmethod
    def from_state(cls, net: nn.Sequential, state: dict[str, Tensor]) -> "Scorer":
        """Rebuild from `state()`.   Args: net: a player of the same kind.   Raises: RuntimeError for names or shapes of another."""
        kept = [state[name] for name in sorted(name for name in state if name.startswith("kept"))]
        if [k.shape for k in kept] != [(PASSES, width) for width in dropped(net)]:
            raise RuntimeError("what dropout keeps is of another network")
        scorer = cls(net, kept)
        scorer.reading.load_state_dict(state)
        return scorer

    @classmethod
    def of(cls, net: nn.Sequential, seed: int) -> "Scorer":
        """A trained player's, with draws that are a function of the seed."""
        rng = generators([seed], 1)[0]
        rates = [layer.p for layer in net if isinstance(layer, nn.Dropout)]
        kept = [torch.rand(PASSES, width, generator=rng) >= p for width, p in zip(dropped(net), rates, strict=True)]
        return cls(net, [of_layer.to(next(net.parameters()).device) for of_layer in kept])


def dropped(net: nn.Sequential) -> list[int]:
    """How many numbers enter each layer of dropout."""
    layers, widths, width = list(net), [], 0
    for layer in layers:
        if isinstance(layer, nn.Linear):
            width = layer.out_features
        elif isinstance(layer, nn.Dropout):
            widths.append(width)
    return widths
