"""Export in 8 bits: the float graph, checked as ever, is quantized, calibrated anew, judged against the float one, and timed beside it.

    --pictures, or those of the fit ─┬─ training saw them ──> ranges of activations
                                     └─ it did not ─────────> calibration scores of the 8-bit graph, and their ranks beside float's

Calibration pictures give no ranges, so that they are to the 8-bit graph what a new normal picture is.
"""

from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from novelette import bundle, calibrate, metrics
from novelette.accounting import batch_for, in_turns
from novelette.bundle import Bundle, Card, Quantized, Speed
from novelette.calibrating import unseen
from novelette.data.framing import uncut
from novelette.data.images import load
from novelette.data.select import Selection, labelled_pictures, normal_pictures, pictures_of_the_fit
from novelette.detector import Detector
from novelette.errors import InputError
from novelette.export import card_of, compared, to_onnx
from novelette.export_check import where_given
from novelette.quantize import layers, quantized
from novelette.runtime import Runtime
from novelette.words import counted

MOST_AUROC_LOSS, LEAST_CORRELATION = 0.005, 0.99
RANGED = 256  # pictures that give the ranges of activations; more changed nothing
FEWEST = 10  # pictures for either purpose
RANGES_ONE_IN = 4  # of pictures that training saw none of, so many give ranges
SECONDS = 1.0  # of timing single images, and as long again batches

Images = NDArray[np.uint8]  # (n, H, W, C), the graph's input


class Labelled(NamedTuple):
    """Images to judge 8 bits on: labels (n,), 1 novel, 0 normal."""

    images: Images
    labels: NDArray[np.int64]
    title: str


class Terms(NamedTuple):
    """What 8 bits may cost: where labelled pictures are given AUROC decides, elsewhere the rank correlation."""

    most_auroc_loss: float = MOST_AUROC_LOSS
    least_correlation: float = LEAST_CORRELATION


def export_int8(
    detector: Detector, path: str | Path, *, pictures: Any = None, labelled: Any = None, terms: Terms | None = None, force: bool = False
) -> Card:
    """Write a detector as the bundle `path` with 8-bit weights and activations.

    Args: pictures: normal ones, of which the detector's training did not see some; those of the fit if not given.   labelled: as
        `evaluate` takes them, to judge by AUROC; the named set of the fit with the fit's own normal class, or a folder.
    Returns: what was written.
    Raises: InputError as `export_detector`, when there are too few pictures, and when 8 bits cost more than `terms` allow.
    """
    path, terms = Path(path), terms or Terms()
    bundle.check_output(path, force=force)
    if detector.scorer.keeps_pictures:
        raise InputError(f"{detector.method} keeps its pictures in 8 bits already: leave out --int8")
    ranging, calibrating = _normal_images(detector, pictures)
    judging = None if labelled is None else _labelled_images(detector, labelled)
    plain, _ = compared(detector, pictures)
    was = Runtime(plain, threads=1)
    made = _calibrated(detector, plain, ranging, calibrating)
    if len(made.model) >= len(plain.model):
        raise InputError(f"8 bits make the graph of this detector no smaller ({len(plain.model):,} bytes): leave out --int8")
    now = Runtime(made, threads=1)
    verdict = _judged(was, now, calibrating, judging, terms)
    cost = detector.cost()
    assert cost is not None
    batch = batch_for(cost.macs * detector.preprocessing.tiles**2)
    float_speed, speed = _speeds([was, now], calibrating, batch)
    found = Quantized(
        **verdict,
        layers=len(layers(plain.model)),
        images=len(ranging),
        float_bytes=len(plain.model),
        batch=batch,
        float_speed=float_speed,
        speed=speed,
    )
    card = made.card.model_copy(update={"checked": plain.card.checked, "quantized": found})
    bundle.write(Bundle(card, made.model), path, force=force)
    return card


def _normal_images(detector: Detector, given: Any) -> tuple[Images, Images]:
    """Images that give ranges, and those that calibrate, which training did not see.   Raises: InputError when there are too few."""
    read = partial(load, preprocessing=detector.preprocessing)
    if given is None:
        found = pictures_of_the_fit(detector.provenance.get("source"), read)
        if found is None:
            raise InputError(
                "--int8 needs normal pictures, and those of the fit are missing or have changed: give some with --pictures SOURCE"
            )
        chosen, loaded = found
    else:
        chosen = normal_pictures(given, where_given(detector, given))
        loaded = read(chosen.source)
    images, fresh, seen = uncut(loaded.pixels), unseen(detector, chosen, loaded.indices, loaded.hashes), detector.saw(loaded.hashes)
    if seen.sum() < FEWEST:  # copies of a picture serve one purpose
        seen = fresh & (loaded.hashes % np.uint64(RANGES_ONE_IN) == 0)
        fresh = fresh & ~seen
    return _spread(_enough(images[seen], "to set ranges by", chosen), RANGED), _enough(images[fresh], "to calibrate on", chosen)


