"""Evaluating a saved detector: the labelled pictures that a person names, and the training pictures for the kNNs beside it."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from novelette.data.images import load
from novelette.data.select import Selection, Where, found_again, is_named, labelled_pictures, normal_pictures
from novelette.detector import Detector
from novelette.errors import InputError
from novelette.evaluate import Evaluation, evaluate
from novelette.localization import localize
from novelette.progress import progress
from novelette.shipped import Shipped

NOT_KNOWN = "A bundle does not know which pictures it was trained on: if some of these were, the figures flatter it."


def evaluate_detector(
    detector: Detector | Shipped, source: Any, where: Where, train: str | None, *, seed: int = 0, bar: bool = False
) -> tuple[Evaluation, Selection]:
    """Evaluate on labelled pictures; both kNNs are fitted on `train`, or on the pictures that the detector was fitted on.

    Args: source: as `labelled_pictures` takes it.   seed: of the bootstrap.
    """
    selection = labelled_pictures(source, where if is_named(source) or not is_named(train) else replace(where, normal=None))
    assert selection.labels is not None
    neighbours = training_pixels(detector, train, where)
    with progress("evaluate", len(selection.source), shown=bar) as show:
        evaluation = evaluate(detector, selection.source, selection.labels, train=neighbours, seed=seed, progress=show)
    found = localize(detector, selection.source, evaluation.indices[evaluation.labels == 1], neighbours)
    if found is not None:
        evaluation = replace(evaluation, pixel_auroc=found.pixel_auroc, mean_picture_auroc=found.mean_picture_auroc, n_masks=found.n_masks)
    if isinstance(detector, Shipped):
        evaluation = replace(evaluation, notes=(*evaluation.notes, NOT_KNOWN))
    return evaluation, selection


def training_pixels(detector: Detector | Shipped, train: str | None, where: Where) -> NDArray[np.uint8] | None:
    """Prepared images (N, T, C, S, S) of `train`, or those that the detector trained on; None when they are not at hand any more."""
    if train is not None:
        where = where if is_named(train) else replace(where, normal=None)
        return load(normal_pictures(train, where).source, detector.preprocessing).pixels
    described = detector.provenance.get("source")
    if described is None:
        return None
    try:
        source, was = found_again(described, where.data_roots)
        loaded = load(normal_pictures(source, replace(was, download=False)).source, detector.preprocessing)
    except InputError:
        return None
    mine = detector.saw(loaded.hashes)
    return loaded.pixels[mine] if mine.any() else None
