"""The commands of a detector at work: `drift` and `learn`; and what `score` opens, a detector or a bundle."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from novelette.arguments import DetectorPath, Flag, SourceName
from novelette.cards import is_classifier
from novelette.errors import InputError
from novelette.saying import check_seed, keep_threshold, missing_words, say, skipped, threshold_words

if TYPE_CHECKING:
    from novelette.detector import Detector
    from novelette.runtime import Runtime

LISTED = 20  # learned pictures, told one by one
DRIFTED = 1  # exit status: the stream has changed, whether or not some pictures could not be read


def drift(
    detector: DetectorPath,
    source: SourceName,
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    json_: Annotated[Flag, arg(name="json")] = False,
    device: Literal["auto", "cpu", "cuda", "mps"] = "cpu",
    seed: int = 0,
    force: Flag = False,
) -> int:
    """Say whether recent pictures, in their order, still score as the calibration pictures did; exit status 1 if they do not.

    Args:
        detector: a detector made by novelette fit or distill, or a bundle made by export, which is scored without torch
        source: pictures as they came, normal and others: a folder, in the order of its names, or an .npy or .npz array
        output: an .svg file for a plot of the stream
        json_: print one JSON object
        device: where to compute; a bundle is scored on the CPU
        seed: seed of the draws that break ties between scores
        force: replace an existing plot
    """
    from novelette import outputs
    from novelette.charts import drift_chart
    from novelette.data.sources import open_source
    from novelette.drift import ODDS, course_of
    from novelette.files import write_file

    check_seed(seed)
    outputs.check(output, endings=(".svg",), force=force)
    loaded = opened(detector, device, None, None)
    if len(loaded.calibration) == 0:
        raise InputError(
            f"{detector} has no calibration to compare with: run novelette calibrate on the detector, or fit the classifier on more "
            "pictures, and for a bundle export it again"
        )
    predictions = loaded.predict(open_source(source), bar=True)
    if not predictions.names:
        raise InputError(f"{detector} gives none of these pictures a finite score: fit it again")
    course = course_of(predictions.score, loaded.calibration, seed=seed)
    print(json.dumps(course.to_json()) if json_ else course.sentence(predictions.names))
    if output is not None:
        write_file(output, drift_chart(course.p_values, course.log10_capital, ODDS, course.first))
        say(f"plot: {output}")
    status = skipped(predictions.unreadable)
    return status if course.first is None else DRIFTED


def learn(
    detector: DetectorPath,
    pictures: Annotated[Positional[tuple[str, ...]], arg(metavar="PICTURE...")],
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    in_place: Flag = False,
    force: Flag = False,
) -> int:
    """Tell a detector that pictures are known, so that they and pictures like them are no longer novel; for knn and feature-knn.

    The calibration pictures are scored again where they are at hand; otherwise their old scores stay, and the false-alarm rate holds.

    Args:
        detector: a detector made by novelette fit
        pictures: files or folders of known pictures
        output: write the detector that knows them here
        in_place: change the detector itself instead
        force: replace an existing detector at -o
    """
    from novelette import store
    from novelette.learning import learn
    from novelette.words import counted

    if (output is None) != in_place:
        raise InputError("give either -o or --in-place, to say where the detector that has learned the pictures is written")
    if not pictures:
        raise InputError("no pictures to learn were given: name files or folders after the detector")
    loaded = store.load(detector)
    store.check_output(output or detector, force=force or in_place)
    found = learn(loaded, pictures)
    if in_place:
        keep_threshold(loaded, found.detector, detector)
    path = store.save(found.detector, output or detector, force=force or in_place, log=detector / store.LOG)
    for i, name in enumerate(found.names[:LISTED]):
        was, now = ("" if novel is None else ", novel" if novel[i] else ", normal" for novel in (found.was_novel, found.is_novel))
        print(f"{name}: score {found.before[i]:.4g}{was}; now {found.after[i]:.4g}{now}")
    known = f", and already knew {found.known:,} of those given" if found.known else ""
    print(f"{path}: learned {counted(len(found.names), 'new picture')}{known}")
    still = 0 if found.is_novel is None else int(found.is_novel.sum())
    if still:
        print(
            f"{still:,} still novel: a score is a mean over several neighbours, and one close neighbour is not enough; learn more "
            "pictures like these"
        )
    kept = (
        "calibrated again on the same pictures"
        if found.recalibrated
        else "its calibration pictures are missing or have changed, so their old scores stay"
    )
    print(f"{kept}: {missing_words(found.detector) or threshold_words(found.detector)}")
    return skipped(found.unreadable)


def opened(path: Path, device: str, threads: int | None, batch_size: int | None) -> "Detector | Runtime":
    """A detector on its device, or a bundle, which needs no torch.   Raises: InputError for an option of the other kind."""
    from novelette.bundle import is_bundle

    if is_bundle(path):
        if device not in ("auto", "cpu"):
            raise InputError(f"{path} is a bundle, which is scored on the CPU: leave out --device {device}")
        from novelette import runtime

        return runtime.load(path, threads=threads, batch_size=runtime.BATCH_SIZE if batch_size is None else batch_size)
    if is_classifier(path):
        raise InputError(f"{path} is a classifier: use novelette classify predict or evaluate, or export it first")
    for option, value in (("--threads", threads), ("--batch-size", batch_size)):
        if value is not None:
            raise InputError(f"{option} is for bundles, and {path} is not one: leave it out, or export the detector first")
    from novelette import store
    from novelette.training import pick_device

    return store.load(path).to(pick_device(device))
