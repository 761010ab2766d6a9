"""Split-conformal p-values, and the threshold for a stated false-alarm rate, from the scores of held-out normal pictures.

With n calibration scores and a new score s,

    p(s) = (1 + #{calibration scores ≥ s}) / (n + 1)

If the new picture is normal and exchangeable with the calibration pictures, P(p ≤ α) ≤ α, and at least α - 1/(n + 1) without ties: calling
a picture novel when p ≤ α raises a false alarm on a fraction α of normal pictures, on average over calibration sets (Vovk, Gammerman,
Shafer: Algorithmic Learning in a Random World, 2005).
"""

import math

import numpy as np
from numpy.typing import NDArray

HELD_OUT = 0.2  # the part of a person's normal pictures that training never sees
FALSE_ALARM_RATE = 0.05


def held_out(hashes: NDArray[np.uint64], groups: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
    """Which pictures calibrate, (N,): those whose content hash lies in the lowest fifth of all 64-bit numbers.

    The choice depends on the picture alone. So copies of a picture fall on one side, and a student's calibration pictures are ones that
    neither it nor its teacher trained on, whichever folder they came in.

    Args: groups: (N,), where pictures of one number show the same thing and must not be parted: a group goes by one hash, made from its
        pictures' lowest.
    """
    if groups is not None:
        group = joined_by_copies(groups, hashes)
        lowest = np.full(group.max(initial=-1) + 1, np.iinfo(np.uint64).max)
        np.minimum.at(lowest, group, hashes)
        hashes = (lowest * np.uint64(0x9E3779B97F4A7C15))[group]  # the lowest of several is no fair draw; its scrambled bits are
    return hashes < np.uint64(int(HELD_OUT * 2**64))


def joined_by_copies(groups: NDArray[np.int64], hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The groups, (N,), numbered from 0, two of them joined where they hold copies of one picture."""
    _, group = np.unique(groups, return_inverse=True)
    _, content = np.unique(hashes, return_inverse=True)
    while True:
        of_content = np.full(len(group), len(group))
        np.minimum.at(of_content, content, group)
        of_group = np.full(len(group), len(group))
        np.minimum.at(of_group, group, of_content[content])
        joined = of_group[group]
        if (joined == group).all():
            return group
        group = joined


def with_mates(seen: NDArray[np.bool_], hashes: NDArray[np.uint64], groups: NDArray[np.int64] | None) -> NDArray[np.bool_]:
    """The pictures that were seen, and those of a group of which one was, (N,).   Args: groups: (N,); None where each stands alone."""
    if groups is None:
        return seen
    group = joined_by_copies(groups, hashes)
    return np.isin(group, group[seen])


def p_values(scores: NDArray[np.floating], calibration: NDArray[np.floating]) -> NDArray[np.float64]:
    """p(s) of each score, in [1/(n + 1), 1].   Args: scores: (N,); calibration: (n,), sorted ascending.   Returns: (N,)."""
    n = len(calibration)
    at_least = n - np.searchsorted(calibration, scores, side="left")
    return (1 + at_least) / (n + 1)


def threshold(calibration: NDArray[np.floating], false_alarm_rate: float) -> float | None:
    """The score above which p ≤ false_alarm_rate: the k-th largest calibration score, k = ⌊rate · (n + 1)⌋.

    Args: calibration: (n,), sorted ascending.   Returns: None when n is too small for the rate (k = 0).
    """
    k = min(len(calibration), math.floor(false_alarm_rate * (len(calibration) + 1) + 1e-9))
    return float(calibration[-k]) if k else None


def pictures_needed(false_alarm_rate: float) -> int:
    """The fewest calibration pictures that allow a threshold for this rate: n + 1 ≥ 1 / rate."""
    return max(1, math.ceil(1 / false_alarm_rate - 1e-9) - 1)
