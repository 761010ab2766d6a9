"""DISTN: the classifier learns the teacher's softened distribution over labels as well as the labels themselves."""

import torch
from torch import Tensor

from novelette.classify.game import Taught, classification
from novelette.classify.losses import Distance, distillation
from novelette.classify.recipe import QUICK, WithTeacher
from novelette.classify.teaching import teach
from novelette.settings import setting
from novelette.training import Run

PAPER = "Hinton, Vinyals, Dean: Distilling the knowledge in a neural network (NeurIPS workshop 2014), section 2"


class Config(WithTeacher, frozen=True, extra="forbid"):
    """Temperature and weight are the defaults of the code of KDGAN's authors (docs/classify.md says what they ran)."""

    temperature: float = setting(3.0, "temperature, by which scores are divided before the softmax", gt=0, le=1000)
    soft_weight: float = setting(0.3, "weight of the teacher's distribution; the labels have the rest", ge=0, le=1)
    distance: Distance = setting(
        "kl", "distance to the teacher: Kullback-Leibler divergence (kl), or half the squared distance of scores (l2)"
    )


TINY = Config(**QUICK)


def loss(h: Tensor, f: Tensor, y: Tensor, *, temperature: float, soft_weight: float, distance: Distance) -> Tensor:
    """(1 - w) (-log p_h(y)) + w T² KL(softmax(f / T) || softmax(h / T)): scores (B, K) twice, labels (B,) to (B,).

    T² makes the gradients of both terms alike in size whatever T. The divergence has the gradient of Hinton's cross-entropy. By l2 its
    place is taken by ½ ‖h / T - f / T‖², so that T cancels out.
    """
    soft = temperature**2 * distillation(h / temperature, f / temperature, distance)
    return (1 - soft_weight) * classification(h, y) + soft_weight * soft


def fit(images: Tensor, labels: Tensor, config: Config, *, classes: int, seed: int, device: torch.device, run: Run) -> Taught:
    """Train on images, uint8 (N, C, S, S), and labels, int64 (N,) below `classes`."""

    def softened(h: Tensor, f: Tensor, y: Tensor) -> Tensor:
        return loss(h, f, y, temperature=config.temperature, soft_weight=config.soft_weight, distance=config.distance)

    return teach(images, labels, config, softened, classes=classes, seed=seed, device=device, run=run)
