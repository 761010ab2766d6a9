"""Whether a bundle says what its detector says: both score the same pictures, alone and in batches.

Half of the pictures are natural where any are at hand. The others are smooth random fields, with their edges and shades like natural
pictures, and noise: what lies far from training is where two computations part first.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from novelette import heatmap
from novelette.bundle import Checked
from novelette.data.framing import uncut
from novelette.data.images import load
from novelette.data.select import Where, as_the_fit, is_named, normal_pictures, pictures_of_the_fit
from novelette.data.sources import Source, SubsetSource, open_source
from novelette.detector import Detector
from novelette.errors import InputError
from novelette.graph import NO_THRESHOLD, TIE
from novelette.runtime import Runtime
from novelette.words import counted

TOLERANCE = 1e-4  # relative
NATURAL = 256  # pictures, and half as many made and noisy ones each
MOST_BYTES = 2**27  # of natural pictures, prepared: there are fewer where they are large
BATCHES = {1: 64, 7: 140, 256: 2 * NATURAL}  # batch size -> how many of the pictures, spread over the kinds
FLOOR = 0.01  # of the median score: a smaller one, such as a kept picture's distance to itself, is compared in units of this


class Pictures(NamedTuple):
    """Prepared pictures, uint8 (n, T, C, S, S), and where the natural ones among them came from."""

    pixels: NDArray[np.uint8]
    source: str


def pictures_to_compare(detector: Detector, given: Any = None) -> Pictures:
    """Natural, made and noisy pictures for a detector.

    Args: given: as `open_source` takes it, or the named set of the fit; the detector's own training source if None, made pictures in its
        stead where that is gone, or cannot be prepared any more.
    Raises: InputError when what is given holds no picture that can be read.
    """
    if given is not None:
        chosen = normal_pictures(given, where_given(detector, given)).source if is_named(given) else open_source(given)
        natural, source = _some(chosen, detector), "given"
    else:
        found = pictures_of_the_fit(detector.provenance.get("source"), lambda source: _some(source, detector))
        natural, source = (_made(detector, 2, seed=1), "made") if found is None else (found[1], "training source")
    return Pictures(np.concatenate([natural, _made(detector, 1, seed=2), _noise(detector)]), source)


def compare(detector: Detector, exported: Runtime, pictures: Pictures) -> Checked:
    """Score with both and compare.

    A score that ties with the threshold has no verdict of its own: that is the calibration picture that set it, and torch itself puts it on
    either side, by how it is batched. The graph calls it normal.

    Raises: InputError when a score differs by more than TOLERANCE, relative, or by anything the verdict on one that does not tie, or the
        p-value from the one that the graph computes of the same score.
    """
    expected = detector.score_pixels(pictures.pixels).astype(np.float64)
    _, novel = detector.judge(expected.astype(np.float32))
    tied = np.zeros(len(expected), bool) if detector.threshold is None else np.isclose(expected, detector.threshold, rtol=TIE, atol=0)
    unit = np.maximum(np.abs(expected), FLOOR * np.median(np.abs(expected)))
    images, worst, changed = uncut(pictures.pixels), 0.0, 0
    for batch, count in BATCHES.items():
        which = np.unique(np.linspace(0, len(images) - 1, min(count, len(images))).round().astype(int))
        parts = [exported.run(images[which[i : i + batch]]) for i in range(0, len(which), batch)]
        score = np.concatenate([part.score for part in parts])
        difference = np.abs(score - expected[which]) / unit[which]
        worst = max(worst, float(np.where(np.isfinite(difference), difference, np.inf).max()))
        label = np.concatenate([part.label for part in parts])
        differs = (label != (NO_THRESHOLD if novel is None else novel[which])) & ~tied[which]
        p_value = np.concatenate([part.p_value for part in parts])
        changed = max(changed, int((differs | strange(p_value, score, detector)).sum()))
    if worst > TOLERANCE or changed:
        raise InputError(
            "nothing was exported: "
            f"on {counted(len(images), 'picture')} the graph's scores differ from the detector's by up to {worst:.1e} "
            f"(relative), where {TOLERANCE:.0e} is allowed, and {counted(changed, 'verdict')} changed"
        )
    return Checked(
        pictures=len(images),
        source=pictures.source,
        batch_sizes=tuple(BATCHES),
        worst_difference=worst,
        onnxruntime=onnxruntime.__version__,
    )


def strange(p_value: NDArray[np.float32], score: NDArray[np.float32], detector: Detector) -> NDArray[np.bool_]:
    """Which p-values of a graph, (n,), are not the detector's of the same scores, (n,). One that ties with a calibration score has two."""
    ties = np.isclose(score[:, None], detector.calibration, rtol=2 * TIE, atol=0).any(1)
    return ~ties & ~np.isclose(p_value, detector.judge(score)[0], rtol=1e-5, atol=0, equal_nan=True)


def where_given(detector: Detector, given: Any) -> Where:
    """How to take what a person gives to an export, which asks for no class: a named set as the fit did.

    Raises: InputError for another named set than the fit's.
    """
    described = detector.provenance.get("source")
    if is_named(given) and (described is None or described["source"] != given):
        raise InputError(f"{given} is not the set that the detector was fitted on: give that one, or a folder")
    return as_the_fit(given, Where(), described)


def _some(source: Source, detector: Detector) -> NDArray[np.uint8]:
    """Some of a source's pictures, evenly spread, prepared."""
    count = min(2 * _half(detector), len(source))
    which = np.unique(np.linspace(0, len(source) - 1, count).round().astype(int))
    return load(SubsetSource(source, which), detector.preprocessing).pixels


def _made(detector: Detector, halves: int, *, seed: int) -> NDArray[np.uint8]:
    """Smooth random fields of different grain and contrast, uint8 (n, T, C, S, S)."""
    n, rng = halves * _half(detector), np.random.default_rng(seed)
    fields = rng.normal(size=(n, *_shape(detector))).astype(np.float32)
    for i, grain in enumerate(np.geomspace(0.5, fields.shape[-1] / 8, n)):
        fields[i] = heatmap.smooth(fields[i], grain)
    fields /= fields.std(axis=(1, 2, 3, 4), keepdims=True)
    contrast, shade = rng.uniform(5, 80, (n, 1, 1, 1, 1)), rng.uniform(30, 225, (n, 1, 1, 1, 1))
    return (shade + contrast * fields).clip(0, 255).astype(np.uint8)


def _noise(detector: Detector) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (_half(detector), *_shape(detector)), dtype=np.uint8)


def _half(detector: Detector) -> int:
    """Half as many pictures as there are natural ones."""
    return min(NATURAL, max(8, MOST_BYTES // math.prod(_shape(detector)))) // 2


def _shape(detector: Detector) -> tuple[int, int, int, int]:
    """(T, C, S, S)"""
    how = detector.preprocessing
    return how.tiles**2, how.channels, how.size, how.size
