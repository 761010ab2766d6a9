"""Pictures that training did not see, and their scores: what calibrates a detector."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from novelette import calibrate
from novelette.data.images import Loaded, load
from novelette.data.select import Labelled, Selection, Where, grouped_as, normal_pictures
from novelette.detector import Detector
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
    with progress("read", len(chosen.source), shown=bar) as show:
        loaded = load(chosen.source, detector.preprocessing, progress=show)
    fresh = unseen(detector, chosen, loaded)
    if not fresh.any():
        raise InputError(f"{chosen.title}: the detector was trained on every one of these pictures; calibrate on others")
    unreadable = {chosen.source.names[i]: why for i, why in loaded.unreadable.items()}
    changed = detector.recalibrated(calibrating_scores(detector, chosen, loaded, fresh), false_alarm_rate)
    kept = {name: value for name, value in changed.provenance.items() if name != "cost"}  # of the pictures that calibrated it before
    return replace(changed, provenance=kept), unreadable


def calibrating_scores(detector: Detector, chosen: Selection | Labelled, loaded: Loaded, which: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Scores of those of the loaded pictures, (N,), that are to calibrate, (n,).   Raises: Diverged when one is not finite."""
    scores = detector.score_pixels(loaded.pixels[which])
    if wrong := without_rank(scores, [chosen.source.names[i] for i in loaded.indices[which]]):
        raise Diverged(
            f"{wrong}, and calibrates nothing: fit anew with a lower --learning-rate or another --seed, or leave the picture out"
        )
    return scores


def unseen(detector: Detector, chosen: Selection | Labelled, loaded: Loaded) -> NDArray[np.bool_]:
    """The pictures that a detector's training did not see, nor, where there are groups, another of their group: (N,)."""
    groups = None if chosen.groups is None else chosen.groups[loaded.indices]
    return ~calibrate.with_mates(detector.saw(loaded.hashes), loaded.hashes, groups)
