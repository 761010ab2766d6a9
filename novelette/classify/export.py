"""Export of a classifier: one graph from pixels to probabilities and verdicts, refused when it does not say what torch says."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from novelette import bundle
from novelette.bundle import Bundle, Checked, ClassifierCard
from novelette.classify.classifier import Classifier
from novelette.data.framing import uncut
from novelette.data.select import found_again, pictures_by_class
from novelette.data.sources import open_source
from novelette.errors import InputError
from novelette.export import card_of, traced
from novelette.export_check import BATCHES, TOLERANCE, Pictures, compare, pictures_to_compare
from novelette.graph import Verdict
from novelette.runtime import BATCH_SIZE, Runtime
from novelette.words import counted


class Graph(nn.Module):
    """A classifier from pixels to verdicts.

    Input: uint8 (N, H, W, C), H = W = size: pictures framed and resized, red first where C = 3.
    Outputs:
        score (N,) float32: how uncertain, in [0, 1].   p_value (N,), label (N,): of that, 1 unknown, 0 known, -1 without a threshold.
        probability (N, K) float32, of each class.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.reading = copy.deepcopy(classifier.scorer.reading)
        self.verdict = Verdict(classifier.detector.calibration, classifier.detector.threshold)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        x = pixels.permute(0, 3, 1, 2).float().div(127.5).sub(1)  # data.images.as_tensor
        probability, score = self.reading.both(x)
        p_value, label = self.verdict(score)
        return score, p_value, label, probability


def export_classifier(classifier: Classifier, path: Path, *, pictures: Any = None, force: bool = False) -> Checked:
    """Write a classifier as the bundle `path`.

    Args: pictures: what to compare both sides on; the training source if not given, and made pictures where that is not at hand.
    Returns: how the two were compared.
    Raises: InputError when a score, a probability or a verdict differs, when `path` exists and `force` is not given, or the disk says no.
    """
    bundle.check_output(path, force=force)
    detector = classifier.detector
    model, outputs, opset = traced(Graph(classifier), detector.preprocessing, ("score", "p_value", "label", "probability"))
    own = card_of(detector, model, outputs, opset).model_dump(by_alias=True)
    draft = Bundle(ClassifierCard(**own, player=classifier.player, classes=classifier.classes), model)
    running, found = Runtime(draft, threads=1, batch_size=BATCH_SIZE), _pictures(classifier, pictures)
    checked = compare(detector, running, found)
    _compare_probabilities(classifier, running, found)
    bundle.write(Bundle(draft.card.model_copy(update={"checked": checked}), model), path, force=force)
    return checked


def _pictures(classifier: Classifier, given: Any) -> Pictures:
    """Natural, made and noisy pictures, the natural ones of the training source where none are given and it is at hand."""
    described = classifier.detector.provenance.get("source")
    if given is not None or described is None:
        return pictures_to_compare(classifier.detector, None if given is None else open_source(given))
    try:
        source, where = found_again(described)
        natural = pictures_by_class(source, replace(where, download=False)).source
        return pictures_to_compare(classifier.detector, natural)._replace(source="training source")
    except InputError:  # made pictures, whatever is at hand in its place
        return pictures_to_compare(classifier.detector)


def _compare_probabilities(classifier: Classifier, exported: Runtime, pictures: Pictures) -> None:
    """Raises: InputError when a probability differs by more than TOLERANCE, or a class where it is not a tie."""
    images, expected = uncut(pictures.pixels), classifier.read_pixels(pictures.pixels)[0]
    top = np.sort(expected, axis=1)
    tied = top[:, -1] - top[:, -2] < TOLERANCE
    for batch, count in BATCHES.items():
        which = np.unique(np.linspace(0, len(images) - 1, min(count, len(images))).round().astype(int))
        found = np.concatenate([exported.run(images[which[i : i + batch]]).probability for i in range(0, len(which), batch)])
        worst = float(np.abs(found - expected[which]).max())
        changed = int(((found.argmax(1) != expected[which].argmax(1)) & ~tied[which]).sum())
        if not worst <= TOLERANCE or changed:
            raise InputError(
                f"nothing was exported: on {counted(len(which), 'picture')} the graph's probabilities differ from torch's by up to "
                f"{worst:.1e}, where {TOLERANCE:.0e} is allowed, and the classes of {counted(changed, 'picture')} changed"
            )
