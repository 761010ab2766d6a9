"""Bayes factor: the odds that a picture comes from a constant model of novelties rather than from one learnt by counting grey levels.

Every pixel's level is a categorical variable of its own; its probabilities have a Dirichlet prior, which counts of the training pictures
update. So the evidence of the normal model has a closed form, and nothing is optimized (technical report, 2.2).
"""

import math

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from novelette.data.images import as_tensor
from novelette.settings import setting
from novelette.training import Run

PAPER = "a technical report on deep learning for novelty detection, 2.2; Kass, Raftery: Bayes factors (1995)"

COUNTED = 256  # images at a time


class Config(BaseModel, frozen=True, extra="forbid"):
    """Chosen on held-out training pictures of MNIST and Fashion-MNIST."""

    levels: int = setting(2, "how many grey levels are distinguished", ge=2, le=256)
    prior_count: float = setting(
        0.5, "α of the Dirichlet prior: in how many pictures each level counts as seen before training", gt=0, le=1000
    )
    novel_prior: float = setting(0.5, "c, how likely a picture is novel before it is looked at; it moves all scores alike", gt=0, lt=1)


TINY = Config()


def paper() -> Config:
    """All probabilities of a pixel's levels alike likely at first, as the report's integral has it: α = 1."""
    return Config(prior_count=1.0)


def fit(
    images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run | None = None
) -> "Scorer":
    """Count the levels of each pixel over normal images, uint8 (N, C, S, S)."""
    pixels, k = images[0].numel(), config.levels
    counts = torch.zeros(pixels * k, dtype=torch.long)
    for part in images.split(COUNTED):
        counts += torch.bincount(places(as_tensor(part), k).flatten(), minlength=pixels * k)
    scorer = Scorer(config, counts.view(*images.shape[1:], k).int())
    scorer.module().to(device)
    return scorer


def places(x: Tensor, levels: int) -> Tensor:
    """Where in a row of (pixel, level) pairs each pixel of images (N, C, S, S) in [-1, 1] stands: (N, P), P = C * S * S.

    A level is ⌊g K / 256⌋ of the grey value g in 0..255.
    """
    grey = ((x.flatten(1) + 1) * 127.5).round()
    level = (grey * (levels / 256)).floor().long()  # exact: K / 256 and g K / 256 have few binary digits
    return level + levels * torch.arange(level.shape[1], device=x.device)


def surprises(counts: Tensor, alpha: float, others: int = 0) -> Tensor:
    """-log((n + α) / (N + α K)) of every pixel and level, in nats.

    Args: counts: n, int (C, S, S, K).   others: how many of the N images are left out, each of which had the level that is asked for.
    Returns: (C, S, S, K) float32.
    """
    n = counts[0, 0, 0].sum() - others
    return -torch.log(((counts - others).clamp_min(0) + alpha) / (n + alpha * counts.shape[-1]))


class Scorer:
    """Counts, int32 (C, S, S, K): how many training images have each level at each pixel."""

    keeps_pictures = False

    def __init__(self, config: Config, counts: Tensor) -> None:
        self.config, self.counts = config, counts
        self.odds = Odds(surprises(counts, config.prior_count), config.novel_prior)

    @torch.inference_mode()
    def score(self, x: Tensor) -> Tensor:
        """The logarithm of the odds of novel against normal: (N, C, S, S) in [-1, 1] -> (N,)."""
        out: Tensor = self.odds(x)
        return out

    @torch.inference_mode()
    def score_own(self, x: Tensor) -> Tensor:
        """`score` of training images, each by the counts of the others: (N, C, S, S) -> (N,)."""
        out: Tensor = Odds(surprises(self.counts, self.config.prior_count, others=1), self.config.novel_prior).to(x.device)(x)
        return out

    @torch.inference_mode()
    def heatmap(self, x: Tensor) -> Tensor:
        """The surprise at each pixel, -log p(x_p | D) in nats, averaged over channels: (N, C, S, S) -> (N, S, S)."""
        return self.odds.surprise(x).view_as(x).mean(1)

    def module(self) -> nn.Module:
        return self.odds

    def state(self) -> dict[str, Tensor]:
        return {"counts": self.counts}

    @classmethod
    def from_state(cls, config: Config, state: dict[str, Tensor], channels: int, size: int) -> "Scorer":
        """Rebuild from `state()`. Raises: RuntimeError when the counts are of another shape."""
        expected = (channels, size, size, config.levels)
        if state["counts"].shape != expected:
            raise RuntimeError(f"counts of shape {tuple(state['counts'].shape)} where {expected} was expected")
        return cls(config, state["counts"])


class Odds(nn.Module):
    """Images (N, C, S, S) in [-1, 1] to the log odds of novel against normal, (N,).

        log P(novel | x, D) / P(normal | x, D) = log c / (1 - c) + log p(x | novel) - log p(x | normal, D)
        p(x | normal, D) = Π_p (n_p(x_p) + α) / (N + α K),   p(x | novel) = K^-P

    n_p(k) of the N training images D have level k at pixel p, of P; K levels. The product is the Dirichlet-multinomial evidence
    ∫ p(x | θ) p(θ | D) dθ with p(θ) = Π_p Dirichlet(α, ..., α). Of novelties nothing is known: all pictures are alike likely.

    Args: table: the surprise -log p(x_p | D) of each pixel and level, (C, S, S, K).   c: the prior probability of a novelty.
    """

    table: Tensor

    def __init__(self, table: Tensor, c: float) -> None:
        super().__init__()
        self.levels, self.constant = table.shape[-1], math.log(c / (1 - c)) - table[..., 0].numel() * math.log(table.shape[-1])
        self.register_buffer("table", table)

    def forward(self, x: Tensor) -> Tensor:
        return self.surprise(x).sum(1) + self.constant

    def surprise(self, x: Tensor) -> Tensor:
        """-log p(x_p | D) of each number of an image: (N, P)."""
        return self.table.flatten()[places(x, self.levels)]
