"""NaGAN: a classifier draws labels that a discriminator cannot tell from true ones, and nobody else teaches it."""

import torch
from torch import Tensor

from novelette.classify import algorithm
from novelette.classify.concrete import Estimator
from novelette.classify.game import Taught, Turns, enter
from novelette.classify.pictures import Pictures
from novelette.classify.players import Player
from novelette.classify.recipe import QUICK, Recipe, Rewards, Who
from novelette.settings import setting
from novelette.training import Run

PAPER = "Wang, Zhang, Sun, Qi: KDGAN, knowledge distillation with generative adversarial networks (NeurIPS 2018), section 3.1"


class Config(Rewards, Recipe, frozen=True, extra="forbid"):
    """Settings that KDGAN has as well are as they are there, but for the estimator: plain draws, as in IRGAN, which this adapts."""

    discriminator: Player = setting("lenet", "the discriminator's network")
    passes_d: int = setting(20, "the discriminator's passes over the pictures in an epoch", ge=1, le=1000)
    estimator: Estimator = setting("categorical", "how rewards move scores: concrete (Gumbel-Max), density, or categorical (no relaxation)")

    def passes(self) -> dict[Who, int]:
        return {"d": self.passes_d, "c": self.passes_c}


TINY = Config(**QUICK, passes_d=2)


def fit(images: Tensor, labels: Tensor, config: Config, *, classes: int, seed: int, device: torch.device, run: Run) -> Taught:
    """Train on images, uint8 (N, C, S, S), and labels, int64 (N,) below `classes`: min_c max_d V(c, d), by turns (Eq. 1).

    Raises: InputError for images of a size that the networks do not take.
    """
    a, pictures, y_of = config, Pictures(images.to(device), config, seed), labels.to(device)
    c, d = enter((a.classifier, a.discriminator), images, classes, a, seed, device)
    turns = Turns(len(images), a, seed)
    algorithm.nagan(c, d, pictures, y_of.__getitem__, turns, a, run, seed=seed)
    return Taught(c.net.eval(), None)
