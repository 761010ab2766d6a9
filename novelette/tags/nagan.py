"""NaGAN: the classifier draws tags that a discriminator, which reads the text as well, cannot tell from the picture's own."""

import torch

from novelette.classify import algorithm
from novelette.classify.concrete import Estimator
from novelette.classify.game import Turns
from novelette.classify.recipe import Who
from novelette.settings import setting
from novelette.tags.examples import Examples
from novelette.tags.players import Scorer, Sights, classifier, kept, reader
from novelette.tags.recipe import QUICK, Game
from novelette.training import Run

__all__ = ["PAPER", "TINY", "Config", "Scorer", "fit"]

PAPER = "Wang, Zhang, Sun, Qi: KDGAN, knowledge distillation with generative adversarial networks (NeurIPS 2018), sections 3.1 and 4.2"


class Config(Game, frozen=True, extra="forbid"):
    """As KDGAN's, but for the estimator: plain draws, as in IRGAN, which this adapts."""

    estimator: Estimator = setting("categorical", "how rewards move scores: concrete (Gumbel-Max), density, or categorical (no relaxation)")

    def passes(self) -> dict[Who, int]:
        return {"d": self.passes_d, "c": self.passes_c}


TINY = Config(**QUICK, width=16, reading_rate=1e-2)


def fit(examples: Examples, config: Config, *, seed: int, device: torch.device, run: Run) -> Scorer:
    """Train by Eq. 1, p_u(y|x) the same for all tags of a picture.   Raises: InputError when there is no text."""
    a, sights = config, Sights(examples, device, texts=True)
    c, d = classifier(examples, sights, a, seed), reader(examples, sights, a, seed, 2)
    turns = Turns(len(examples), a, seed)
    algorithm.nagan(c, d, sights, sights.truth, turns, a, run, seed=seed)
    return kept(a, c)
