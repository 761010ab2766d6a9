"""The commands that train: fit and distill. Their settings are those of a method, so they are parsed when they are called."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import OmitArgPrefixes, Positional, arg

from novelette.arguments import NO_SETS, Flag, Output, SetOptions, SourceName, as_dataclass, given_settings, methods_usage, parse
from novelette.errors import InputError
from novelette.saying import STOPPED, found_words, missing_words, say, skipped, threshold_words

if TYPE_CHECKING:
    from novelette.training import Run


def fit(args: Sequence[str]) -> int:
    """Fit a detector on normal pictures, and calibrate it on a fifth of them that training does not see.

    novelette fit METHOD SOURCE -o OUT ...; novelette fit METHOD --help lists the method's own settings."""
    from novelette.methods import METHODS

    if not args or args[0].startswith("-"):
        return methods_usage("novelette fit", "OUT", fit.__doc__, METHODS, args)
    from novelette.calibrate import FALSE_ALARM_RATE
    from novelette.fitting import find_method

    if args[0] not in METHODS and args[1:2] and args[1] in METHODS:
        raise InputError(f"the method comes first: novelette fit {args[1]} {args[0]}")
    module = find_method(args[0])
    base = module.paper() if "--paper" in args else module.Config()
    settings_type = as_dataclass(module.Config, base)

    def command(
        source: SourceName,
        output: Output,
        settings: OmitArgPrefixes[Annotated[settings_type, arg(name="")]],  # type: ignore[valid-type]
        sets: SetOptions = NO_SETS,
        size: Literal[32, 64, 128, 256] = 32,
        channels: Literal[1, 3] | None = None,
        frame: Literal["stretch", "crop", "pad"] = "stretch",
        tiles: int = 1,
        seed: int = 0,
        device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
        false_alarm_rate: float = FALSE_ALARM_RATE,
        paper: Flag = False,
        resume: Flag = False,
        force: Flag = False,
    ) -> int:
        """Fit a detector on normal pictures, and calibrate it on a fifth of them that training does not see.

        Args:
            source: a folder of pictures, an .npy or .npz array, or a named set (novelette data) with --normal
            output: the folder to make for the detector
            size: side of the images that the network sees, px
            channels: 1 (grey) or 3 (colour); guessed from the pictures unless given
            frame: how a picture becomes square: stretched, its centre cut out, or padded
            tiles: cut each picture into N x N tiles, for small defects; it is as novel as its worst tile (from 1 to 8)
            seed: seed of everything that is drawn at random
            device: where to train
            false_alarm_rate: the share of normal pictures that may be called novel (above 0, below 1)
            paper: the paper's own recipe: slow, for a GPU
            resume: continue a stopped run of the same command
            force: replace an existing detector, and the work of a stopped run
        """
        from novelette.fitting import Recipe, configured, fit_recipe
        from novelette.store import check_output

        config = configured(args[0], given_settings(settings, args), paper=paper)
        recipe = Recipe(args[0], config, size, channels, frame, tiles, seed, device, false_alarm_rate, sets.where())
        replacing = replaces(output, resume, force)
        with training(output, resume, force, check_output) as run:
            return _keep(fit_recipe(recipe, source, run), output, f"{args[0]} fitted", replacing)
        return STOPPED

    return parse(command, args[1:], f"fit {args[0]}")


