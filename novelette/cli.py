"""The command line: a function per command that parses, calls and prints. The logic is in the modules that it calls.

Modules are imported where they are used, so that `novelette --help` needs neither torch nor a second.
"""

import contextlib
import dataclasses
import io
import json
import logging
import os
import re
import sys
import typing
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import OmitArgPrefixes, Positional, UseAppendAction, arg

from novelette.errors import InputError

SKIPPED = 3  # exit status: done, but some pictures could not be read
STOPPED = 130  # exit status: stopped by Ctrl-C

Output = Annotated[Path, arg(aliases=["-o"])]
DetectorPath = Annotated[Positional[Path], arg(metavar="DETECTOR")]
SourceName = Annotated[Positional[str], arg(metavar="SOURCE")]
Flag = tyro.conf.FlagCreatePairsOff[bool]


@dataclasses.dataclass(frozen=True)
class Sets:
    """Which pictures of a named set.

    Attributes:
        normal: the class of a named set that is normal (with leave-one-out, the one that is novel).
        protocol: how a named set is split: standard, gpnd, ocgan-p1 or leave-one-out.
        protocol_seed: of the protocols that draw.
        attribute: of CelebA, e.g. Eyeglasses: pictures without it are normal.
        group_by: a regular expression; pictures in whose names it finds the same text show the same thing, and are not parted between
            training and calibration, e.g. 'part[0-9]+'.
        data_root: a folder that holds named sets; may be given several times, and NOVELETTE_DATA too.
    """

    normal: str | None = None
    protocol: str = "standard"
    protocol_seed: int = 0
    attribute: str | None = None
    group_by: str | None = None
    data_root: UseAppendAction[tuple[Path, ...]] = ()

    def where(self) -> Any:
        from novelette.data.select import Where

        _refuse_negative("--protocol-seed", self.protocol_seed)
        return Where(self.normal, self.protocol, self.protocol_seed, self.attribute, self.group_by, self.data_root)


SetOptions = OmitArgPrefixes[Annotated[Sets, arg(name="")]]


def fit(args: Sequence[str]) -> int:
    """Fit a detector on normal pictures, and calibrate it on a fifth of them that training does not see.

    novelette fit METHOD SOURCE -o OUT ...; novelette fit METHOD --help lists the method's own settings."""
    if not args or args[0].startswith("-"):
        return _fit_usage(args)
    from novelette.fitting import find_method

    module = find_method(args[0])
    base = module.paper() if "--paper" in args else module.Config()
    settings_type = _as_dataclass(module.Config, base)

    def command(
        source: SourceName,
        output: Output,
        settings: OmitArgPrefixes[Annotated[settings_type, arg(name="")]],  # type: ignore[valid-type]
        sets: SetOptions = Sets(),
        size: Literal[32, 64, 128, 256] = 32,
        channels: Literal[1, 3] | None = None,
        frame: Literal["stretch", "crop", "pad"] = "stretch",
        tiles: int = 1,
        seed: int = 0,
        device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
        false_alarm_rate: float = 0.05,
        paper: Flag = False,
        resume: Flag = False,
        force: Flag = False,
    ) -> int:
        """Fit a detector on normal pictures, and calibrate it on a fifth of them that training does not see.

        Args:
            source: a folder of pictures, an .npy or .npz array, or a named set (novelette data) with --normal.
            output: the detector, a folder to be made.
            size: of the images that the network sees, px.
            channels: 1 (grey) or 3 (colour); guessed from the pictures unless given.
            frame: how a picture becomes square: stretched, its centre cut out, or padded.
            tiles: cut each picture in N x N; it is as novel as its worst tile. For small defects. (from 1 to 8)
            seed: fixes everything that is drawn.
            device: where to train.
            false_alarm_rate: the part of normal pictures that may be called novel. (above 0 below 1)
            paper: the paper's own recipe: slow, for a GPU.
            resume: go on where a stopped run of the same command was.
            force: replace a detector that is there, and the work of a stopped run.
        """
        from novelette import store
        from novelette.fitting import Recipe, fit_recipe, found_words, missing_words
        from novelette.settings import validated
        from novelette.training import CHECKPOINT, Interrupted, Run
        from novelette.words import seconds_words

        store.check_output(output, force=force)
        config = validated(module.Config, dataclasses.asdict(settings))
        recipe = Recipe(args[0], config, size, channels, frame, tiles, seed, device, false_alarm_rate, where=sets.where())
        work = output.with_name(output.name + ".run")
        if (work / CHECKPOINT).exists() and not (resume or force):
            raise InputError(f"{work} holds the work of a stopped run: give --resume to go on with it, or --force to begin anew")
        try:
            fitted = fit_recipe(recipe, source, Run(work, resume=resume, bar=True))
        except Interrupted as stopped:
            _say(f"{stopped}; the work is kept in {work}: give the same command with --resume to go on")
            return STOPPED
        try:
            store.save(fitted.detector, output, force=force, log=work / store.LOG)
        except InputError as error:
            raise InputError(f"{error}; make room, then give the same command with --resume" if work.exists() else str(error)) from error
        store.remove_work(work)
        detector = fitted.detector
        seen, kept = detector.provenance["n_training"], len(detector.calibration)
        took = seconds_words(detector.provenance["seconds"])
        print(f"{output}: {args[0]} fitted on {seen:,} pictures and calibrated on {kept:,} others in {took}")
        print(missing_words(detector) or _threshold_words(detector))
        print("\n".join(found_words(fitted)))
        return _skipped(fitted.unreadable)

    return _parse(command, args[1:], f"fit {args[0]}")


