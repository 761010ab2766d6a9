"""KDGAN: a classifier that sees pictures learns from a teacher that reads their text as well, and both from a discriminator that does too.

The text is there in training alone (privileged, section 4.2). The classifier is what is kept.
"""

import torch

from novelette.classify import algorithm
from novelette.classify.concrete import Estimator
from novelette.classify.game import Player, Turns
from novelette.classify.losses import Distance
from novelette.classify.recipe import Who
from novelette.settings import setting
from novelette.tags.examples import Examples
from novelette.tags.players import Scorer, Sights, classifier, kept, reader
from novelette.tags.recipe import QUICK, Game
from novelette.training import Run

__all__ = ["PAPER", "TINY", "Config", "Scorer", "fit"]

PAPER = "Wang, Zhang, Sun, Qi: KDGAN, knowledge distillation with generative adversarial networks (NeurIPS 2018), section 4.2"


class Config(Game, frozen=True, extra="forbid"):
    """Eq. 3's weights, and how players learn from each other."""

    passes_t: int = setting(1, "the teacher's passes over the pictures in an epoch", ge=0, le=1000)
    alpha: float = setting(0.1, "share of the classifier's tags in the game; the others are the teacher's", gt=0, lt=1)
    beta: float = setting(3.0, "weight of the classifier's distance to the teacher", ge=0, le=1e6)
    gamma: float = setting(1e-3, "weight of the teacher's distance to the classifier", ge=0, le=1e6)
    label_weight: float = setting(
        0.0, "weight of the true tags in the classifier's loss during the game: 0 in the paper, but not in its authors' code", ge=0, le=1e6
    )
    distance: Distance = setting(
        "kl", "distance between two players: Kullback-Leibler divergence (kl), or half the squared distance of their scores (l2)"
    )
    estimator: Estimator = setting(
        "concrete", "how rewards move scores: concrete (Gumbel-Max, Eq. 9), density, or categorical (no relaxation)"
    )

    def passes(self) -> dict[Who, int]:
        return {"d": self.passes_d, "t": self.passes_t, "c": self.passes_c}


TINY = Config(**QUICK, width=16, reading_rate=1e-2)


def fit(examples: Examples, config: Config, *, seed: int, device: torch.device, run: Run) -> Scorer:
    """Train by Algorithm 1, p_u(y|x) the same for all tags of a picture.   Raises: InputError when there is no text."""
    a, sights = config, Sights(examples, device, texts=True)
    turns, (c, t, d) = Turns(len(examples), a, seed), players(examples, sights, a, seed)
    algorithm.kdgan(c, t, d, sights, sights.truth, turns, a, run, seed=seed)
    return kept(a, c)


def players(examples: Examples, sights: Sights, a: Config, seed: int) -> tuple[Player, Player, Player]:
    """Classifier, teacher and discriminator with initial weights."""
    return classifier(examples, sights, a, seed), reader(examples, sights, a, seed, 1), reader(examples, sights, a, seed, 2)
