"""Settings that every way of training a classifier has: its network, the schedule, and what is done to the pictures."""

from typing import Any, Literal

from pydantic import BaseModel

from novelette.classify import players
from novelette.classify.pictures import Augmentation
from novelette.settings import setting
from novelette.training import Precision

Who = Literal["all", "d", "t", "c"]  # whose move it is; `all` in pretraining


class Recipe(Augmentation, frozen=True, extra="forbid"):
    """The schedule is that of KDGAN in its authors' code for MNIST with 100 pictures, for all methods, so that all move the classifier
    equally often; there the others move it less.
    """

    classifier: players.Player = setting("mlp", "the classifier's network, which is kept")
    divide_widths: int = setting(1, "what all widths are divided by, for smaller networks", ge=1, le=64)
    subtract_mean: bool = setting(False, "subtract the mean training image from every image, as on CIFAR-10")
    pretraining: int = setting(
        200, "passes over the pictures before the method itself, in which all networks learn from labels", ge=0, le=100_000
    )
    epochs: int = setting(100, "epochs of the method itself", ge=1, le=100_000)
    passes_c: int = setting(10, "the classifier's passes over the pictures in an epoch", ge=1, le=1000)
    batch_size: int = setting(
        10, "pictures per update (KDGAN's code: 10; 50 from 1,000 training pictures on; 100 for 10,000)", ge=2, le=4096
    )
    learning_rate: float = setting(5e-4, "Adam's step size for all networks", gt=0, le=1)
    epsilon: float = setting(1e-4, "Adam's ε: gradients far below it, as in a game that is decided, make no full steps", gt=0, le=1)
    precision: Precision = setting(
        "float32", "precision of products in training; bfloat16 is faster where the processor supports it (AMX, GPUs)"
    )

    def passes(self) -> dict[Who, int]:
        """Over the pictures in an epoch of the method itself, of each player in turn."""
        return {"c": self.passes_c}


class Phased(BaseModel, frozen=True, extra="forbid"):
    """A method that has another loss than its pretraining."""

    forget: bool = setting(
        True, "let Adam forget its averages after pretraining; off: its first steps afterwards are several times as long as --learning-rate"
    )


class WithTeacher(Phased, Recipe, frozen=True, extra="forbid"):
    """A method whose classifier learns from a network that is not kept."""

    teacher: players.Player = setting("lenet", "the teacher's network, and the discriminator's where there is one")


class Rewards(Phased, frozen=True, extra="forbid"):
    """How players that draw labels learn from what a discriminator says of them.

    Deviation: the paper's rewards have no baseline, and its discriminator sees no labels but true and drawn ones (docs/classify.md tells
        why ours does).
    """

    samples: int = setting(25, "labels that a player draws for a picture", ge=2, le=10_000)
    explore: float = setting(
        0.1,
        "share of the discriminator's made labels that is spread evenly over all labels, so that it forgets none; 0 in the paper",
        ge=0,
        lt=1,
    )
    baseline: bool = setting(
        True, "subtract from each reward the mean reward of the picture's other draws; off: the paper's rewards as they are"
    )
    temperature: float = setting(1.0, "τ of the concrete distribution in the first epoch of the game", gt=0, le=1000)
    last_temperature: float = setting(0.1, "τ of the concrete distribution in the last epoch of the game", gt=0, le=1000)


QUICK: dict[str, Any] = {"divide_widths": 8, "learning_rate": 5e-3, "pretraining": 20, "epochs": 2, "passes_c": 1}  # for tests
