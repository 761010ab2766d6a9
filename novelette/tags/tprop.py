"""TagProp: neighbours vote with weights that make the training pictures' own tags likeliest, each tag through a sigmoid of its own."""

from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from novelette.methods.knn import nearest
from novelette.settings import setting
from novelette.tags.examples import Examples
from novelette.tags.machines import minimize
from novelette.tags.neighbours import others
from novelette.training import Run

PAPER = "Guillaumin, Mensink, Verbeek, Schmid: TagProp, discriminative metric learning in nearest neighbor models (ICCV 2009)"

EPSILON = 1e-5  # of a tag that a neighbour does not have
AT_ONCE = 256  # pictures scored at a time


class Config(BaseModel, frozen=True, extra="forbid"):
    """Of the paper's variants; its best are sigmoids on either."""

    k: int = setting(50, "how many of the most similar training pictures vote", ge=2, le=10_000)
    by: Literal["rank", "distance"] = setting("distance", "what a neighbour's weight depends on: its place (rank), or its distance")
    sigmoids: bool = setting(True, "give each tag a sigmoid of its own, which raises rare tags")


TINY = Config(k=8)


def fit(examples: Examples, config: Config, *, seed: int, device: torch.device, run: Run) -> "Scorer":
    """Find weights and sigmoids for pictures whose neighbours are all other training pictures.

        max Σ_i Σ_t c_it log p(y_it),   c_it = 1 / n₊ where i has t and 1 / n₋ elsewhere, n₊ and n₋ of all pairs       (section 2.1)

    Raises: InputError when there are not more pictures than k.
    Deviation: weights and sigmoids are moved together by L-BFGS, where the paper alternates; the weights of places are a softmax, where it
        projects them on the simplex.
    """
    examples.need(config.k)
    vectors, tags = examples.vectors.to(device), examples.tags.to(device)
    k, size = config.k, tags.shape[1]
    state = {
        "vectors": vectors,
        "tags": tags,
        "weights": torch.zeros(k if config.by == "rank" else 1),
        "slope": torch.ones(size),
        "shift": torch.zeros(size),
    }
    scorer = Scorer(config, state).to(device)
    d, index = others(vectors, k)
    has = tags[index]
    c = torch.where(tags, 1 / tags.sum(), 1 / (~tags).sum())
    moved = [scorer.weights, *((scorer.slope, scorer.shift) if config.sigmoids else ())]
    for parameter in moved:
        parameter.requires_grad_()

    def loss() -> Tensor:
        p = scorer.probabilities(d, has)
        return -(c * torch.where(tags, p, 1 - p).clamp(min=1e-12).log()).sum()

    minimize(loss, moved)
    for parameter in moved:
        parameter.requires_grad_(False)
    return scorer


class Scorer(nn.Module):
    """Vectors and tags of the training pictures, weights of neighbours, and a slope and a shift for each tag.

    x_it = Σ_j π_ij p(y_it | j),   p(y_it | j) = 1 - ε where j has t, ε elsewhere                                  (Eqs. 1, 2)
    π_ij = softmax over places of the place's weight; or softmax over j of -e^w d_ij                                (Eqs. 4, 5)
    p(y_it) = σ(α_t x_it + β_t)                                                                                     (Eq. 8)
    """

    vectors: Tensor
    tags: Tensor
    weights: Tensor
    slope: Tensor
    shift: Tensor

    def __init__(self, config: Config, state: dict[str, Tensor]) -> None:
        super().__init__()
        self.config = config
        for name in ("vectors", "tags", "weights", "slope", "shift"):
            self.register_buffer(name, state[name])

    def probabilities(self, d: Tensor, has: Tensor) -> Tensor:
        """Of neighbours at distances (Q, k) with tags, bool (Q, k, K): (Q, K)."""
        places = self.weights.expand_as(d) if self.config.by == "rank" else -self.weights.exp() * d
        x = torch.einsum("qk,qkt->qt", places.softmax(1), has.float()) * (1 - 2 * EPSILON) + EPSILON
        return torch.sigmoid(self.slope * x + self.shift) if self.config.sigmoids else x

    @torch.inference_mode()
    def scores(self, v: Tensor) -> Tensor:
        """Vectors (Q, F) to scores (Q, K)."""
        found = (nearest(part, self.vectors, self.config.k) for part in v.split(AT_ONCE))
        return torch.cat([self.probabilities(d, self.tags[index]) for d, index in found])
