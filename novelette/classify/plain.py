"""The classifier alone, from labels: what every teacher has to beat."""

import torch
from torch import Tensor

from novelette.classify.game import Taught, Turns, classification, enter, parts, play
from novelette.classify.pictures import Pictures
from novelette.classify.recipe import QUICK, Recipe
from novelette.training import Run

PAPER = "no paper: cross-entropy (2018, for comparison with KDGAN)"


class Config(Recipe, frozen=True, extra="forbid"):
    """Nothing but the schedule."""


TINY = Config(**QUICK)


def fit(images: Tensor, labels: Tensor, config: Config, *, classes: int, seed: int, device: torch.device, run: Run) -> Taught:
    """Train on images, uint8 (N, C, S, S), and labels, int64 (N,) below `classes`."""
    a, pictures, y_of = config, Pictures(images.to(device), config, seed), labels.to(device)
    (c,) = enter((a.classifier,), images, classes, a, seed, device)
    turns = Turns(len(images), a, seed)
    for step in run.steps(len(turns), parts({"c": c}), seed=seed, images=turns.batch_size):
        _, epoch, taken = turns[step]
        i = torch.from_numpy(taken).to(device)
        play({"c": c}, {"c": classification(c(pictures.at(epoch, i)), y_of[i])}, run, step)
    return Taught(c.net.eval(), None)
