"""Pictures that training did not see, and their scores: what calibrates a detector."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from novelette import calibrate
from novelette.data.images import Loaded, stream
from novelette.data.select import Labelled, Selection, Where, grouped_as, normal_pictures
from novelette.detector import Detector, Scored
from novelette.errors import InputError
from novelette.predictions import without_rank
from novelette.progress import progress
from novelette.training import Diverged


def calibrate_detector(
    detector: Detector, source: Any, where: Where, false_alarm_rate: float, *, bar: bool = False
) -> tuple[Detector, dict[str, str]]:
    """The detector recalibrated, without refitting, on those pictures of `source` that its training did not see.

    With groups (Where.group_by, or a named set's own), pictures of a group that it has seen a picture of are left out too.

    Returns: the detector, and name -> why of unreadable pictures.   Raises: InputError when training saw them all.
    """
    chosen = normal_pictures(source, grouped_as(where, detector.provenance.get("source")))
    scored = score_unseen(detector, chosen, bar=bar)
    if not len(scored.indices):
        raise InputError(f"{chosen.title}: the detector was trained on every one of these pictures; calibrate on others")
    changed = detector.recalibrated(scored.scores, false_alarm_rate)
    kept = {name: value for name, value in changed.provenance.items() if name != "cost"}  # of the pictures that calibrated it before
    return replace(changed, provenance=kept), {chosen.source.names[i]: why for i, why in scored.unreadable.items()}


def score_unseen(detector: Detector, chosen: Selection | Labelled, *, bar: bool) -> Scored:
    """Scores of the pictures that training did not see (`unseen`), streaming.   Raises: Diverged when one is not finite."""
    unreadable: dict[int, str] = {}
    parts = []
    with progress("score", len(chosen.source), shown=bar) as show:
        for chunk in stream(chosen.source, detector.preprocessing, unreadable=unreadable, progress=show):
            new = ~detector.saw(chunk.hashes)
            scores = np.full(len(new), np.nan, np.float32)
            if new.any():
                scores[new] = detector.score_pixels(chunk.pixels[new])
            parts.append((chunk.indices, chunk.hashes, scores))
    indices, hashes, scores = (np.concatenate(values) for values in zip(*parts, strict=True))
    fresh = unseen(detector, chosen, indices, hashes)
    return Scored(indices[fresh], ranked(scores[fresh], chosen, indices[fresh]), unreadable)


def calibrating_scores(detector: Detector, chosen: Selection | Labelled, loaded: Loaded, which: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Scores of those of the loaded pictures, (N,), that are to calibrate, (n,).   Raises: Diverged when one is not finite."""
    return ranked(detector.score_pixels(loaded.pixels[which]), chosen, loaded.indices[which])


def ranked(scores: NDArray[np.float32], chosen: Selection | Labelled, indices: NDArray[np.int64]) -> NDArray[np.float32]:
    """The scores, (n,), of those of the pictures.   Raises: Diverged when one is not finite."""
    if wrong := without_rank(scores, [chosen.source.names[i] for i in indices]):
        raise Diverged(
            f"{wrong}, so it cannot calibrate: fit again with a lower --learning-rate or another --seed, or leave the picture out"
        )
    return scores


def unseen(detector: Detector, chosen: Selection | Labelled, indices: NDArray[np.int64], hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which pictures a detector's training did not see, nor, where there are groups, another of their group: (N,).

    Args: indices, hashes: of the pictures among those chosen, and of their contents, (N,).
    """
    groups = None if chosen.groups is None else chosen.groups[indices]
    return ~calibrate.with_mates(detector.saw(hashes), hashes, groups)
