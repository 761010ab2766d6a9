"""Which tags can be suggested: the most popular ones, or ones drawn at random (KDGAN, section 4.2)."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from novelette.errors import InputError

Kind = Literal["popular", "random"]
FEWEST_PICTURES = 5  # of a tag that can be drawn: of fewer there is nothing to learn


def choose(tags: Sequence[Sequence[str]], kind: Kind, size: int, seed: int) -> tuple[str, ...]:
    """Of the tags of training pictures, most frequent first, equally frequent ones in the alphabet's order.

        popular    the `size` that most pictures have
        random     `size` drawn from all that at least five pictures have

    Fewer where there are fewer.   Raises: InputError when there are not even two.
    """
    count = Counter(tag for own in tags for tag in set(own))
    by_count = sorted(count, key=lambda tag: (-count[tag], tag))
    if kind == "random":
        known = [tag for tag in by_count if count[tag] >= FEWEST_PICTURES]
        drawn = np.random.default_rng(seed).permutation(len(known))[:size]
        chosen = [known[i] for i in sorted(drawn)]
    else:
        chosen = by_count[:size]
    if len(chosen) < 2:
        rule = f" of {FEWEST_PICTURES} pictures each" if kind == "random" else ""
        raise InputError(f"the pictures have {len(chosen)} different tags{rule}, and a tagger needs at least 2: give more pictures")
    return tuple(chosen)


def incidence(tags: Sequence[Sequence[str]], vocabulary: Sequence[str]) -> NDArray[np.bool_]:
    """Which picture has which tag, (N, K)."""
    place = {tag: k for k, tag in enumerate(vocabulary)}
    has = np.zeros((len(tags), len(vocabulary)), np.bool_)
    for row, own in zip(has, tags, strict=True):
        row[[place[tag] for tag in own if tag in place]] = True
    return has
