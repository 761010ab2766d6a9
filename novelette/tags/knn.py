"""KNN: a tag is as likely as it is frequent among a picture's neighbours. Nothing is trained."""

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from novelette.methods.knn import nearest
from novelette.settings import setting
from novelette.tags.examples import Examples
from novelette.tags.neighbours import votes
from novelette.training import Run

PAPER = "Makadia, Pavlovic, Kumar: Baselines for image annotation (2010)"


class Config(BaseModel, frozen=True, extra="forbid"):
    """How many neighbours vote."""

    k: int = setting(20, "how many of the most similar training pictures vote", ge=1, le=10_000)


TINY = Config(k=5)


def fit(examples: Examples, config: Config, *, seed: int, device: torch.device, run: Run) -> "Scorer":
    """Keep the training pictures' vectors and tags.   Raises: InputError when there are not more than k."""
    examples.need(config.k)
    return Scorer(config, {"vectors": examples.vectors.to(device), "tags": examples.tags.to(device)})


class Scorer(nn.Module):
    """Vectors and tags of the training pictures.

    score(x, t) = k_t + n_t / (N + 1),   k_t of the k nearest, n_t of all N training pictures with the tag

    Deviation: the paper takes the nearest picture's tags first and fills up by co-occurrence; this is the count of votes, as later
        comparisons have it, and among equal counts the tag that is more frequent in training comes first.
    """

    vectors: Tensor
    tags: Tensor

    def __init__(self, config: Config, state: dict[str, Tensor]) -> None:
        super().__init__()
        self.k = config.k
        for name in ("vectors", "tags"):
            self.register_buffer(name, state[name])

    @torch.inference_mode()
    def scores(self, v: Tensor) -> Tensor:
        """Vectors (Q, F) to scores (Q, K)."""
        _, index = nearest(v, self.vectors, self.k)
        return votes(index, self.tags) + self.tags.float().sum(0) / (len(self.tags) + 1)
