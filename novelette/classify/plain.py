"""The classifier alone, from labels: what every teacher has to beat."""

import torch
from torch import Tensor

from novelette.classify import algorithm
from novelette.classify.game import Taught, Turns, enter
from novelette.classify.pictures import Pictures
from novelette.classify.recipe import QUICK, Recipe
from novelette.training import Run

PAPER = "no paper"


class Config(Recipe, frozen=True, extra="forbid"):
    """Nothing but the schedule."""


TINY = Config(**QUICK)


def fit(images: Tensor, labels: Tensor, config: Config, *, classes: int, seed: int, device: torch.device, run: Run) -> Taught:
    """Train on images, uint8 (N, C, S, S), and labels, int64 (N,) below `classes`."""
    a, pictures, y_of = config, Pictures(images.to(device), config, seed), labels.to(device)
    (c,) = enter((a.classifier,), images, classes, a, seed, device)
    turns = Turns(len(images), a, seed)
    algorithm.plain(c, pictures, y_of.__getitem__, turns, run, seed=seed)
    return Taught(c.net.eval(), None)