def calibrate(
    detector: DetectorPath,
    source: SourceName,
    false_alarm_rate: float = 0.05,
    sets: SetOptions = Sets(),
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    force: Flag = False,
) -> int:
    """Set a detector's threshold anew from normal pictures that it was not trained on, without refitting.

    Args:
        detector: made by novelette fit; changed in place, unless -o is given.
        source: normal pictures; those that training saw are left out.
        false_alarm_rate: the part of normal pictures that may be called novel. (above 0 below 1)
        output: write the recalibrated detector here instead.
        force: replace a detector that stands at -o.
    """
    from novelette import store
    from novelette.fitting import calibrate_detector, missing_words
    from novelette.words import counted

    if not 0 < false_alarm_rate < 1:
        raise InputError(f"--false-alarm-rate {false_alarm_rate:g} is not between 0 and 1")
    loaded = store.load(detector)
    store.check_output(output or detector, force=force or output is None)
    changed, unreadable = calibrate_detector(loaded, source, sets.where(), false_alarm_rate, bar=True)
    if output is None and changed.threshold is None and loaded.threshold is not None:
        raise InputError(f"{missing_words(changed)}; {detector} keeps its old threshold")
    log = detector / store.LOG
    path = store.save(changed, output or detector, force=force or output is None, log=log)
    print(f"{path}: calibrated on {counted(len(changed.calibration), 'picture')}")
    print(missing_words(changed) or _threshold_words(changed))
    return _skipped(unreadable)


def score(
    detector: DetectorPath,
    source: SourceName,
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    heatmaps: Path | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "cpu",
    force: Flag = False,
) -> int:
    """Score new pictures: how novel each is, its p-value, and whether it is called novel.

    Args:
        detector: made by novelette fit.
        source: a folder, one picture, or an .npy or .npz array.
        output: a .csv or .jsonl file with path, score, p_value, novel, in the pictures' order; printed as CSV without it.
        heatmaps: a folder for a picture each with what is novel in it laid over.
        device: where to compute.
        force: replace the files that are there.
    """
    from novelette import outputs, store
    from novelette.data.sources import open_source
    from novelette.training import pick_device

    outputs.check(output, heatmaps, force=force)
    loaded = store.load(detector).to(pick_device(device))
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
        _say(f"{heatmaps}: {count:,} heat maps")
    return _skipped(predictions.unreadable)


