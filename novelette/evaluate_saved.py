"""Evaluating a saved detector: the labelled pictures that a person names, and the training pictures for the kNNs beside it."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from novelette.data.images import load
from novelette.data.protocol import PARTING
from novelette.data.select import (
    Selection,
    Where,
    as_the_fit,
    found_again,
    grouped_as,
    is_named,
    labelled_pictures,
    normal_pictures,
    pictures_of_the_fit,
    unchosen,
)
from novelette.detector import Detector
from novelette.evaluate import Evaluation, evaluate
from novelette.localization import localize
from novelette.progress import progress
from novelette.shipped import Shipped

NOT_KNOWN = "A bundle does not know which pictures it was trained on: if some of these were, the figures flatter it."


def evaluate_detector(
    detector: Detector | Shipped, source: Any, where: Where, train: str | None, *, seed: int = 0, bar: bool = False
) -> tuple[Evaluation, Selection]:
    """Evaluate on labelled pictures; both kNNs are fitted on `train`, or on the pictures that the detector was fitted on.

    Args:
        source: as `labelled_pictures` takes it; of the fit's own named set the class and protocol of the fit unless `where` says others.
        seed: of the bootstrap.
    """
    described = detector.provenance.get("source")
    its = as_the_fit(source, where, described) if is_named(source) else grouped_as(unchosen(where) if is_named(train) else where, described)
    selection = labelled_pictures(source, its)
    assert selection.labels is not None
    neighbours = training_pixels(detector, train, where)
    kinds = None if selection.classes is None else [selection.class_names[k] for k in selection.classes]
    pictures: dict[str, Any] = {"train": neighbours, "groups": selection.groups, "kinds": kinds}
    with progress("evaluate", len(selection.source), shown=bar) as show:
        evaluation = evaluate(detector, selection.source, selection.labels, **pictures, seed=seed, progress=show)
    evaluation = replace(evaluation, notes=(*evaluation.notes, *_another_split(detector, source, selection, its)))
    found = localize(detector, selection.source, evaluation.indices[evaluation.labels == 1], neighbours)
    if found is not None:
        evaluation = replace(evaluation, pixel_auroc=found.pixel_auroc, mean_picture_auroc=found.mean_picture_auroc, n_masks=found.n_masks)
    if isinstance(detector, Shipped):
        evaluation = replace(evaluation, notes=(*evaluation.notes, NOT_KNOWN))
    return evaluation, selection


def _another_split(detector: Detector | Shipped, source: Any, selection: Selection, where: Where) -> list[str]:
    """A sentence where the pictures are of the named set of the fit, but of another class or protocol than the fit."""
    described = detector.provenance.get("source")
    if described is None or not is_named(source) or described["source"] != source:
        return []
    was = found_again(described)[1]
    fitted, these = (
        f"{title}, drawn by seed {w.protocol_seed}" if w.protocol in PARTING else str(title)
        for title, w in ((detector.provenance.get("title"), was), (selection.title, where))
    )
    return [] if fitted == these else [f"The detector was fitted on {fitted}; these pictures are of {these}."]


def training_pixels(detector: Detector | Shipped, train: str | None, where: Where) -> NDArray[np.uint8] | None:
    """Prepared images (N, T, C, S, S) of `train`, or those that the detector trained on; None when they are not at hand any more."""
    if train is not None:
        its = as_the_fit(train, where, detector.provenance.get("source")) if is_named(train) else unchosen(where)
        return load(normal_pictures(train, replace(its, group_by=None)).source, detector.preprocessing).pixels
    found = pictures_of_the_fit(detector.provenance.get("source"), lambda source: load(source, detector.preprocessing), where.data_roots)
    if found is None:
        return None
    _, loaded = found
    mine = detector.saw(loaded.hashes)
    return loaded.pixels[mine] if mine.any() else None
