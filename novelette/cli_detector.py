"""What is done with a detector that stands: `novelette calibrate`, `score`, `evaluate` and `info`."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from novelette.arguments import NO_SETS, DetectorPath, Flag, SetOptions, SourceName
from novelette.cards import TAGGER, is_classifier
from novelette.errors import InputError
from novelette.saying import check_seed, keep_threshold, missing_words, say, skipped, threshold_words

HARDEST = 20  # kinds of novel pictures that are printed


def calibrate(
    detector: DetectorPath,
    source: SourceName,
    false_alarm_rate: float | None = None,
    miss_cost: float | None = None,
    novel_prior: float | None = None,
    sets: SetOptions = NO_SETS,
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    force: Flag = False,
) -> int:
    """Set a detector's threshold anew from normal pictures that it was not trained on, without refitting.

    With --miss-cost and --novel-prior, SOURCE is labelled, as for novelette evaluate, and the threshold is the one of least expected cost.

    Args:
        detector: a detector made by novelette fit or distill; changed in place unless -o is given
        source: normal pictures, or labelled ones with --miss-cost; pictures that training saw are left out
        false_alarm_rate: the share of normal pictures that may be called novel; the detector's unless given (above 0, below 1)
        miss_cost: how many false alarms are as bad as one missed novel picture (above 0)
        novel_prior: the share of novel pictures among all pictures to come (above 0, below 1)
        output: write the recalibrated detector here instead
        force: replace an existing detector at -o
    """
    from novelette import store
    from novelette.calibrating import calibrate_detector
    from novelette.costs import calibrate_by_cost, cost_words
    from novelette.words import counted

    by_cost = miss_cost is not None or novel_prior is not None
    if by_cost and (miss_cost is None or novel_prior is None or false_alarm_rate is not None):
        raise InputError("--miss-cost and --novel-prior must be given together, and without --false-alarm-rate, whose place they take")
    if false_alarm_rate is not None and not 0 < false_alarm_rate < 1:
        raise InputError(f"--false-alarm-rate {false_alarm_rate:g} is not between 0 and 1")
    loaded = store.load(detector)
    store.check_output(output or detector, force=force or output is None)
    if miss_cost is not None and novel_prior is not None:
        weighing = {"miss_cost": miss_cost, "novel_prior": novel_prior}
        changed, weighed, unreadable = calibrate_by_cost(loaded, source, sets.where(), **weighing, bar=True)
        path = store.save(changed, output or detector, force=force or output is None, log=detector / store.LOG)
        print(f"{path}: calibrated on {counted(weighed.normal, 'normal picture')} and {counted(weighed.novel, 'novel one')}")
        print(cost_words(changed, weighed))
        return skipped(unreadable)
    rate = loaded.false_alarm_rate if false_alarm_rate is None else false_alarm_rate
    changed, unreadable = calibrate_detector(loaded, source, sets.where(), rate, bar=True)
    if output is None:
        keep_threshold(loaded, changed, detector)
    log = detector / store.LOG
    path = store.save(changed, output or detector, force=force or output is None, log=log)
    print(f"{path}: calibrated on {counted(len(changed.calibration), 'picture')}")
    print(missing_words(changed) or threshold_words(changed))
    return skipped(unreadable)


def score(
    detector: DetectorPath,
    source: SourceName,
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    heatmaps: Path | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "cpu",
    threads: int | None = None,
    batch_size: int | None = None,
    force: Flag = False,
) -> int:
    """Score new pictures: how novel each is, its p-value, and whether it is called novel.

    Args:
        detector: a detector made by novelette fit or distill, or a bundle made by export, which is scored without torch
        source: a folder, one picture, or an .npy or .npz array
        output: a .csv or .jsonl file for path, score, p_value and novel, in the pictures' order; without it, CSV is printed
        heatmaps: a folder for heat maps: each picture overlaid with what is novel in it
        device: where to compute; a bundle is scored on the CPU
        threads: for a bundle: how many batches are scored at a time; as many as there are cores unless given
        batch_size: for a bundle: how many images a thread scores at a time; 256 unless given
        force: replace existing files
    """
    from novelette import outputs
    from novelette.cli_deploy import opened
    from novelette.data.sources import open_source

    outputs.check(output, heatmaps, force=force)
    loaded = opened(detector, device, threads, batch_size)
    if heatmaps is not None:
        outputs.check_heatmaps(loaded)
    given = open_source(source)
    pictures = outputs.without_maps(given, heatmaps)
    predictions = loaded.predict(pictures, bar=True)
    if output is not None:
        outputs.write(predictions, output)
        print(f"{output}: {outputs.summary(predictions)}")
    elif len(predictions.names) == len(pictures) == 1:
        print(outputs.sentence(predictions, 0))
    else:
        sys.stdout.write(outputs.csv_text(predictions))
    if heatmaps is not None:
        count = outputs.write_heatmaps(loaded, pictures, heatmaps, bar=True)
        say(f"{heatmaps}: {count:,} heat maps")
    return skipped(predictions.unreadable, given)


def evaluate(
    detector: DetectorPath,
    source: SourceName,
    sets: SetOptions = NO_SETS,
    train: str | None = None,
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    json_: Annotated[Flag, arg(name="json")] = False,
    seed: int = 0,
    device: Literal["auto", "cpu", "cuda", "mps"] = "cpu",
    force: Flag = False,
) -> int:
    """Measure a detector on labelled pictures, with plain k-nearest-neighbours on the same pictures beside it.

    Args:
        detector: a detector made by novelette fit or distill, or a bundle made by export
        source: a folder with normal/ (or good/) and any others, such as novel/; or a named set with --normal; for the named set of the fit,
            class and protocol are the fit's unless given
        train: the normal pictures for the k-nearest-neighbours; those that the detector was fitted on unless given
        output: a folder for a report, one HTML page
        json_: print one JSON object
        seed: seed of the bootstrap interval
        device: where to compute; a bundle is scored on the CPU
        force: replace an existing report
    """
    from novelette import outputs
    from novelette.cli_deploy import opened
    from novelette.evaluate_saved import evaluate_detector
    from novelette.report import write_report
    from novelette.runtime import Runtime
    from novelette.shipped import Shipped
    from novelette.verdict import KINDS, kind_rows, verdict
    from novelette.words import text_table

    check_seed(seed)
    outputs.check_report(output, force=force)
    found = opened(detector, device, None, None)
    if isinstance(found, Runtime) and found.classes:
        raise InputError(
            f"{detector} is the bundle of a classifier: use novelette classify predict, or classify evaluate with its classifier"
        )
    loaded = Shipped(found) if isinstance(found, Runtime) else found
    evaluation, selection = evaluate_detector(loaded, source, sets.where(), train, seed=seed, bar=True)
    if json_:
        print(json.dumps(evaluation.to_json()))
    else:
        for finding in verdict(loaded, evaluation):
            print(finding.text)
        if evaluation.pixel_auroc is not None:
            print(f"Its heat maps find the pixels of {evaluation.n_masks:,} masks with AUROC {evaluation.pixel_auroc:.3f}.")
        if evaluation.kinds:
            print("\n".join(text_table(KINDS, kind_rows(evaluation)[:HARDEST])))
        if len(evaluation.kinds) > HARDEST:
            print(f"and {len(evaluation.kinds) - HARDEST:,} more kinds, which --json and the report list")
    if output is not None:
        page = write_report(output, loaded, evaluation, selection.source, title=f"{detector.name} on {selection.title}")
        say(f"report: {page}")
    return skipped(evaluation.unreadable, selection.source)


def info(detector: DetectorPath, json_: Annotated[Flag, arg(name="json")] = False) -> int:
    """Say what a detector, a classifier or a tagger is: method, size, cost, speed, calibration, origin, and its teacher beside it.

    Args:
        detector: a detector, classifier, tagger or bundle, made by novelette fit, distill, classify fit, tag fit or export
        json_: print one JSON object
    """
    from novelette.bundle import is_bundle

    if is_bundle(detector):
        from novelette.bundle import describe, lines
    elif is_classifier(detector):
        from novelette.classify.info import describe, lines
    elif (detector / TAGGER).exists():
        from novelette.tags.info import describe, lines
    else:
        from novelette.info import describe, lines
    said = describe(detector)
    print(json.dumps(said) if json_ else "\n".join(lines(said)))
    return 0
