"""NOISY: MIMIC with noise on the teacher's scores, as if there were many teachers."""

import torch
from torch import Tensor
from torch.nn.functional import dropout

from novelette.classify.game import Taught
from novelette.classify.losses import distillation
from novelette.classify.recipe import QUICK, WithTeacher
from novelette.classify.teaching import teach
from novelette.settings import setting
from novelette.training import Run

PAPER = "Sau, Balasubramanian: Deep model compression, distilling knowledge from noisy teachers (2016), section 3.2"


class Config(WithTeacher, frozen=True, extra="forbid"):
    """Amount and frequency of the noise are ours."""

    noise: float = setting(0.1, "standard deviation of the noise, as a share of the score", ge=0, le=10)
    noisy_part: float = setting(0.5, "share of the pictures in a batch whose scores get noise", ge=0, le=1)
    dropped: float = setting(0.0, "share of the teacher's scores that are set to 0; the others are scaled up in return", ge=0, lt=1)


TINY = Config(**QUICK)


def perturbed(f: Tensor, noise: float, part: float, dropped: float = 0.0) -> Tensor:
    """Scores (B, K) times δ + ξ, from torch's generator: (B, K).

    ξ ~ N(0, noise²) a score in so large a part of the pictures, 0 in the others; δ = 0 for so many of all scores, 1 / (1 - dropped) for
    the rest, as in the code of KDGAN's authors.
    """
    xi = noise * torch.randn_like(f) * (torch.rand(len(f), 1, device=f.device) < part)
    return f * (dropout(torch.ones_like(f), dropped) + xi)


def fit(images: Tensor, labels: Tensor, config: Config, *, classes: int, seed: int, device: torch.device, run: Run) -> Taught:
    """Train on images, uint8 (N, C, S, S), and labels, int64 (N,) below `classes`."""

    def loss(h: Tensor, f: Tensor, y: Tensor) -> Tensor:
        return distillation(h, perturbed(f, config.noise, config.noisy_part, config.dropped), "l2")

    return teach(images, labels, config, loss, classes=classes, seed=seed, device=device, run=run)