def evaluate(
    detector: DetectorPath,
    source: SourceName,
    sets: SetOptions = Sets(),
    train: str | None = None,
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    json_: Annotated[Flag, arg(name="json")] = False,
    seed: int = 0,
    device: Literal["auto", "cpu", "cuda", "mps"] = "cpu",
    force: Flag = False,
) -> int:
    """Measure a detector on labelled pictures, with plain k-nearest-neighbours on the same pictures beside it.

    Args:
        detector: made by novelette fit.
        source: a folder with normal/ (or good/) and any others, such as novel/; or a named set with --normal.
        train: the normal pictures that the neighbours are; those that the detector was fitted on unless given.
        output: a folder for a report, one HTML page.
        json_: print one JSON object.
        seed: of the bootstrap interval.
        device: where to compute.
        force: replace the report that is there.
    """
    from novelette import outputs, store
    from novelette.evaluating import evaluate_detector
    from novelette.report import write_report
    from novelette.training import pick_device
    from novelette.verdict import verdict

    _refuse_negative("--seed", seed)
    outputs.check_report(output, force=force)
    loaded = store.load(detector).to(pick_device(device))
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
        _say(f"report: {page}")
    return _skipped(evaluation.unreadable)


def info(detector: DetectorPath, json_: Annotated[Flag, arg(name="json")] = False) -> int:
    """Say what a detector is: method, size, cost, calibration, and where it came from.

    Args:
        detector: made by novelette fit.
        json_: print one JSON object.
    """
    from novelette import store

    described = store.load(detector).describe()
    if json_:
        print(json.dumps(described))
        return 0
    for name, value in _flat(described):
        print(f"{name:<34} {value:,}" if isinstance(value, int) and not isinstance(value, bool) else f"{name:<34} {value}")
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
    device: Literal["auto", "cpu", "cuda", "mps"] = "cpu",
) -> int:
    """Run a grid of (class, seed, detector) by a protocol; what has a record is not run again. Then print its table.

    Args:
        file: a bench file, such as benchmarks/mnist-small.toml.
        results: a folder for the records.
        data_root: a folder that holds named sets; may be given several times, and NOVELETTE_DATA too.
        jobs: processes at a time. (from 1 to 256)
        device: where to train.
    """
    from novelette.bench.engine import run_bench
    from novelette.bench.runs import read_bench
    from novelette.bench.table import table

    if not 1 <= jobs <= 256:
        raise InputError(f"--jobs {jobs} is not from 1 to 256")
    read = read_bench(file)
    records = run_bench(read, results, data_roots=data_root, jobs=jobs, device=device, bar=True)
    print(table(read, records))
    return 1 if any("error" in record for record in records) else 0


COMMANDS: dict[str, Callable[..., int]] = {
    "fit": fit,
    "calibrate": calibrate,
    "score": score,
    "evaluate": evaluate,
    "info": info,
    "methods": methods,
    "data": data,
    "bench": bench,
}


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
        _say(f"novelette: {error}")
    except KeyboardInterrupt:
        _say("novelette: stopped")
        return STOPPED
    except BrokenPipeError:  # whoever read the output has had enough, as `head` has
        _settle_output()
        return 0
    except OSError as error:
        _say(f"novelette: {error.filename or 'the output'}: {(error.strerror or str(error)).lower()}")
        _settle_output()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in (
            "torch",
            "sklearn",
            "safetensors",
            "matplotlib",
            "pooch",
            "joblib",
        ):
            raise
        _say(f"novelette: this command needs {error.name}: pip install 'novelette[train]'")
    return 2


