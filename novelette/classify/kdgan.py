"""KDGAN: a classifier and a teacher draw labels that a discriminator cannot tell from true ones, and learn from each other.

The teacher's advice has little spread and the discriminator's is right in the end (section 3.2). The classifier alone is kept.
"""

import torch
from torch import Tensor

from novelette.classify import algorithm
from novelette.classify.concrete import Estimator
from novelette.classify.game import Taught, Turns, enter
from novelette.classify.losses import Distance
from novelette.classify.pictures import Pictures
from novelette.classify.recipe import QUICK, Rewards, Who, WithTeacher
from novelette.settings import setting
from novelette.training import Run

PAPER = "Wang, Zhang, Sun, Qi: KDGAN, knowledge distillation with generative adversarial networks (NeurIPS 2018)"


class Config(Rewards, WithTeacher, frozen=True, extra="forbid"):
    """The authors' code's for MNIST with 100 pictures, which the paper leaves open. With 1,000 it has batch_size 50 and beta 0.25, with
    10,000 batch_size 100 and alpha 0.2.
    """

    passes_d: int = setting(20, "the discriminator's passes over the pictures in an epoch", ge=1, le=1000)
    passes_t: int = setting(10, "the teacher's passes over the pictures in an epoch", ge=0, le=1000)
    alpha: float = setting(0.1, "share of the classifier's labels in the game; the others are the teacher's", gt=0, lt=1)
    beta: float = setting(2.0, "weight of the classifier's distance to the teacher", ge=0, le=1e6)
    gamma: float = setting(1e-4, "weight of the teacher's distance to the classifier", ge=0, le=1e6)
    label_weight: float = setting(
        0.0,
        "weight of the true labels in the classifier's loss during the game: 0 in the paper, but not in its authors' code",
        ge=0,
        le=1e6,
    )
    distance: Distance = setting(
        "l2", "distance between two players: half the squared distance of their scores (l2), or Kullback-Leibler divergence (kl)"
    )
    estimator: Estimator = setting(
        "concrete", "how rewards move scores: concrete (Gumbel-Max, Eq. 9), density, or categorical (no relaxation)"
    )

    def passes(self) -> dict[Who, int]:
        return {"d": self.passes_d, "t": self.passes_t, "c": self.passes_c}


TINY = Config(**QUICK, passes_d=2, passes_t=1)


def fit(images: Tensor, labels: Tensor, config: Config, *, classes: int, seed: int, device: torch.device, run: Run) -> Taught:
    """Train on images, uint8 (N, C, S, S), and labels, int64 (N,) below `classes`: Algorithm 1.

    Raises: InputError for images of a size that the networks do not take.
    """
    a, pictures, y_of = config, Pictures(images.to(device), config, seed), labels.to(device)
    c, t, d = enter((a.classifier, a.teacher, a.teacher), images, classes, a, seed, device)
    turns = Turns(len(images), a, seed)
    algorithm.kdgan(c, t, d, pictures, y_of.__getitem__, turns, a, run, seed=seed)
    return Taught(c.net.eval(), t.net.eval())