def _enough(images: Images, purpose: str, chosen: Selection) -> Images:
    if len(images) >= FEWEST:
        return images
    raise InputError(
        f"--int8 needs at least {FEWEST} pictures {purpose}, which training did not see, and {chosen.title} leaves "
        f"{counted(len(images), 'picture')} for that: give more with --pictures SOURCE"
    )


def _spread(images: Images, most: int) -> Images:
    return images[np.unique(np.linspace(0, len(images) - 1, min(most, len(images))).round().astype(int))]


def _labelled_images(detector: Detector, given: Any) -> Labelled:
    """Raises: InputError when it is neither labelled pictures nor the named set of the fit, or one of the two labels is missing."""
    chosen = labelled_pictures(given, where_given(detector, given))
    loaded = load(chosen.source, detector.preprocessing)
    assert chosen.labels is not None
    labels = chosen.labels[loaded.indices]
    if len(np.unique(labels)) < 2:
        raise InputError(f"{chosen.title} has readable pictures of only one label: AUROC needs normal and novel ones")
    return Labelled(uncut(loaded.pixels), labels, chosen.title)


def _calibrated(detector: Detector, plain: Bundle, ranging: Images, calibrating: Images) -> Bundle:
    """The 8-bit graph with verdicts by its own scores of the calibration pictures.   Raises: InputError when too few for a threshold."""
    scores = Runtime(Bundle(plain.card, quantized(plain.model, ranging)), threads=1).run(calibrating).score
    anew = detector.recalibrated(scores, detector.false_alarm_rate)
    if detector.threshold is not None and anew.threshold is None:
        raise InputError(
            f"8 bits need a threshold of their own: a false-alarm rate of {detector.false_alarm_rate:g} takes "
            f"{counted(calibrate.pictures_needed(detector.false_alarm_rate), 'picture')} that training did not see, and there "
            f"are {len(scores)}: give more with --pictures SOURCE"
        )
    model, outputs, opset = to_onnx(anew)
    model = quantized(model, ranging)
    card = card_of(anew, model, outputs, opset)
    return Bundle(card, model)


def _judged(was: Runtime, now: Runtime, held_out: Images, labelled: Labelled | None, terms: Terms) -> dict[str, Any]:
    """What 8 bits cost, by its names in Quantized.   Raises: InputError when that is more than `terms` allow."""
    correlation = metrics.rank_correlation(was.run(held_out).score, now.run(held_out).score)
    if labelled is None:
        if not correlation >= terms.least_correlation:
            raise InputError(
                f"nothing was exported: in 8 bits {counted(len(held_out), 'held-out picture')} rank differently from float, with a "
                f"correlation of {correlation:.4f} where --least-correlation is {terms.least_correlation:g}; "
                "give --labelled SOURCE to judge by AUROC instead"
            )
        return {"judged_on": "held out", "pictures": len(held_out), "correlation": correlation}
    before, after = (metrics.auroc(graph.run(labelled.images).score, labelled.labels) for graph in (was, now))
    if before - after > terms.most_auroc_loss:
        raise InputError(
            f"nothing was exported: in 8 bits AUROC on {labelled.title} falls from {before:.4f} to {after:.4f}, "
            f"by {before - after:.4f} where --most-auroc-loss is {terms.most_auroc_loss:g}"
        )
    known = None if np.isnan(correlation) else correlation
    found = {"judged_on": "labelled", "pictures": len(labelled.labels), "correlation": known}
    return found | {"auroc_float": before, "auroc": after}


def _speeds(graphs: list[Runtime], images: Images, batch: int) -> list[Speed]:
    """Of several graphs, in turns."""
    many = images[np.arange(batch) % len(images)]
    ones = in_turns([partial(graph.run, images[:1]) for graph in graphs], SECONDS)
    batches = in_turns([partial(graph.run, many) for graph in graphs], SECONDS)
    return [
        Speed(latency_us=1e6 * median(one), images_per_second=batch / median(of_batch)) for one, of_batch in zip(ones, batches, strict=True)
    ]