def _run(args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help"):
        print(overview())
        return 0
    if args[0] == "--version":
        from importlib.metadata import version

        print(f"novelette {version('novelette')}")
        return 0
    if args[0] not in COMMANDS:
        raise InputError(f"there is no command {args[0]!r}: choose one of {', '.join(COMMANDS)}")
    if args[0] == "fit":
        return fit(args[1:])
    return _parse(COMMANDS[args[0]], args[1:], args[0])


def overview() -> str:
    """What `novelette --help` prints."""
    lines = ["usage: novelette COMMAND ...", "", "Small networks that know what is new.", ""]
    lines += [f"  {name:<10} {(command.__doc__ or '').splitlines()[0]}" for name, command in COMMANDS.items()]
    return "\n".join([*lines, "", "novelette COMMAND --help lists a command's arguments."])


def _parse(command: Callable[..., int], args: Sequence[str], name: str) -> int:
    """Parse with tyro and call. What tyro has to say of a wrong argument becomes one sentence. Raises: InputError."""
    errors = io.StringIO()
    call: list[Any] = []
    spied = _spied(command, call)
    try:
        with contextlib.redirect_stderr(errors):
            tyro.cli(spied, args=list(args), prog=f"novelette {name}")
    except SystemExit as stop:
        if stop.code in (0, None):
            return 0
        raise InputError(_one_sentence(errors.getvalue(), name)) from None
    return command(*call[0], **call[1])


def _spied(command: Callable[..., int], call: list[Any]) -> Callable[..., None]:
    """A function of the same signature that notes its arguments: parsing ends before the command begins."""
    import functools

    @functools.wraps(command)
    def note(*args: Any, **kwargs: Any) -> None:
        call[:] = [args, kwargs]

    return note


def _one_sentence(boxed: str, name: str) -> str:
    """tyro's boxed message without the box, the first paragraph alone. On a terminal that knows no │ the box is of blanks and -."""
    lines = [line.strip("│ ").strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", boxed).splitlines()]
    paragraphs: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("╭") or (line and set(line) <= set("─-")):
            paragraphs.append([])
        else:
            paragraphs[-1].append(line)
    text = " ".join(paragraphs[1]).rstrip(".")
    return f"{text[:1].lower()}{text[1:]}; see novelette {name} --help"


def _as_dataclass(model: Any, base: Any) -> Any:
    """A pydantic configuration as a dataclass for tyro: names, types, defaults of `base`, and the descriptions as help.

    tyro parses, pydantic judges: so a value out of range is told in novelette's words.
    """
    hints = typing.get_type_hints(model, include_extras=True)
    fields = [
        (name, Annotated[hints[name], arg(help=info.description)], dataclasses.field(default=getattr(base, name)))
        for name, info in model.model_fields.items()
    ]
    made = dataclasses.make_dataclass("Settings", fields, frozen=True)
    made.__doc__ = f"{model.__module__.rpartition('.')[2].replace('_', '-')}'s own settings."
    return made


def _fit_usage(args: Sequence[str]) -> int:
    from novelette.methods import METHODS

    if args and args[0] not in ("-h", "--help"):
        raise InputError(f"novelette fit METHOD SOURCE: the method comes first, one of {', '.join(METHODS)}")
    print("usage: novelette fit METHOD SOURCE -o OUT ...\n")
    print((fit.__doc__ or "").splitlines()[0] + "\n")
    for name, module in METHODS.items():
        print(f"  {name:<10} {(module.__doc__ or '').splitlines()[0]}")
    print("\nnovelette fit METHOD --help lists the arguments, and the method's own settings with their ranges.")
    return 0


def _flat(described: dict[str, Any], above: str = "") -> typing.Iterator[tuple[str, Any]]:
    """Nested dicts as dotted names and values."""
    for key, value in described.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield above + key, value


def _threshold_words(detector: Any) -> str:
    return f"threshold {detector.threshold:.6g} for a false-alarm rate of {detector.false_alarm_rate:g}"


def _skipped(unreadable: dict[str, str]) -> int:
    """Tell which pictures were skipped, and give the exit status that says so."""
    if not unreadable:
        return 0
    for name, why in unreadable.items():
        _say(f"skipped {name}: {why}")
    from novelette.words import counted

    _say(f"{counted(len(unreadable), 'picture')} could not be read and {'was' if len(unreadable) == 1 else 'were'} skipped")
    return SKIPPED


def _refuse_negative(option: str, value: int) -> None:
    if value < 0:
        raise InputError(f"{option} {value} is negative: give 0 or more")


def _settle_output() -> None:
    """Send what standard output cannot take nowhere: Python would try once more as it ends, and tell of its failure at length."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
