"""Which labelled pictures train: so many at random, as many of each class as possible."""

import numpy as np
from numpy.typing import NDArray


def drawn(labels: NDArray[np.int64], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of n pictures, at random but in turns of one of each class, until classes are used up: labels (N,), n at most N, to (n,).

    Those of a smaller n are the first of a larger one's.
    """
    order = rng.permutation(len(labels))
    turn = np.empty(len(order), np.int64)  # how many of its class come before a picture
    for k in np.unique(labels):
        of_class = labels[order] == k
        turn[of_class] = np.arange(of_class.sum())
    return order[np.argsort(turn, kind="stable")][:n]
