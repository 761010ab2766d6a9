"""MIMIC: the classifier's scores are pulled towards the teacher's, without regard to the labels."""

from functools import partial

from torch import Tensor

from novelette.classify.losses import distillation
from novelette.classify.recipe import QUICK, WithTeacher
from novelette.classify.teaching import teach

PAPER = "Ba, Caruana: Do deep nets really need to be deep? (NeurIPS 2014), Eq. 1"


class Config(WithTeacher, frozen=True, extra="forbid"):
    """Nothing but the schedule."""


TINY = Config(**QUICK)


def loss(h: Tensor, f: Tensor, y: Tensor) -> Tensor:
    """½ ‖h - f‖² of the classifier's and the teacher's scores, (B, K), whatever the labels y: (B,)."""
    return distillation(h, f, "l2")


fit = partial(teach, loss=loss)
