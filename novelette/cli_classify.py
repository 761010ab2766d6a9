"""The command `classify`: classifiers of named classes, taught by a teacher and a discriminator or in plainer ways."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import OmitArgPrefixes, Positional, arg

from novelette.arguments import NO_CLASS_SETS, ClassSetOptions, Flag, Output, SourceName, as_dataclass, given_settings, methods_usage, parse
from novelette.cli_train import replaces, replaces_beside, saved, training
from novelette.errors import InputError
from novelette.saying import STOPPED, say, skipped

ClassifierPath = Annotated[Positional[Path], arg(metavar="CLASSIFIER")]


def classify(args: Sequence[str]) -> int:
    """Train and use classifiers of named classes from few labels (KDGAN), which also say what they are unsure of.

    novelette classify fit METHOD SOURCE -o OUT ...; novelette classify evaluate CLASSIFIER SOURCE; novelette classify predict ..."""
    if not args or args[0] in ("-h", "--help"):
        return _usage()
    if args[0] not in COMMANDS:
        raise InputError(f"there is no command novelette classify {args[0]!r}: choose one of {', '.join(COMMANDS)}")
    return COMMANDS[args[0]](args[1:])


def fit(args: Sequence[str]) -> int:
    """Train a classifier on labelled pictures, and calibrate it on others.

    novelette classify fit METHOD SOURCE -o OUT ...; novelette classify fit METHOD --help lists the method's own settings."""
    if not args or args[0].startswith("-"):
        from novelette.classify import METHODS

        return methods_usage("novelette classify fit", "OUT", fit.__doc__, METHODS, args)
    from novelette.calibrate import FALSE_ALARM_RATE
    from novelette.classify.fitting import find_method

    config_type = find_method(args[0]).Config
    settings_type = as_dataclass(config_type, config_type())

    def command(
        source: SourceName,
        output: Output,
        settings: OmitArgPrefixes[Annotated[settings_type, arg(name="")]],  # type: ignore[valid-type]
        sets: ClassSetOptions = NO_CLASS_SETS,
        pictures: int | None = None,
        size: Literal[28, 32, 64, 128, 256] | None = None,
        channels: Literal[1, 3] | None = None,
        frame: Literal["stretch", "crop", "pad"] = "stretch",
        seed: int = 0,
        device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
        false_alarm_rate: float = FALSE_ALARM_RATE,
        resume: Flag = False,
        force: Flag = False,
    ) -> int:
        """Train a classifier on labelled pictures, and calibrate it on others.

        A fifth of the pictures, chosen by their contents, is kept from training; up to 1,000 of them decide
        what is called unknown. A teacher, where the method has one, is kept beside the classifier, as OUT.teacher.

        Args:
            source: a folder with a subfolder for each class, or a named set (novelette data), of which the training images are taken
            output: the folder to make for the classifier
            pictures: how many pictures train, drawn with the seed, as many of each class as possible; all unless given
            size: side of the images that the network sees, px; the pictures' own where they are squares of such a size, else 32
            channels: 1 (grey) or 3 (colour); guessed from the pictures unless given
            frame: how a picture becomes square: stretched, its centre cut out, or padded
            seed: seed of everything that is drawn at random
            device: where to train
            false_alarm_rate: the share of pictures of known classes that may be called unknown (above 0, below 1)
            resume: continue a stopped run of the same command
            force: replace an existing classifier, and the work of a stopped run
        """
        from novelette import work
        from novelette.classify import store
        from novelette.classify.fitting import Task
        from novelette.classify.fitting import fit as fit_task
        from novelette.settings import validated

        config = validated(config_type, given_settings(settings, args))
        task = Task(args[0], config, pictures, size, channels, frame, seed, device, false_alarm_rate, sets.where())
        beside, folder = store.beside(output), work.folder_of(output)
        replacing, replacing_beside = (may(output, resume, force) for may in (replaces, replaces_beside))
        store.check_output(beside, force=replacing_beside)
        if replacing_beside and not work.waits(folder):  # of a run that waits it can be the teacher, saved just before the run stopped
            store.check_teacher(output)
        with training(output, resume, force, store.check_output) as run:
            fitted = fit_task(task, source, run)
            teacher = fitted.teacher
            if teacher is not None:
                saved(lambda log: store.save(teacher, beside, force=replacing_beside, log=log), folder)
            elif replacing_beside:
                store.remove(beside)  # of the run that is replaced
            saved(lambda log: store.save(fitted.classifier, output, force=replacing, log=log), folder)
            work.remove(folder)
            _tell(fitted, output, beside)
            return skipped(fitted.unreadable, fitted.source)
        return STOPPED

    return parse(command, args[1:], f"classify fit {args[0]}")


