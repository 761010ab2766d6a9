"""The classifier alone, from pictures and tags: what training with text has to beat."""

import torch

from novelette.classify import algorithm
from novelette.classify.game import Turns
from novelette.tags.examples import Examples
from novelette.tags.players import Scorer, Sights, classifier, kept
from novelette.tags.recipe import QUICK, Recipe
from novelette.training import Run

__all__ = ["PAPER", "TINY", "Config", "Scorer", "fit"]

PAPER = "no paper"


class Config(Recipe, frozen=True, extra="forbid"):
    """Nothing but the schedule."""


TINY = Config(**QUICK)


def fit(examples: Examples, config: Config, *, seed: int, device: torch.device, run: Run) -> Scorer:
    """Train by cross-entropy with one of the picture's tags, drawn anew at each step."""
    a, sights = config, Sights(examples, device, texts=False)
    c = classifier(examples, sights, a, seed)
    turns = Turns(len(examples), a, seed)
    algorithm.plain(c, sights, sights.truth, turns, run, seed=seed)
    return kept(a, c)
