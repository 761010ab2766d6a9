"""Contextual self-supervision: a patch is novel where its surroundings do not predict it.

A picture is cut into patches. A network learns to predict each patch from the patches around it, or the patches around it from the patch:
θ* = argmax Π_x Π_(c, s) p_θ(c | s), with p_θ a Gaussian of constant width, so that -log p is the squared error (technical report, 2.5).
"""

from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.nn.functional import pad, pixel_shuffle, pixel_unshuffle
from torch.optim import Adam

from novelette.batches import batches
from novelette.checkpoint import HasState
from novelette.errors import InputError
from novelette.nets import SLOPE, draw_kaiming_weights
from novelette.netscorer import NetScorer, ScorerOf
from novelette.settings import setting
from novelette.training import Run, descend, generators, set_learning_rate

PAPER = "a technical report on deep learning for novelty detection, 2.5; Doersch, Gupta, Efros: Context prediction (2015)"


class Config(BaseModel, frozen=True, extra="forbid"):
    """A network of three layers that sees one neighbourhood at a time."""

    predict: Literal["patch", "surroundings"] = setting("patch", "what is predicted: the patch from its surroundings, or the reverse")
    patch: Literal[1, 2, 4, 8, 16] = setting(8, "side of a patch, px")
    ring: int = setting(1, "how many patches the surroundings reach in each direction", ge=1, le=4)
    width: int = setting(512, "units of the two hidden layers", ge=1, le=4096)
    steps: int = setting(2_000, "training updates", ge=1, le=100_000_000)
    batch_size: int = setting(16, "pictures per update", ge=1, le=4096)
    learning_rate: float = setting(1e-3, "Adam's step size at first; it falls to zero on a cosine", gt=0, le=1)

    def steps_for(self, n: int) -> int:
        """Updates on `n` pictures."""
        return self.steps


TINY = Config(patch=4, width=16, steps=60, batch_size=8, learning_rate=1e-2)


def paper() -> Config:
    """The report left the idea for later, and states no settings."""
    return Config()


class Contextual(nn.Module):
    """Images (N, C, S, S) to scores (N,): the mean of the map of prediction errors."""

    size: Tensor

    def __init__(self, config: Config, channels: int, size: int) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("size", torch.tensor(size))  # of the images: weights fit any
        patch = channels * config.patch**2
        around = patch * ((2 * config.ring + 1) ** 2 - 1)
        given, asked = (around, patch) if config.predict == "patch" else (patch, around)
        layers: list[nn.Module] = []
        for c_in in (given, config.width):
            layers += [nn.Conv2d(c_in, config.width, 1), nn.LeakyReLU(SLOPE)]
        self.predict = nn.Sequential(*layers, nn.Conv2d(config.width, asked, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.errors(x).flatten(1).mean(1)

    def heatmap(self, x: Tensor) -> Tensor:
        """The squared error at each pixel, averaged over channels: (N, C, S, S) -> (N, S, S). Its mean is the score."""
        return self.errors(x).mean(1)

    def errors(self, x: Tensor) -> Tensor:
        """The squared error of each number of images, the mean over the patches that predict it: (N, C, S, S) twice."""
        patches, around = self._patches_and_around(x)
        if self.config.predict == "patch":
            squares = (self.predict(around) - patches).square()
        else:
            of_each = (self.predict(patches) - around).square()
            squares = self._gathered(of_each) / self._gathered(torch.ones_like(of_each[:1]))
        return pixel_shuffle(squares, self.config.patch)

    @property
    def _directions(self) -> list[tuple[int, int]]:
        """Where the neighbours of a patch lie, from (0, 0) above on the left; the patch itself would be (ring, ring)."""
        r = self.config.ring
        return [(i, j) for i in range(2 * r + 1) for j in range(2 * r + 1) if (i, j) != (r, r)]

    def _patches_and_around(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Patches (N, C p², S / p, S / p), and the M around each, (N, M C p², S / p, S / p), zeros beyond the image's edge."""
        patches = pixel_unshuffle(x, self.config.patch)
        r, side = self.config.ring, patches.shape[-1]
        wide = pad(patches, (r, r, r, r))
        return patches, torch.cat([wide[:, :, i : i + side, j : j + side] for i, j in self._directions], 1)

    def _gathered(self, of_each: Tensor) -> Tensor:
        """The sum, at each patch, of what lies there as a neighbour of others: (N, M C p², S / p, S / p) to (N, C p², S / p, S / p)."""
        r, side = self.config.ring, of_each.shape[-1]
        parts = zip(of_each.chunk(len(self._directions), 1), self._directions, strict=True)
        wide = torch.stack([pad(part, (j, 2 * r - j, i, 2 * r - i)) for part, (i, j) in parts]).sum(0)
        return wide[:, :, r : r + side, r : r + side]


def fit(images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run) -> NetScorer:
    """Train on normal images, uint8 (N, C, S, S).   Raises: InputError when patches of this side do not tile them."""
    channels, size = images.shape[1:3]
    if size % config.patch or size == config.patch:
        raise InputError(f"--patch {config.patch} does not cut images of {size} px into whole patches, two or more across: give another")
    net = Contextual(config, channels, size)
    draw_kaiming_weights(net, generators([seed], 0)[0], fan="in")
    net = net.to(device).train()
    optimizer = Adam(net.parameters(), config.learning_rate)
    x_of = batches([images], config.batch_size, [seed], device)
    parts: dict[str, HasState] = {"net": net, "optimizer": optimizer}
    for step in run.steps(config.steps, parts, seed=seed, images=config.batch_size, scorers=lambda: [Scorer(config, net)]):
        set_learning_rate(optimizer, config.learning_rate, "cosine", step, config.steps)
        l = net(x_of[step][:, 0])
        descend(optimizer, l.mean())
        if run.wants_log(step):
            run.log(step, loss=l)
    return Scorer(config, net)


Scorer = ScorerOf(Contextual)
