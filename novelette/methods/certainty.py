"""Classifier certainty: a network that tells the known classes apart should be unsure of what belongs to none of them.

It is not, by itself: noise is put into a class with certainty. The technical report (2.3) found that the mean prediction under dropout is
unsure of noise and sure of the classes; two more readings ask how stable a prediction is.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, dropout
from torch.optim import Adam

from novelette.batches import batches
from novelette.checkpoint import HasState
from novelette.errors import InputError
from novelette.nets import draw_kaiming_weights
from novelette.settings import setting
from novelette.training import Run, descend, generators, set_learning_rate

PAPER = "a technical report on deep learning for novelty detection, 2.3; Springenberg et al.: Striving for simplicity (2014)"

SCORED = 256  # images at a time


class Config(BaseModel, frozen=True, extra="forbid"):
    """A narrow all-convolutional net on the classes' labels: those of a named set, or a folder's subfolders."""

    reading: Literal["plain", "dropout", "noise", "gradient"] = setting(
        "dropout",
        "what is scored: one prediction (plain), the mean of several under dropout or noise, or how steep a prediction is (gradient)",
    )
    passes: int = setting(20, "predictions that are averaged, with --reading dropout or noise", ge=1, le=1000)
    dropped: float = setting(
        0.2,
        "share that dropout removes after each strided convolution, in training and in each pass; two fifths of it from the image",
        gt=0,
        le=0.9,
    )
    noise: float = setting(0.3, "standard deviation of the noise on pixels in [-1, 1], with --reading noise", gt=0, le=10)
    width: int = setting(16, "channels of the first block; the other two have twice as many", ge=1, le=1024)
    steps: int = setting(1_500, "training updates", ge=1, le=100_000_000)
    batch_size: int = setting(32, "pictures per update", ge=2, le=4096)
    learning_rate: float = setting(3e-3, "Adam's step size at first; it falls to zero on a cosine", gt=0, le=1)

    @property
    def dropouts(self) -> tuple[float, float, float]:
        """Probabilities before the three blocks."""
        return 0.4 * self.dropped, self.dropped, self.dropped

    def steps_for(self, n: int) -> int:
        """Updates on `n` pictures."""
        return self.steps


TINY = Config(reading="plain", passes=3, width=4, steps=30, batch_size=16, learning_rate=3e-3)


def paper() -> Config:
    """All-CNN-C's width and dropout, 0.2 and 0.5, and a length of our own: the report states none."""
    return Config(width=96, dropped=0.5, steps=20_000)


