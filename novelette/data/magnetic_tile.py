"""Magnetic tile surfaces (Huang et al., 2018): which pictures show the same tile, and a split that keeps each tile on one side.

What we found by looking (1,344 pictures, `MT_*/Imgs/exp{0..6}_num_{frame}.jpg`; frames count along one long film, 461 to 359,542):

- A tile is photographed six times running, once at each exposure 1 to 6 (a few at 0), 10 to 130 frames apart. The order sometimes
  starts at another exposure and wraps around. The six pictures show the same scratches and stains; only brightness and crop differ.
  A random split would put views of nearly every test tile into training.
- Two tiles are often filmed in turn, so that their frames interleave. A series can be broken by up to 600 frames.
- Some tiles come back later. We correlated two pictures of each series with all others (high-passed, normalized, aligned): views of
  a tile correlate by 0.73 to 0.97, different tiles nearly always by less than 0.6. Eight series go on or come back 360 to 12,000
  frames later (`COMES_BACK`). With these joined, no test picture, normal or defective, correlates by more than 0.74 with any
  training picture, and of the closest pairs the eye sees that they are different tiles of one type, alike at their edges.
  A tile cropped quite differently the second time would have escaped us.
- Labels are a picture's, not a tile's: five series hold views named `Free` of a tile that other views show as defective
  (`TWO_FACED`). Some are plainly mistaken: a blowhole is as visible in 346332 and 346361, named Free, as in 346347, named
  Blowhole; 117030, named Free, shows the break of 116999. Labels stay as published, but these series never train.

So pictures whose frames lie at most 300 apart count as one group, as do those of `COMES_BACK`: 174 groups, 130 of them with normal
pictures. That joins some different tiles, which costs nothing but a coarser split.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CLASSES = ("Free", "Blowhole", "Break", "Crack", "Fray", "Uneven")
NAME = re.compile(r"exp(\d)_num_(\d+)")
GAP = 300  # frames; a longer break starts another group
COMES_BACK = (  # frames at which pictures of one tile begin, further apart than GAP
    (5874, 13526),
    (8676, 9196, 10334),
    (53011, 65001),
    (85602, 86828, 88149),
    (124236, 124592),
    (136254, 136676),
    (320895, 321452),
    (355636, 358102),
)
TWO_FACED = ((797, 972), (116934, 117068), (148923, 149097), (331149, 331267), (346311, 346414))  # first and last frame
SPLIT_SEED = 0


def tile_groups(names: Sequence[str]) -> NDArray[np.int64]:
    """A number for each picture, (N,): pictures that may show the same tile share it. Names without a frame stand alone."""
    frames = _frames(names)
    groups = np.empty(len(names), np.int64)
    order = np.argsort(frames, kind="stable")
    groups[order] = np.cumsum(np.diff(frames[order], prepend=frames[order][:1]) > GAP)
    unnamed = np.flatnonzero(frames < 0)
    groups[unnamed] = len(names) + unnamed
    for first, *later in COMES_BACK:
        of_first = groups[frames == first]
        for frame in later:
            of_later = groups[frames == frame]
            if len(of_first) and len(of_later):
                groups[groups == of_later[0]] = of_first[0]
    return groups


def training_tiles(names: Sequence[str], labels: np.ndarray) -> NDArray[np.bool_]:
    """Which pictures train, (N,) bool: 80 % of the normal ones (label 0), by whole groups, always the same ones.

    The groups of `TWO_FACED` test; of the others, groups in a fixed random order join the test as long as it stays within 20 %.
    """
    frames, groups = _frames(names), tile_groups(names)
    normal = labels == 0
    n_test = round(0.2 * normal.sum())
    two_faced = np.zeros(len(names), bool)
    for first, last in TWO_FACED:
        two_faced |= (frames >= first) & (frames <= last)
    testing = set(np.unique(groups[two_faced & normal]).tolist())
    tested = int(np.isin(groups[normal], list(testing)).sum())
    for group in np.random.default_rng(SPLIT_SEED).permutation(np.unique(groups[normal])).tolist():
        size = int((groups[normal] == group).sum())
        if group not in testing and tested + size <= n_test:
            testing.add(group)
            tested += size
    return normal & ~np.isin(groups, list(testing))


def _frames(names: Sequence[str]) -> NDArray[np.int64]:
    found = [NAME.search(name) for name in names]
    return np.array([int(match[2]) if match else -1 for match in found], np.int64)
