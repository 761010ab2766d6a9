"""k-nearest-neighbours on pixels: the baseline that every detector has to beat.

Novelty is the mean, or the sum, of the distances to the k nearest training images, or the distance to the k-th.
"""

from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from novelette.data.images import as_tensor
from novelette.errors import InputError
from novelette.settings import setting
from novelette.training import Run
from novelette.vectors import normalized

PAPER = "Ramaswamy, Rastogi, Shim: Efficient algorithms for mining outliers from large data sets (SIGMOD 2000); a technical report, 2.1"

QUERIES = 512  # images scored at a time
BLOCK_BYTES = 64 * 2**20  # of training vectors at a time, however many and large the images are


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing is trained: the detector keeps the training images."""

    k: int = setting(5, "how many nearest training pictures count", ge=1, le=1000)
    metric: Literal["cosine", "euclidean"] = setting(
        "cosine", "distance between unit vectors of the pixels less their mean (cosine), or between the pixels themselves (euclidean)"
    )
    reduce: Literal["mean", "sum", "kth"] = setting(
        "mean", "the score is the mean or the sum of the k nearest distances, or the k-th distance"
    )


TINY = Config(k=3)


def paper() -> Config:
    """The technical report's, section 2.1: the sum of plain Euclidean distances; its threshold α is calibration's."""
    return Config(metric="euclidean", reduce="sum")


def fit(
    images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run | None = None
) -> "Scorer":
    """Keep normal images, uint8 (N, C, S, S). Raises: InputError when there are fewer than k."""
    if len(images) < config.k:
        raise InputError(f"--k {config.k} needs at least {config.k} training pictures, and there are {len(images)}")
    return Scorer(config, images.to(device))


def vectors(images: Tensor, metric: str) -> Tensor:
    """Images (N, C, S, S) in [-1, 1] as rows (N, C * S * S): as they are, or less their mean and scaled to length 1."""
    return normalized(images, "l2" if metric == "cosine" else "none")


class Rows:
    """The vectors of uint8 images (N, C, S, S), made when they are asked for: N of them as floats may not fit in memory."""

    def __init__(self, images: Tensor, metric: str) -> None:
        self.images, self.metric = images, metric

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, which: slice | Tensor) -> Tensor:
        return vectors(as_tensor(self.images[which]), self.metric)


def nearest(queries: Tensor, rows: Rows | Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest of `rows` (N, F) to each of `queries` (Q, F), in memory that does not grow with N.

    Returns: Euclidean distances and indices, (Q, k) each, nearest first. Candidates come from |a|² - 2ab, which loses digits in float32, so
    twice as many as asked are taken and their distances computed again from differences: the distances are exact, and a neighbour can be
    missed only for others whose squared distances agree with its own to about 1e-6 of |a|².
    """
    best_d = queries.new_full((len(queries), 0), torch.inf)
    best_i = torch.zeros((len(queries), 0), dtype=torch.long, device=queries.device)
    step = max(2 * k, BLOCK_BYTES // (4 * queries.shape[1]))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        d = block.square().sum(1) - 2 * queries @ block.T  # |q|² is the same for all
        d, i = d.topk(min(2 * k, len(block)), largest=False)
        best_d, best_i = torch.cat([best_d, d], 1), torch.cat([best_i, i + start], 1)
        best_d, keep = best_d.topk(min(2 * k, best_d.shape[1]), largest=False)
        best_i = best_i.gather(1, keep)
    parts = zip(best_i.split(step), queries.split(step), strict=True)
    exact = torch.cat([torch.stack([(rows[column] - q).norm(dim=1) for column in i.T], dim=1) for i, q in parts])
    exact, order = exact.topk(k, largest=False)
    return exact, best_i.gather(1, order)


class Scorer:
    """The training images and a distance.

    Args: images: uint8 (N, C, S, S).
    """

    keeps_pictures = True

    def __init__(self, config: Config, images: Tensor) -> None:
        self.config = config
        self.neighbours = Neighbours(config, images)

    @torch.inference_mode()
    def score(self, x: Tensor) -> Tensor:
        """The k nearest training images' distances as one number, by `reduce`: (N, C, S, S) in [-1, 1] -> (N,)."""
        return torch.cat([self.neighbours(part) for part in x.split(QUERIES)])

    @torch.inference_mode()
    def score_own(self, x: Tensor) -> Tensor:
        """`score` of training images (N, C, S, S) that are no neighbours of themselves: (N,). With k or fewer images, of what there is."""
        return torch.cat([self.neighbours(part, skip=1) for part in x.split(QUERIES)])

    @torch.inference_mode()
    def heatmap(self, x: Tensor) -> Tensor:
        """Where x differs from its nearest training image, |vector - nearest vector| averaged over channels: (N, C, S, S) -> (N, S, S).

        The vectors are those that the distance is between, so brightness and contrast count as little as they do for the score.
        """
        rows = vectors(x, self.config.metric)
        _, index = nearest(rows, self.neighbours.rows, 1)
        return (rows - self.neighbours.rows[index[:, 0]]).abs().view_as(x).mean(1)

    def learned(self, images: Tensor) -> "Scorer":
        """A scorer that has `images`, uint8 (N, C, S, S), among its neighbours too, so that no picture's score is higher than it was."""
        return Scorer(self.config, torch.cat([self.neighbours.images, images.to(self.neighbours.images.device)]))

    def module(self) -> nn.Module:
        return self.neighbours

    def state(self) -> dict[str, Tensor]:
        return {"images": self.neighbours.images}

    @classmethod
    def from_state(cls, config: Config, state: dict[str, Tensor], channels: int, size: int) -> "Scorer":
        """Rebuild from `state()`. Raises: RuntimeError when the images are of another shape."""
        images = state["images"]
        if images.dim() != 4 or images.shape[1:] != (channels, size, size):
            raise RuntimeError(f"images of shape {tuple(images.shape)} where (N, {channels}, {size}, {size}) was expected")
        return cls(config, images)


class Neighbours(nn.Module):
    """Images (N, C, S, S) in [-1, 1] to scores (N,)."""

    images: Tensor

    def __init__(self, config: Config, images: Tensor) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("images", images)

    @property
    def rows(self) -> Rows:
        return Rows(self.images, self.config.metric)

    def forward(self, x: Tensor, skip: int = 0) -> Tensor:
        d, _ = nearest(vectors(x, self.config.metric), self.rows, min(self.config.k + skip, len(self.rows)))
        return reduced(d[:, min(skip, d.shape[1] - 1) :], self.config.reduce)


def reduced(distances: Tensor, how: str) -> Tensor:
    """Distances to the nearest, (..., k), nearest first, as scores (...): their mean, their sum, or the last."""
    match how:
        case "mean":
            return distances.mean(-1)
        case "sum":
            return distances.sum(-1)
    return distances[..., -1]
