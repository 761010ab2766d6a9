"""Settings that all taggers have whose classifier is trained: its layers and the schedule."""

from typing import Any

from pydantic import BaseModel

from novelette.classify.recipe import Rewards, Who
from novelette.settings import setting


class Recipe(BaseModel, frozen=True, extra="forbid"):
    """Chosen on 600 captioned photographs; all methods move the classifier equally often by the same defaults."""

    hidden: int = setting(256, "width of the classifier's hidden layer; 0: no such layer, as in the authors' code", ge=0, le=4096)
    pretraining: int = setting(
        80, "passes over the pictures before the method itself, in which all networks learn from tags", ge=0, le=100_000
    )
    epochs: int = setting(10, "epochs of the method itself", ge=1, le=100_000)
    passes_c: int = setting(2, "the classifier's passes over the pictures in an epoch", ge=1, le=1000)
    batch_size: int = setting(50, "pictures per update", ge=2, le=4096)
    learning_rate: float = setting(3e-4, "Adam's step size for the classifier", gt=0, le=1)

    def passes(self) -> dict[Who, int]:
        """Over the pictures in an epoch, of each player in turn."""
        return {"c": self.passes_c}


class Game(Rewards, Recipe, frozen=True, extra="forbid"):
    """A method with players that read text, which are not kept."""

    width: int = setting(256, "how many features of picture and of text the players that read text multiply", ge=1, le=4096)
    reading_rate: float = setting(1e-3, "Adam's step size for the networks that read text", gt=0, le=1)
    passes_d: int = setting(1, "the discriminator's passes over the pictures in an epoch", ge=1, le=1000)
    forget: bool = setting(False, "let Adam forget its averages of pretraining when the game begins")
    samples: int = setting(5, "tags that a player draws for a picture", ge=2, le=10_000)
    explore: float = setting(0.0, "share of the discriminator's made tags that is spread evenly over all tags; 0 in the paper", ge=0, lt=1)


QUICK: dict[str, Any] = {"learning_rate": 1e-2, "pretraining": 10, "epochs": 2, "passes_c": 1, "batch_size": 10}  # for tests