def _tell(fitted: Any, output: Path, beside: Path) -> None:
    from novelette.calibrate import pictures_needed
    from novelette.saying import threshold_words
    from novelette.words import counted, seconds_words

    detector, kept = fitted.classifier.detector, fitted.classifier.classes
    seen, took = detector.provenance["n_training"], seconds_words(detector.provenance["seconds"])
    calibrated = f"calibrated on {len(detector.calibration):,} others"
    print(f"{output}: {detector.method} trained on {counted(seen, 'picture')} of {len(kept)} classes and {calibrated} in {took}")
    if fitted.teacher is not None:
        print(f"{beside}: its teacher, a {fitted.teacher.player}")
    if detector.threshold is not None:
        print(f"called unknown above {threshold_words(detector)}")
    else:
        needed = f"{pictures_needed(detector.false_alarm_rate)} calibration pictures, and there are {len(detector.calibration)}"
        print(f"nothing will be called unknown: a false-alarm rate of {detector.false_alarm_rate:g} needs {needed}")


def evaluate(args: Sequence[str]) -> int:
    """Measure a classifier on labelled pictures, with its teacher beside it."""

    def command(
        classifier: ClassifierPath,
        source: SourceName,
        sets: ClassSetOptions = NO_CLASS_SETS,
        output: Annotated[Path | None, arg(aliases=["-o"])] = None,
        json_: Annotated[Flag, arg(name="json")] = False,
        device: Literal["auto", "cpu", "cuda", "mps"] = "cpu",
        force: Flag = False,
    ) -> int:
        """Measure a classifier on labelled pictures, with its teacher beside it.

        Args:
            classifier: a classifier made by novelette classify fit
            source: a folder with a subfolder for each class and, if there are pictures of no class, one called unknown; or a named set, of
                which the test images are taken
            output: a folder for a report, one HTML page
            json_: print one JSON object
            device: where to compute
            force: replace an existing report
        """
        from novelette import outputs
        from novelette.classify import store
        from novelette.classify.evaluate import evaluate as evaluated
        from novelette.classify.evaluate import findings
        from novelette.classify.report import render
        from novelette.data.select import pictures_by_class
        from novelette.info import table
        from novelette.progress import progress
        from novelette.report import write_page
        from novelette.training import pick_device

        outputs.check_report(output, force=force)
        loaded = store.load(classifier)
        teacher = store.teacher_of(classifier)
        labelled = pictures_by_class(source, sets.where(), test=True)
        for each in (loaded, teacher):
            if each is not None:
                each.to(pick_device(device))
        with progress("classify", len(labelled.source), shown=True) as show:
            found = evaluated(loaded, teacher, labelled, show=show)
        if json_:
            print(json.dumps(found.to_json()))
        else:
            print("\n".join(finding.text for finding in findings(found)))
            print("\n".join(table(*found.costs)))
        if output is not None:
            page = render(loaded, found, labelled.source, title=f"{loaded.detector.method} on {labelled.title}")
            say(f"report: {write_page(output, page)}")
        return skipped(found.unreadable, labelled.source)

    return parse(command, args, "classify evaluate")


def predict(args: Sequence[str]) -> int:
    """Say the class of pictures, and whether they belong to none."""
    return parse(predict_command, args, "classify predict")


def predict_command(
    classifier: ClassifierPath,
    source: SourceName,
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    every: Flag = False,
    device: Literal["auto", "cpu", "cuda", "mps"] = "cpu",
    force: Flag = False,
) -> int:
    """Say the class of pictures, and whether they belong to none.

    Args:
        classifier: a classifier made by novelette classify fit, or a bundle made by export, which needs no torch
        source: a folder, one picture, or an .npy or .npz array
        output: a .csv or .jsonl file for path, label, probability, score (how uncertain the classifier is), p_value and unknown, in the
            pictures' order; without it, CSV is printed
        every: add the probability of every class
        device: where to compute; a bundle is computed on the CPU
        force: replace an existing file
    """
    from novelette import outputs
    from novelette.data.sources import open_source

    outputs.check(output, force=force)
    loaded = _opened(classifier, device)
    pictures = open_source(source)
    predictions = loaded.predict(pictures, bar=True)
    if output is not None:
        outputs.write(predictions, output, every=every)
        print(f"{output}: {outputs.summary(predictions)}")
    elif len(predictions.names) == len(pictures) == 1 and not every:
        print(outputs.sentence(predictions, 0))
    else:
        sys.stdout.write(outputs.csv_text(predictions, every=every))
    return skipped(predictions.unreadable, pictures)


def _opened(path: Path, device: str) -> Any:
    """A classifier on its device, or a classifier's bundle.   Raises: InputError."""
    from novelette.bundle import is_bundle

    if is_bundle(path):
        from novelette import runtime

        loaded = runtime.load(path)
        if not loaded.classes:
            raise InputError(f"{path} is the bundle of a detector, which knows no classes: give it to novelette score")
        return loaded
    from novelette.classify import store
    from novelette.training import pick_device

    return store.load(path).to(pick_device(device))


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"fit": fit, "evaluate": evaluate, "predict": predict}


def _usage() -> int:
    print("usage: novelette classify COMMAND ...\n")
    print((classify.__doc__ or "").splitlines()[0] + "\n")
    for name, command in COMMANDS.items():
        print(f"  {name:<10} {(command.__doc__ or '').splitlines()[0]}")
    print("\nnovelette classify COMMAND --help lists a command's arguments.")
    return 0
