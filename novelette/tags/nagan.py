"""NaGAN: the classifier draws tags that a discriminator, which reads the text as well, cannot tell from the picture's own."""

import torch

from novelette.classify import algorithm
from novelette.classify.concrete import Estimator
from novelette.classify.game import Turns
from novelette.classify.recipe import Who
from novelette.settings import setting
from novelette.tags.examples import Examples
from novelette.tags.players import Scorer, Sights, enter, kept
from novelette.tags.recipe import QUICK, Recipe
from novelette.training import Run

__all__ = ["PAPER", "TINY", "Config", "Scorer", "fit"]

PAPER = "Wang, Zhang, Sun, Qi: KDGAN, knowledge distillation with generative adversarial networks (NeurIPS 2018), sections 3.1 and 4.2"


class Config(Recipe, frozen=True, extra="forbid"):
    """Settings that KDGAN has as well are as they are there, but for the estimator: plain draws, as in IRGAN, which this adapts."""

    width: int = setting(64, "of the features of picture and text that the discriminator multiplies", ge=1, le=4096)
    passes_d: int = setting(2, "over the pictures in an epoch, of the discriminator", ge=1, le=1000)
    samples: int = setting(10, "tags that the classifier draws for a picture", ge=1, le=10_000)
    estimator: Estimator = setting("categorical", "how rewards move scores: concrete (Gumbel-Max), density, or categorical (without)")
    temperature: float = setting(1.0, "τ of the concrete distribution in the first epoch of the game", gt=0, le=1000)
    last_temperature: float = setting(0.1, "τ in the last", gt=0, le=1000)

    def passes(self) -> dict[Who, int]:
        return {"d": self.passes_d, "c": self.passes_c}


TINY = Config(**QUICK, width=16, passes_d=1, samples=4)


def fit(examples: Examples, config: Config, *, seed: int, device: torch.device, run: Run) -> Scorer:
    """Train by Eq. 1, p_u(y|x) the same for all tags of a picture.   Raises: InputError when there is no text."""
    a, sights = config, Sights(examples, device, texts=True)
    c, d = enter("cd", examples, sights, a.hidden, a.width, a.learning_rate, seed)
    turns = Turns(len(examples), a, seed)
    algorithm.nagan(c, d, sights, sights.truth, turns, a, run, seed=seed)
    return kept(a, c)
