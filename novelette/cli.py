"""The command line: a function per command that parses, calls and prints. The logic is in the modules that it calls.

Modules are imported where they are used, so that `novelette --help` needs neither torch nor a second.
"""

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, UseAppendAction, arg

from novelette.arguments import NO_SETS, DetectorPath, Flag, SetOptions, SourceName, parse
from novelette.cli_classify import classify
from novelette.cli_compare import compare
from novelette.cli_deploy import drift, learn
from novelette.cli_export import export
from novelette.cli_serve import serve
from novelette.cli_study import study
from novelette.cli_tag import tag
from novelette.cli_train import distill, fit
from novelette.errors import InputError
from novelette.saying import STOPPED, refuse_negative, say, skipped, threshold_words


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

    With --miss-cost and --novel-prior SOURCE is labelled, as for novelette evaluate, and the threshold is the one of least expected cost.

    Args:
        detector: made by novelette fit; changed in place, unless -o is given.
        source: normal pictures, or labelled ones; those that training saw are left out.
        false_alarm_rate: the part of normal pictures that may be called novel, 0.05 unless given. (above 0 below 1)
        miss_cost: how many false alarms a missed novel picture is as bad as. (above 0)
        novel_prior: the part of all pictures to come that is novel. (above 0 below 1)
        output: write the recalibrated detector here instead.
        force: replace a detector that stands at -o.
    """
    from novelette import store
    from novelette.costs import calibrate_by_cost, cost_words
    from novelette.fitting import calibrate_detector, missing_words
    from novelette.words import counted

    by_cost = miss_cost is not None or novel_prior is not None
    if by_cost and (miss_cost is None or novel_prior is None or false_alarm_rate is not None):
        raise InputError("--miss-cost and --novel-prior go together, and take the place of --false-alarm-rate")
    rate = 0.05 if false_alarm_rate is None else false_alarm_rate
    if not 0 < rate < 1:
        raise InputError(f"--false-alarm-rate {rate:g} is not between 0 and 1")
    loaded = store.load(detector)
    store.check_output(output or detector, force=force or output is None)
    if miss_cost is not None and novel_prior is not None:
        weighing = {"miss_cost": miss_cost, "novel_prior": novel_prior}
        changed, weighed, unreadable = calibrate_by_cost(loaded, source, sets.where(), **weighing, bar=True)
        path = store.save(changed, output or detector, force=force or output is None, log=detector / store.LOG)
        print(f"{path}: calibrated on {counted(weighed.normal, 'normal picture')} and {weighed.novel:,} novel")
        print(cost_words(changed, weighed))
        return skipped(unreadable)
    changed, unreadable = calibrate_detector(loaded, source, sets.where(), rate, bar=True)
    if output is None and changed.threshold is None and loaded.threshold is not None:
        raise InputError(f"{missing_words(changed)}; {detector} keeps its old threshold")
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
        detector: made by novelette fit, distill or export; a bundle is scored without torch.
        source: a folder, one picture, or an .npy or .npz array.
        output: a .csv or .jsonl file with path, score, p_value, novel, in the pictures' order; printed as CSV without it.
        heatmaps: a folder for a picture each with what is novel in it laid over.
        device: where to compute; a bundle is scored on the CPU.
        threads: of a bundle: how many batches are scored at a time; as many as there are cores unless given.
        batch_size: of a bundle: images scored at a time by a thread; 256 unless given.
        force: replace the files that are there.
    """
    from novelette import outputs
    from novelette.cli_deploy import opened
    from novelette.data.sources import open_source

    outputs.check(output, heatmaps, force=force)
    loaded = opened(detector, device, threads, batch_size)
    pictures = open_source(source)
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
    return skipped(predictions.unreadable)


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
        detector: made by novelette fit, distill or export.
        source: a folder with normal/ (or good/) and any others, such as novel/; or a named set with --normal.
        train: the normal pictures that the neighbours are; those that the detector was fitted on unless given.
        output: a folder for a report, one HTML page.
        json_: print one JSON object.
        seed: of the bootstrap interval.
        device: where to compute; a bundle is scored on the CPU.
        force: replace the report that is there.
    """
    from novelette import outputs
    from novelette.cli_deploy import opened
    from novelette.evaluating import evaluate_detector
    from novelette.report import write_report
    from novelette.runtime import Runtime
    from novelette.shipped import Shipped
    from novelette.verdict import verdict

    refuse_negative("--seed", seed)
    outputs.check_report(output, force=force)
    found = opened(detector, device, None, None)
    loaded = Shipped(found) if isinstance(found, Runtime) else found
    evaluation, selection = evaluate_detector(loaded, source, sets.where(), train, seed=seed, bar=True)
    if json_:
        print(json.dumps(evaluation.to_json()))
    else:
        for finding in verdict(loaded, evaluation):
            print(finding.text.replace("*", ""))
        if evaluation.pixel_auroc is not None:
            print(f"Its heat maps find the pixels of {evaluation.n_masks:,} masks with AUROC {evaluation.pixel_auroc:.3f}.")
    if output is not None:
        page = write_report(output, loaded, evaluation, selection.source, title=f"{detector.name} on {selection.title}")
        say(f"report: {page}")
    return skipped(evaluation.unreadable)


def info(detector: DetectorPath, json_: Annotated[Flag, arg(name="json")] = False) -> int:
    """Say what a detector or a classifier is: method, size, cost, speed, calibration, origin, and its teacher beside it.

    Args:
        detector: made by novelette fit, distill, classify fit or export.
        json_: print one JSON object.
    """
    from novelette.bundle import is_bundle

    if is_bundle(detector):
        from novelette.bundle import describe, lines
    elif (detector / "classifier.json").exists():
        from novelette.classify.info import describe, lines
    else:
        from novelette.info import describe, lines
    said = describe(detector)
    print(json.dumps(said) if json_ else "\n".join(lines(said)))
    return 0


def methods() -> int:
    """List the methods that can be fitted."""
    from novelette.methods import METHODS

    for name, module in METHODS.items():
        print(f"{name:<12} {(module.__doc__ or '').splitlines()[0]}\n{'':<12} {module.PAPER}")
    return 0


def data(data_root: UseAppendAction[tuple[Path, ...]] = ()) -> int:
    """List the named data sets, and where their files were found.

    Args:
        data_root: a folder that holds named sets; may be given several times, and NOVELETTE_DATA too.
    """
    from novelette.data.named import overview

    for line in overview(data_root):
        print(line)
    return 0


def bench(
    file: Annotated[Positional[Path], arg(metavar="FILE")],
    results: Path = Path("results"),
    data_root: UseAppendAction[tuple[Path, ...]] = (),
    jobs: int = 1,
    engine: Literal["joblib", "ray"] = "joblib",
    address: Annotated[str | None, arg(metavar="HOST:PORT")] = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "cpu",
) -> int:
    """Run a grid of (class, seed, detector) by a protocol, or of classifiers; what has a record is not run again. Then print its table.

    Args:
        file: a bench file, such as benchmarks/mnist-small.toml.
        results: a folder for the records.
        data_root: a folder that holds named sets; may be given several times, and NOVELETTE_DATA too.
        jobs: processes at a time, on a cluster those of all machines together. (from 1 to 256)
        engine: joblib runs processes on this machine, ray on a Ray cluster, which needs novelette[cluster].
        address: of the cluster's head, with --engine ray; without it Ray runs on this machine.
        device: where to train.
    """
    from novelette.bench.engine import run_bench
    from novelette.bench.found import find
    from novelette.bench.table import table as table_of
    from novelette.classify import grid, pages

    if not 1 <= jobs <= 256:
        raise InputError(f"--jobs {jobs} is not from 1 to 256")
    where: Any = {"data_roots": data_root, "jobs": jobs, "engine": engine, "address": address, "device": device, "bar": True}
    if grid.is_grid(file):
        of_classifiers = grid.read_grid(file)
        records = grid.run_grid(of_classifiers, results, **where)
        print(pages.table(of_classifiers, records))
    else:
        found = find(file, results)
        records = run_bench(found.bench, results, **where)
        print(table_of(found.bench, records, found.rows_beside))
    return 1 if any("error" in record for record in records) else 0


def table(
    name: Annotated[Positional[str], arg(metavar="NAME")],
    benchmarks: Path = Path("benchmarks"),
    results: Path = Path("results"),
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
) -> int:
    """Show what the records of a bench hold: tables beside the printed figures, and plots. Nothing is trained.

    Args:
        name: of a bench, or of a page that names several, in the folder of --benchmarks, without .toml.
        benchmarks: the folder of bench files.
        results: the folder of records.
        output: a folder for the page, NAME.md, and its plots, NAME-*.svg and .png; printed as Markdown without plots if not given.
    """
    from novelette.bench.page import make, text_of, write
    from novelette.classify import pages

    page = (pages.make if pages.of_classifiers(name, benchmarks) else make)(name, benchmarks, results)
    if output is None:
        print(text_of(page, figures=False), end="")
    else:
        paths = write(page, output)
        print(f"{paths[-1]}: {len(paths) // 2} plots beside it, each as .svg and .png")
    return 0


COMMANDS: dict[str, Callable[..., int]] = {
    "compare": compare,
    "fit": fit,
    "distill": distill,
    "calibrate": calibrate,
    "score": score,
    "evaluate": evaluate,
    "info": info,
    "export": export,
    "drift": drift,
    "learn": learn,
    "serve": serve,
    "classify": classify,
    "methods": methods,
    "data": data,
    "bench": bench,
    "table": table,
    "study": study,
    "tag": tag,
}


TRAIN = ("torch", "sklearn", "scipy", "safetensors", "matplotlib", "pooch", "joblib", "onnx", "onnxscript")
SERVE = ("fastapi", "starlette", "uvicorn", "httptools", "python_multipart", "prometheus_client")
EXTRAS = {name: extra for extra, names in (("train", TRAIN), ("serve", SERVE)) for name in names}  # which brings what is not there


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns: the exit status: 0; 2 for a person's bad input, in one sentence; 3 when pictures were skipped."""
    args = list(sys.argv[1:] if argv is None else argv)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # what Pillow says of odd files, novelette says in its own words
    warnings.filterwarnings("ignore", "Image size .* exceeds limit", RuntimeWarning)
    try:
        status = _run(args)
        sys.stdout.flush()
        return status
    except InputError as error:
        say(f"novelette: {error}")
    except KeyboardInterrupt:
        say("novelette: stopped")
        return STOPPED
    except BrokenPipeError:  # whoever read the output has had enough, as `head` has
        _settle_output()
        return 0
    except OSError as error:
        say(f"novelette: {error.filename or 'the output'}: {(error.strerror or str(error)).lower()}")
        _settle_output()
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        say(f"novelette: this command needs {error.name}: pip install 'novelette[{extra}]'")
    return 2


def _run(args: list[str]) -> int:
    if args[:1] == ["help"] and args[1:]:
        args = [*args[1:], "--help"]
    if not args or args[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if args[0] == "--version":
        from importlib.metadata import version

        print(f"novelette {version('novelette')}")
        return 0
    if args[0] not in COMMANDS:
        raise InputError(f"there is no command {args[0]!r}: choose one of {', '.join(COMMANDS)}")
    if args[0] in ("fit", "distill", "classify", "study", "tag"):  # these know their settings only when they are called
        return COMMANDS[args[0]](args[1:])
    return parse(COMMANDS[args[0]], args[1:], args[0])


def overview() -> str:
    """What `novelette --help` prints."""
    lines = ["usage: novelette COMMAND ...", "", "Small networks that know what is new.", ""]
    lines += [f"  {name:<10} {(command.__doc__ or '').splitlines()[0]}" for name, command in COMMANDS.items()]
    return "\n".join([*lines, "", "novelette COMMAND --help lists a command's arguments."])


def _settle_output() -> None:
    """Send what standard output cannot take nowhere: Python would try once more as it ends, and tell of its failure at length."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
