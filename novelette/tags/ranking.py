"""How good a ranking of tags is: P@N, F@N, average precision and reciprocal rank, one value per picture.

All are of `hits`, (N, K) bool: whether the tag in each place of a picture's ranking is one of its own. Every picture has at least one.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FAtN = Literal["standard", "kdgan"]
Hits = NDArray[np.bool_]
Values = NDArray[np.float64]


def ranked(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """Tags by falling score, (N, K) to (N, K). Equal scores rank in the vocabulary's order, in which more frequent tags come first.

    Raises: ValueError when a score is no number.
    """
    if np.isnan(scores).any():
        raise ValueError("a score is no number, and has no place in a ranking")
    return np.argsort(-scores, axis=1, kind="stable")


def hits_of(scores: NDArray[np.floating], truth: Hits) -> Hits:
    """The hits of a ranking by scores (N, K), for the pictures' own tags (N, K).   Raises: ValueError when a picture has none."""
    if scores.shape != truth.shape:
        raise ValueError(f"scores {scores.shape} and tags {truth.shape} differ in shape")
    if not truth.any(1).all():
        raise ValueError("a picture without a tag has no ranking to be judged by")
    return np.take_along_axis(truth, ranked(scores), 1)


def precision_at(hits: Hits, n: int) -> Values:
    """P@N: the part of the first n that are hits, (N,). With fewer than n tags in all the missing places are no hits."""
    return hits[:, :n].sum(1) / n


def recall_at(hits: Hits, n: int) -> Values:
    """The part of a picture's tags that are among the first n, (N,)."""
    return np.asarray(hits[:, :n].sum(1) / hits.sum(1))


def r_precision(hits: Hits) -> Values:
    """The part of hits among the first R, R the number of the picture's own tags, (N,)."""
    own = hits.sum(1)
    return np.asarray((hits & (np.arange(hits.shape[1]) < own[:, None])).sum(1) / own)


def f_at(hits: Hits, n: int, definition: FAtN = "standard") -> Values:
    """F@N = 2 P R / (P + R), or 0 where both are 0, (N,).

    standard: R is the recall among the first n.   kdgan: R is the R-precision, which ignores n, as in the code of KDGAN's authors.
    """
    p, r = precision_at(hits, n), recall_at(hits, n) if definition == "standard" else r_precision(hits)
    return np.divide(2 * p * r, p + r, out=np.zeros(len(hits)), where=p + r > 0)


def average_precision(hits: Hits) -> Values:
    """The mean of P@n over the places n of the hits, in the whole ranking, (N,). Its mean over pictures is MAP."""
    so_far = hits.cumsum(1) / np.arange(1, hits.shape[1] + 1)
    return np.asarray((so_far * hits).sum(1) / hits.sum(1))


def reciprocal_rank(hits: Hits) -> Values:
    """1 / the place of the first hit, (N,). Its mean over pictures is MRR."""
    return 1.0 / (1 + hits.argmax(1))


def most_frequent(truth: Hits) -> NDArray[np.float64]:
    """Scores (N, K) that rank the tags (N, K) of every picture in the vocabulary's order, in which more frequent tags come first."""
    return np.broadcast_to(-np.arange(truth.shape[1], dtype=np.float64), truth.shape)


def by_picture(
    scores: NDArray[np.floating], truth: Hits, f_at_n: FAtN = "standard", cutoffs: tuple[int, ...] = (3, 5)
) -> dict[str, Values]:
    """P@N and F@N at each cutoff, average precision as MAP and reciprocal rank as MRR, (N,) each.   Args: scores, truth: (N, K)."""
    hits = hits_of(scores, truth)
    found = {f"P@{n}": precision_at(hits, n) for n in cutoffs} | {f"F@{n}": f_at(hits, n, f_at_n) for n in cutoffs}
    return found | {"MAP": average_precision(hits), "MRR": reciprocal_rank(hits)}


def means(values: Mapping[str, Values]) -> dict[str, float]:
    """Over pictures, of each measure."""
    return {name: float(its.mean()) for name, its in values.items()}


def measures(scores: NDArray[np.floating], truth: Hits, f_at_n: FAtN = "standard", cutoffs: tuple[int, ...] = (3, 5)) -> dict[str, float]:
    """Means over pictures: P@N and F@N at each cutoff, MAP and MRR.   Args: scores, truth: (N, K)."""
    return means(by_picture(scores, truth, f_at_n, cutoffs))