class AllConv(nn.Module):
    """Images (N, C, S, S) to logits of K classes (N, K): All-CNN-C of Springenberg et al., Table 1, at any width.

    Three blocks of three convolutions; the last of the first two has stride 2, and takes the place of pooling. Logits are means over
    positions. Dropout stands before each block.

    Args: dropouts: its probabilities.
    """

    def __init__(self, channels: int, classes: int, width: int, dropouts: tuple[float, float, float]) -> None:
        super().__init__()
        u, v, self.classes, self.dropouts = width, 2 * width, classes, dropouts
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(*_conv(channels, u), *_conv(u, u), *_conv(u, u, stride=2)),
                nn.Sequential(*_conv(u, v), *_conv(v, v), *_conv(v, v, stride=2)),
                nn.Sequential(*_conv(v, v, padding=0), *_conv(v, v, 1, padding=0), nn.Conv2d(v, classes, 1)),
            ]
        )

    def forward(self, x: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """Args: masks: what is kept of what enters each block, bool (C', S', S'); by default drawn in training, and all of it otherwise."""
        for i, (block, p) in enumerate(zip(self.blocks, self.dropouts, strict=True)):
            x = block(dropout(x, p, self.training) if masks is None else x * masks[i] / (1 - p))
        return x.mean((2, 3))


def _conv(c_in: int, c_out: int, kernel: int = 3, *, stride: int = 1, padding: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(c_in, c_out, kernel, stride, padding), nn.ReLU()]


def fit(images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run) -> "Scorer":
    """Train on normal images, uint8 (N, C, S, S), of known classes: labels (N,), whatever numbers.

    Raises: InputError when there are no labels, or of one class alone.
    """
    classes, y = _classes(labels)
    run.settings["labels"] = hashlib.sha256(y.numpy().tobytes()).hexdigest()[:16]
    channels, size = images.shape[1:3]
    net = AllConv(channels, classes, config.width, config.dropouts)
    draw_kaiming_weights(net, generators([seed], 0)[0], fan="in")
    net, y = net.to(device).train(), y.to(device)
    optimizer = Adam(net.parameters(), config.learning_rate)
    x_of = batches([images], config.batch_size, [seed], device)

    def scorer() -> Scorer:
        return Scorer.of(config, net, seed, channels, size)

    parts: dict[str, HasState] = {"net": net, "optimizer": optimizer}
    for step in run.steps(config.steps, parts, seed=seed, images=config.batch_size, scorers=lambda: [scorer()]):
        set_learning_rate(optimizer, config.learning_rate, "cosine", step, config.steps)
        logits, known = net(x_of[step][:, 0]), y[x_of.numbers(step)]
        l = cross_entropy(logits, known, reduction="none")
        descend(optimizer, l.mean())
        if run.wants_log(step):
            run.log(step, loss=l, accuracy=logits.argmax(1) == known)
    return scorer()


def _classes(labels: Tensor | None) -> tuple[int, Tensor]:
    """How many classes, and the labels as their numbers, (N,)."""
    if labels is None:
        raise InputError("certainty learns to tell classes apart: give a folder with a subfolder for each class, or a named set")
    classes, y = labels.unique(return_inverse=True)
    if len(classes) < 2:
        raise InputError(
            "certainty needs two or more normal classes: give a named set with --protocol leave-one-out, or a folder with subfolders"
        )
    return len(classes), y


class Scorer:
    """A classifier, and what it takes to read how certain it is.

    Args: draws: of `dropout` what each pass keeps before each block, three bool (T, C', S', S'); of `noise` what each adds, (T, C, S, S).
    """

    keeps_pictures = False

    def __init__(self, config: Config, net: AllConv, draws: Sequence[Tensor], size: int) -> None:
        self.config, self.size = config, size
        self.reading = (Slope(net) if config.reading == "gradient" else Uncertainty(config.reading, net, draws)).eval()

    @torch.inference_mode()
    def score(self, x: Tensor) -> Tensor:
        """1 - C, the entropy of the prediction over its highest, or the norm ‖∂y/∂x‖: (N, C, S, S) in [-1, 1] -> (N,)."""
        return torch.cat([self.reading(part) for part in x.split(SCORED)])

    def score_own(self, x: Tensor) -> Tensor:
        """`score`: no training image is kept."""
        return self.score(x)

    @torch.inference_mode()
    def heatmap(self, x: Tensor) -> Tensor | None:
        """With `gradient` how steep the logits are in each pixel, (N, S, S); a certainty has no place."""
        if not isinstance(self.reading, Slope):
            return None
        return torch.cat([self.reading.squares(part).mean(1).sqrt() for part in x.split(SCORED)])

    def module(self) -> nn.Module:
        return self.reading

    def state(self) -> dict[str, Tensor]:
        return {**self.reading.state_dict(), "size": torch.tensor(self.size)}

    @classmethod
    def from_state(cls, config: Config, state: dict[str, Tensor], channels: int, size: int) -> "Scorer":
        """Rebuild from `state()`. Raises: RuntimeError when names or shapes are of another network, or of images of another size."""
        if int(state["size"]) != size:
            raise RuntimeError(f"a state of images of {int(state['size'])} px where {size} was expected")
        classes = state["net.blocks.2.4.weight"].shape[0]
        draws = [state[name] for name in sorted(name for name in state if name.startswith("draw"))]
        scorer = cls(config, AllConv(channels, classes, config.width, config.dropouts), draws, size)
        scorer.reading.load_state_dict({name: value for name, value in state.items() if name != "size"})
        return scorer

    @classmethod
    def of(cls, config: Config, net: AllConv, seed: int, channels: int, size: int) -> "Scorer":
        """A scorer on the CPU with a copy of a network's weights, and draws that are a function of the seed."""
        state = {f"net.{name}": value.detach().cpu().clone() for name, value in net.state_dict().items()}
        state |= {f"draw{i}": draw for i, draw in enumerate(draws_of(config, seed, channels, size))}
        return cls.from_state(config, state | {"size": torch.tensor(size)}, channels, size)


def draws_of(config: Config, seed: int, channels: int, size: int) -> list[Tensor]:
    """What the passes of a reading keep, or add, drawn once: a score is a function of the image alone."""
    rng, t = generators([seed], 1)[0], config.passes
    if config.reading == "noise":
        return [config.noise * torch.randn(t, channels, size, size, generator=rng)]
    if config.reading != "dropout":
        return []
    half, quarter = (size + 1) // 2, (size + 3) // 4
    entering = ((channels, size), (config.width, half), (2 * config.width, quarter))
    return [torch.rand(t, c, s, s, generator=rng) >= p for (c, s), p in zip(entering, config.dropouts, strict=True)]


class Uncertainty(nn.Module):
    """Images (N, C, S, S) to how uncertain the prediction is, (N,), in [0, 1].

    1 - C = H(p̄) / log K,   H(p) = -Σ_k p_k log p_k,   p̄ the mean over the passes of softmax(y)
    """

    def __init__(self, reading: str, net: AllConv, draws: Sequence[Tensor]) -> None:
        super().__init__()
        self.reading, self.net, self.count = reading, net, len(draws)
        for i, draw in enumerate(draws):
            self.register_buffer(f"draw{i}", draw)

    def forward(self, x: Tensor) -> Tensor:
        p = torch.stack([y.softmax(1) for y in self.logits(x)]).mean(0)
        return entropy(p) / math.log(p.shape[1])

    def logits(self, x: Tensor) -> Iterator[Tensor]:
        """y of each pass, (N, K)."""
        if self.reading == "plain":
            yield self.net(x)
            return
        for of_pass in zip(*(self.get_buffer(f"draw{i}") for i in range(self.count)), strict=True):
            yield self.net(x, of_pass) if self.reading == "dropout" else self.net(x + of_pass[0])


def entropy(p: Tensor) -> Tensor:
    """-Σ_k p_k log p_k in nats: rows (N, K) that add up to 1 to (N,).

    Where one p is nearly 1, float32 knows its distance from 1 from the sum q of the others alone: -(1 - q) log(1 - q) = q - q²/2 - O(q³).
    """
    rest = p.topk(p.shape[1], dim=1).values[:, 1:]
    q = rest.sum(1)
    top = torch.where(q < 1e-3, q - q.square() / 2, -(1 - q) * (1 - q).log())
    return top - (rest * rest.clamp_min(1e-38).log()).sum(1)


class Slope(nn.Module):
    """Images (N, C, S, S) to the Frobenius norm of ∂y/∂x, (N,): how far the logits y move when the image moves a little."""

    def __init__(self, net: AllConv) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.squares(x).flatten(1).sum(1).sqrt()

    def squares(self, x: Tensor) -> Tensor:
        """Σ_k (∂y_k/∂x)², (N, C, S, S)."""
        with torch.inference_mode(False), torch.enable_grad():
            x = x.detach().clone().requires_grad_()
            y = self.net(x)
            slopes = [torch.autograd.grad(one.sum(), x, retain_graph=True)[0] for one in y.unbind(1)]
        return torch.stack(slopes).square().sum(0)
