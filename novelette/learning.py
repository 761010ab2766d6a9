"""A novelty is novel only once: a detector learns that pictures are known, by methods that can take one in without a new fit.

The technical report, section 5.3: "novelty equals new", so what has been seen is none any more, and a detector learns from one picture.

What becomes of the calibration: its scores were given by the detector as it was. The calibration pictures are scored again where they can
be found and are still those of the calibration; any that is learned now is left out. Elsewhere the old scores stay. The stated false-alarm
rate holds for those too, since no score rises by learning: a new normal picture scores no higher than it did, under a threshold that is no
lower than it need be. Only more may be missed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from novelette.calibrating import unseen
from novelette.data.images import load
from novelette.data.select import pictures_of_the_fit
from novelette.data.sources import open_source
from novelette.detector import Detector, Scorer
from novelette.errors import InputError
from novelette.methods import METHODS

SAME = 1e-4  # relative: two computations of one score


@runtime_checkable
class Learner(Protocol):
    """A scorer that can take pictures in."""

    def learned(self, images: Tensor) -> Scorer:
        """A scorer that knows more normal images, uint8 (N, C, S, S). It gives no picture a higher score than this one."""


@dataclass(frozen=True, eq=False)
class Learned:
    """What a detector made of pictures.

    Attributes:
        detector: that knows them.   names: of those that were new to it, (n,).   before, after: their scores, (n,).
        was_novel, is_novel: by the threshold before and after, (n,); None without one.
        known: how many it had learned or been trained on already.   unreadable: name -> why.
        recalibrated: whether the calibration pictures were scored again; if not, their old scores stay.
    """

    detector: Detector
    names: list[str]
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    was_novel: NDArray[np.bool_] | None
    is_novel: NDArray[np.bool_] | None
    known: int
    unreadable: dict[str, str]
    recalibrated: bool


def learn(detector: Detector, pictures: Sequence[str]) -> Learned:
    """A detector that knows `pictures` too, each a file or a folder. The one given stays as it is.

    Raises: InputError when its method cannot learn, or it knows them all already.
    """
    scorer = detector.scorer
    if not isinstance(scorer, Learner):
        able = ", ".join(name for name, module in METHODS.items() if hasattr(module.Scorer, "learned"))
        raise InputError(f"{detector.method} cannot learn a picture without a new fit: only {able} can")
    names, pixels, hashes, unreadable = _read(detector, pictures)
    _, first = np.unique(hashes, return_index=True)  # a copy teaches nothing more
    new = np.isin(np.arange(len(hashes)), first) & ~detector.saw(hashes)
    if not new.any():
        raise InputError("there is nothing to learn: the detector knows these pictures already")
    images = torch.from_numpy(pixels[new]).flatten(0, 1)
    provenance = dict(detector.provenance)
    provenance["learned"] = [
        *provenance.get("learned", []),
        {"pictures": int(new.sum()), "created": datetime.now(UTC).isoformat(timespec="seconds")},
    ]
    knowing = replace(
        detector, scorer=scorer.learned(images), trained_on=np.union1d(detector.trained_on, hashes[new]), provenance=provenance
    )
    scores = calibrated_again(detector, knowing)
    knowing = knowing.recalibrated(scores, detector.false_alarm_rate)
    before, after = detector.score_pixels(pixels[new]), knowing.score_pixels(pixels[new])
    return Learned(
        knowing,
        [name for name, is_new in zip(names, new, strict=True) if is_new],
        before,
        after,
        detector.judge(before)[1],
        knowing.judge(after)[1],
        int(detector.saw(hashes).sum()),
        unreadable,
        scores is not None,
    )


def calibrated_again(before: Detector, knowing: Detector) -> NDArray[np.float32] | None:
    """The calibration pictures' scores by a detector that has learned, without those that it has learned themselves.

    Returns: None when the pictures are not at hand, or are not those of the calibration any more.
    """
    found = pictures_of_the_fit(before.provenance.get("source"), lambda source: load(source, before.preprocessing))
    if found is None:
        return None
    chosen, loaded = found
    fresh = unseen(before, chosen, loaded.indices, loaded.hashes)
    scores = np.sort(before.score_pixels(loaded.pixels[fresh]))
    if len(scores) != len(before.calibration) or not np.allclose(scores, before.calibration, rtol=SAME, atol=0):
        return None
    return knowing.score_pixels(loaded.pixels[fresh & unseen(knowing, chosen, loaded.indices, loaded.hashes)])


def _read(detector: Detector, pictures: Sequence[str]) -> tuple[list[str], NDArray[np.uint8], NDArray[np.uint64], dict[str, str]]:
    """Names, prepared pixels (n, T, C, S, S) and content hashes (n,) of the readable pictures, and why the others are not."""
    names: list[str] = []
    unreadable: dict[str, str] = {}
    pixels, hashes = [], []
    for given in pictures:
        source = open_source(given)
        loaded = load(source, detector.preprocessing)
        names += [source.names[i] for i in loaded.indices]
        pixels.append(loaded.pixels)
        hashes.append(loaded.hashes)
        unreadable |= {source.names[i]: why for i, why in loaded.unreadable.items()}
    return names, np.concatenate(pixels), np.concatenate(hashes), unreadable
