"""Relevant examples: a classifier per tag, from the pictures that show it best and the hardest ones without it."""

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from novelette.settings import setting
from novelette.tags.examples import Examples
from novelette.tags.machines import balanced, calibrated, machines
from novelette.tags.neighbours import others, votes
from novelette.training import Run

PAPER = "Li, Snoek: Classifying tag relevance with relevant positive and negative examples (ACM Multimedia 2013)"


class Config(BaseModel, frozen=True, extra="forbid"):
    """Of the choice of examples, and of the classifiers."""

    k: int = setting(50, "how many neighbours vote on whether a picture shows its tag", ge=1, le=10_000)
    positives: int = setting(100, "how many pictures with the tag are used at most, the most relevant ones", ge=1, le=100_000)
    negatives: int = setting(100, "pictures without the tag per round, the hardest of the candidates", ge=1, le=100_000)
    candidates: int = setting(400, "how many pictures without the tag are drawn per round as candidates", ge=1, le=1_000_000)
    rounds: int = setting(5, "classifiers per tag, one a round, whose mean is taken", ge=1, le=100)
    c: float = setting(0.1, "what errors cost the support vector machines, relative to large weights", gt=0, le=1e6)


TINY = Config(k=5, rounds=2, negatives=10, candidates=20)


def fit(examples: Examples, config: Config, *, seed: int, device: torch.device, run: Run) -> "Scorer":
    """Choose examples and train on them; Platt's scaling makes tags comparable.   Raises: InputError when there are not more than k."""
    examples.need(config.k)
    x, y = examples.vectors.to(device), examples.tags.to(device)
    w, b, _ = calibrated(lambda rows: bootstrapped(x[rows], y[rows], config, seed), x, y, seed)
    return Scorer(config, {"w": w, "b": b})


def bootstrapped(x: Tensor, y: Tensor, a: Config, seed: int) -> tuple[Tensor, Tensor]:
    """Negative bootstrap: each round trains on the pictures without a tag that the classifiers so far take most for having it.

    Args: x: (N, F).   y: bool (N, K).   Returns: w (F, K) and b (K,), means over rounds.
    Deviation: machines are linear, where the paper's have an intersection kernel; both kinds of examples are weighed alike, where the paper
        takes as many of each; the scaling is ours.
    """
    rng = torch.Generator().manual_seed(seed)
    w, b = torch.zeros(x.shape[1], y.shape[1], device=x.device), torch.zeros(y.shape[1], device=y.device)
    positive = highest(relevance(x, y, min(a.k, len(x) - 1)), y, a.positives)
    for done in range(a.rounds):
        drawn = torch.rand(y.shape, generator=rng).to(x.device)
        candidates = highest(drawn, ~y, a.candidates)
        negative = highest(x @ w + b if done else drawn, candidates, a.negatives)
        taking_part = positive | negative
        w_new, b_new = machines(x, y, balanced(positive, taking_part), a.c)
        w, b = w + (w_new - w) / (done + 1), b + (b_new - b) / (done + 1)
    return w, b


def relevance(x: Tensor, y: Tensor, k: int) -> Tensor:
    """How well each picture shows each tag that it has, (N, K): the mean of its places by two measures, among the tag's pictures (Borda).

        votes    k_t - k n_t / N,  k_t of the picture's k neighbours and n_t of all N have t          (TagVote, Li et al. 2009)
        field    mean over the picture's other tags t' of exp(-d(t, t')),  d Google's distance of co-occurrence       (SemanticField)

    Deviation: similarity of tags is that of co-occurrence in these pictures, with no WordNet.
    """
    _, index = others(x, k)
    measures = votes(index, y) - k * y.float().mean(0), field(y)
    places = [torch.where(y, m, -torch.inf).argsort(0, descending=True).argsort(0) for m in measures]
    return -(places[0] + places[1]).float() / 2


def field(y: Tensor) -> Tensor:
    """Mean similarity of each tag to the picture's other tags, (N, K); 0 where it has no other."""
    has = y.float()
    together, n = has.T @ has, has.sum(0).clamp(min=1)
    logs = n.log()
    larger, smaller = torch.maximum(logs[:, None], logs), torch.minimum(logs[:, None], logs)
    distance = (larger - together.log()) / (torch.tensor(float(len(y)), device=y.device).log() - smaller).clamp(min=1e-6)
    similarity = (-distance).exp().fill_diagonal_(0)
    return has @ similarity / (has.sum(1, keepdim=True) - 1).clamp(min=1)


def highest(values: Tensor, eligible: Tensor, most: int) -> Tensor:
    """In each column the `most` highest values among the eligible, bool (N, K)."""
    place = torch.where(eligible, values, -torch.inf).argsort(0, descending=True).argsort(0)
    return eligible & (place < most)


class Scorer(nn.Module):
    """Weights (F, K) and shifts (K,)."""

    w: Tensor
    b: Tensor

    def __init__(self, config: Config, state: dict[str, Tensor]) -> None:
        super().__init__()
        for name in ("w", "b"):
            self.register_buffer(name, state[name])

    @torch.inference_mode()
    def scores(self, v: Tensor) -> Tensor:
        """Vectors (Q, F) to log-odds (Q, K)."""
        return v @ self.w + self.b