def distill(args: Sequence[str]) -> int:
    """Teach a student, many times smaller, what a detector knows, and calibrate it anew.

    novelette distill TEACHER SOURCE -o OUT ...; an ede-gan teaches by P-KDGAN, any other detector through its scores."""
    module = _way(args)
    base = module.paper() if "--paper" in args else module.Config()
    settings_type = as_dataclass(module.Config, base)

    def command(
        teacher: Annotated[Positional[Path], arg(metavar="TEACHER")],
        source: SourceName,
        output: Output,
        settings: OmitArgPrefixes[Annotated[settings_type, arg(name="")]],  # type: ignore[valid-type]
        sets: SetOptions = NO_SETS,
        seed: int = 0,
        device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
        false_alarm_rate: float | None = None,
        paper: Flag = False,
        resume: Flag = False,
        force: Flag = False,
    ) -> int:
        """Teach a student, many times smaller, what a detector knows, and calibrate it anew.

        An ede-gan teaches by P-KDGAN, any other detector through its scores. Each way has settings of
        its own, so the teacher comes first: novelette distill TEACHER --help lists them.

        Where a structure of P-KDGAN trains the teacher too, the trained teacher is kept beside the
        student, as OUT.teacher.

        Args:
            teacher: the teacher, a detector made by novelette fit or distill
            source: normal pictures: those that the teacher was fitted on, or others like them
            output: the folder to make for the student
            seed: seed of everything that is drawn at random
            device: where to train
            false_alarm_rate: the share of normal pictures that may be called novel; the teacher's unless given (above 0, below 1)
            paper: the paper's own recipe: slow, for a GPU
            resume: continue a stopped run of the same command
            force: replace an existing detector, and the work of a stopped run
        """
        from novelette import store, work
        from novelette.distill import progressive
        from novelette.distill.detectors import distil_detector, way
        from novelette.fitting import adjusted
        from novelette.info import table

        loaded = store.load(teacher)
        if way(loaded.method) is not module:
            raise InputError(f"give the teacher first: novelette distill {teacher} SOURCE ...")
        config = adjusted(module, given_settings(settings, args), paper=paper)
        beside = output.with_name(output.name + ".teacher")
        if os.path.realpath(teacher) in (os.path.realpath(output), os.path.realpath(beside)):
            raise InputError(f"{teacher} is the teacher, and -o {output} would replace it: give another -o")
        replacing, replacing_beside = (may(output, resume, force) for may in (replaces, replaces_beside))
        along = isinstance(config, progressive.Config) and config.trains_teacher()
        if along:
            store.check_output(beside, force=replacing_beside)
        if along or replacing:
            store.check_teacher(beside)

        options: dict[str, Any] = {"seed": seed, "device": device, "false_alarm_rate": false_alarm_rate}
        with training(output, resume, force, store.check_output) as run:
            distilled = distil_detector(loaded, source, sets.where(), config, run, **options)
            taught = distilled.teacher
            if taught is not None:
                saved(lambda log: store.save(taught, beside, force=replacing_beside, log=log), work.folder_of(output))
            status = _keep(distilled.student, output, "student distilled", replacing)
            if taught is None and replacing:
                store.remove(beside)  # of the run that is replaced
            print("\n".join(table(distilled.student.detector.describe(), loaded.describe())))
            return status
        return STOPPED

    return parse(command, args, "distill")


def _way(args: Sequence[str]) -> ModuleType:
    """How the teacher that `args` begin with teaches; P-KDGAN where they begin with none, which is told later."""
    from novelette import store
    from novelette.distill import progressive
    from novelette.distill.detectors import way

    return way(store.method_of(Path(args[0]))) if args and (Path(args[0]) / store.CARD).is_file() else progressive


def replaces(output: Path, resume: bool, force: bool) -> bool:
    """Whether what stands at `output` may be replaced: --force says so, or said so of the stopped run that --resume goes on with."""
    from novelette import work

    return force or (resume and work.was_forced(work.folder_of(output)))


def replaces_beside(output: Path, resume: bool, force: bool) -> bool:
    """The same of the teacher beside `output`, which a run that --resume goes on with may have saved already."""
    from novelette import work

    return force or (resume and work.waits(work.folder_of(output)))


@contextmanager
def training(output: Path, resume: bool, force: bool, check_output: Callable[..., None]) -> "Iterator[Run]":
    """The run of a block that trains and saves, with its work beside `output`. Ctrl-C ends the block, and the work is kept.

    Args: check_output: that refuses an `output` that cannot be written.
    Raises: InputError before any work when `output` cannot be written, another process is at work on it, or the work of another run would
        be lost.
    """
    from novelette import work
    from novelette.training import Diverged, Interrupted, Run

    replacing = replaces(output, resume, force)
    check_output(output, force=replacing)
    folder = work.folder_of(output)
    with work.held(folder):
        if resume and not work.waits(folder):
            say(f"there is no stopped run at {folder}: starting a new one")
        if work.waits(folder) and not (resume or force):
            raise InputError(f"{folder} holds the work of a stopped run: give --resume to continue it, or --force to start over")
        work.keep_forced(folder, replacing)
        try:
            yield Run(folder, resume=resume, bar=True)
        except Interrupted as stopped:
            say(f"{stopped}; the work is kept in {folder}: give the same command with --resume to continue")
        except Diverged:
            work.remove(folder)  # a checkpoint on the way to nowhere
            raise


def _keep(fitted: Any, output: Path, did: str, force: bool) -> int:
    """Save a fitted detector, say what was found, and give the exit status."""
    from novelette import store, work
    from novelette.words import counted, seconds_words

    folder = work.folder_of(output)
    saved(lambda log: store.save(fitted.detector, output, force=force, log=log), folder)
    work.remove(folder)
    detector = fitted.detector
    seen, took = detector.provenance["n_training"], seconds_words(detector.provenance["seconds"])
    print(f"{output}: {did} on {counted(seen, 'picture')} and calibrated on {len(detector.calibration):,} others in {took}")
    print(missing_words(detector) or threshold_words(detector))
    print("\n".join(found_words(fitted)))
    return skipped(fitted.unreadable, fitted.source)


def saved(save: Callable[[Path], Any], folder: Path) -> None:
    """`save(log)`, with the log of a work `folder`. Raises: InputError that says how to go on from that work."""
    from novelette import work
    from novelette.store import LOG

    try:
        save(folder / LOG)
    except InputError as error:
        raise InputError(f"{error}; make room, then give the same command with --resume" if work.waits(folder) else str(error)) from error
