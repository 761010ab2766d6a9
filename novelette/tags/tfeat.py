"""Tag features: what classifiers of all tags say of a picture is added to its features, and classifiers learn from both."""

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.nn.functional import normalize

from novelette.settings import setting
from novelette.tags.examples import Examples
from novelette.tags.machines import balanced, calibrated, machines
from novelette.training import Run

PAPER = "Chen, Xu, Tsang, Luo: Tag-based image retrieval improved by augmented features and group-based refinement (2012)"


class Config(BaseModel, frozen=True, extra="forbid"):
    """Of both stages."""

    c: float = setting(0.1, "what errors cost the support vector machines, relative to large weights", gt=0, le=1e6)
    weight: float = setting(1.0, "length of the tag features, where a picture's own features have length 1", ge=0, le=100)


TINY = Config()


def fit(examples: Examples, config: Config, *, seed: int, device: torch.device, run: Run) -> "Scorer":
    """Two stages of linear support vector machines, one a tag, and Platt's scaling after each.

    Deviation: pictures with and without a tag are weighed alike, where the paper draws as many without. The training pictures' tag features
        are those of classifiers that were trained without them, a fifth at a time: their own would be surer than of a new picture.
    """
    x, y = examples.vectors.to(device), examples.tags.to(device)

    def trained(seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return calibrated(lambda rows: machines(seen[rows], y[rows], balanced(y[rows]), config.c), seen, y, seed)

    w_1, b_1, held_out = trained(x)
    w_2, b_2, _ = trained(augmented(x, held_out, config.weight))
    return Scorer(config, {"w_1": w_1, "b_1": b_1, "w_2": w_2, "b_2": b_2})


def augmented(x: Tensor, log_odds: Tensor, weight: float) -> Tensor:
    """Vectors (N, F) and the tags' probabilities made to the length `weight`: (N, F + K)."""
    return torch.cat([x, weight * normalize(torch.sigmoid(log_odds), dim=1)], 1)


class Scorer(nn.Module):
    """The weights of both stages, (F, K) and (F + K, K), and their shifts, (K,) each."""

    w_1: Tensor
    b_1: Tensor
    w_2: Tensor
    b_2: Tensor

    def __init__(self, config: Config, state: dict[str, Tensor]) -> None:
        super().__init__()
        self.weight = config.weight
        for name in ("w_1", "b_1", "w_2", "b_2"):
            self.register_buffer(name, state[name])

    @torch.inference_mode()
    def scores(self, v: Tensor) -> Tensor:
        """Vectors (Q, F) to log-odds (Q, K)."""
        return augmented(v, v @ self.w_1 + self.b_1, self.weight) @ self.w_2 + self.b_2
