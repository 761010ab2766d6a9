"""A novelty is novel only once, so the order of arrival decides what is labelled novel (technical report, section 5.3 and Figure 5.5).

A detector by the nearest neighbours labels a stream of pictures. Whatever it labels novel, it learns at once (novelette.learning), so that
what comes later and is like it is novel no more. Its threshold stays. The same pictures come again in other orders.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from novelette.data.images import as_tensor
from novelette.methods.knn import Config, Rows, nearest, reduced, vectors


@dataclass(frozen=True, eq=False)
class Stream:
    """Pictures before any of them is learned.

    Attributes: nearest: distances to the k nearest training pictures, (n, k), ascending.   apart: between the pictures, (n, n).
    """

    nearest: NDArray[np.float64]
    apart: NDArray[np.float64]


def stream(training: Tensor, pictures: Tensor, config: Config) -> Stream:
    """Args: training, pictures: uint8 (N, C, S, S) and (n, C, S, S)."""
    rows = vectors(as_tensor(pictures), config.metric)
    near, _ = nearest(rows, Rows(training, config.metric), config.k)
    return Stream(near.double().numpy(), torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist").double().numpy())


def score(near: NDArray[np.float64], reduce: str) -> NDArray[np.float64]:
    """knn's, of distances to the nearest (..., k), ascending.   Returns: (...)."""
    out: NDArray[np.float64] = reduced(torch.from_numpy(near), reduce).numpy()
    return out


def labels(found: Stream, order: NDArray[np.int64], threshold: float, config: Config) -> NDArray[np.bool_]:
    """Which pictures are labelled novel, (n,), when they come in `order` and each novel one is learned."""
    near, novel = found.nearest.copy(), np.zeros(len(order), bool)
    for i in order:
        if score(near[i], config.reduce) > threshold:
            novel[i] = True
            near = np.sort(np.concatenate([near, found.apart[:, i : i + 1]], axis=1), axis=1)[:, : config.k]
    return novel


def always(found: Stream, threshold: float) -> NDArray[np.bool_]:
    """Which pictures are labelled novel in every order, (n,), by one neighbour (k = 1).

    Those above the threshold t that have no line to another: i and j have one where both are above t and |x_i - x_j| ≤ t, and whichever of
    the two comes first silences the other.
    """
    first = found.nearest[:, 0] > threshold
    lines = (found.apart <= threshold) & first & ~np.eye(len(first), dtype=bool)
    out: NDArray[np.bool_] = first & ~lines.any(1)
    return out


def shares(found: Stream, orders: int, threshold: float, config: Config, seed: int) -> NDArray[np.float64]:
    """In which share of random orders each picture is labelled novel, (n,)."""
    rng = np.random.default_rng(seed)
    drawn = [labels(found, rng.permutation(len(found.nearest)), threshold, config) for _ in range(orders)]
    return np.mean(drawn, axis=0)
