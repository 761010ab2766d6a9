"""From pictures with a label each to a classifier and its teacher, both calibrated on pictures that training did not see."""

import hashlib
import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from torch import nn

from novelette import calibrate, fitting
from novelette.calibrating import calibrating_scores
from novelette.classify import METHODS
from novelette.classify.certainty import Scorer
from novelette.classify.classifier import Classifier
from novelette.classify.drawing import drawn
from novelette.classify.recipe import Recipe, WithTeacher
from novelette.data.images import Loaded, Preprocessing, guess_channels, guess_size, load_to_fit
from novelette.data.select import UNKNOWN, Labelled, Where, describe, pictures_by_class
from novelette.data.sources import Source, masks_words
from novelette.detector import Detector
from novelette.errors import InputError
from novelette.fitting import Gathered
from novelette.progress import progress
from novelette.settings import validated
from novelette.training import Run, pick_device
from novelette.words import choice_words

MOST_CALIBRATING = 1000  # pictures: more make a threshold hardly surer
FEWEST_CLASSES = 2


@dataclass(frozen=True)
class Task:
    """Everything about a fit but the pictures.

    Attributes: pictures: how many train; all that there are if None.
    """

    method: str
    config: BaseModel
    pictures: int | None = None
    size: int | None = None
    channels: int | None = None
    frame: str = "stretch"
    seed: int = 0
    device: str = "auto"
    false_alarm_rate: float = calibrate.FALSE_ALARM_RATE
    where: Where = field(default_factory=Where)


@dataclass(frozen=True)
class Fitted:
    """A classifier and its teacher, None where there is none.

    Attributes: unreadable: name -> why, of pictures that were skipped.   source: of all pictures.
    """

    classifier: Classifier
    teacher: Classifier | None
    unreadable: dict[str, str]
    source: Source


def find_method(name: str) -> Any:
    """The module of a method. Raises: InputError that lists the methods."""
    if name not in METHODS:
        raise InputError(f"there is no method {name!r} for classifiers: {choice_words(name, METHODS)}")
    return METHODS[name]


def fit(task: Task, source: Any, run: Run) -> Fitted:
    """Train on so many pictures of a folder with a subfolder a class, or of a named set's training images; calibrate on others.

    As in `novelette fit`, which pictures may calibrate is decided by their contents. Raises: InputError.
    """
    began = time.monotonic()
    fitting.check_numbers(task.false_alarm_rate, task.seed)
    device = pick_device(task.device)
    chosen = pictures_by_class(source, task.where)
    if UNKNOWN in chosen.names:
        raise InputError(
            f"{chosen.title}: the folder {UNKNOWN} is for pictures of no class, which cannot train a classifier: move it out, or rename it"
        )
    if len(chosen.names) < FEWEST_CLASSES:
        masks = f" ({masks})" if (masks := masks_words(chosen.source)) else ""
        raise InputError(f"{chosen.title} holds pictures of only one class, {chosen.names[0]}: a classifier needs two or more{masks}")
    preprocessing = choose_preprocessing(task, chosen)
    pictures = gather(task, chosen, preprocessing, bar=run.bar)
    labels = pictures.labels
    assert labels is not None
    run.begin(
        method=task.method,
        config=task.config.model_dump(mode="json"),
        preprocessing=preprocessing.model_dump(mode="json"),
        seed=task.seed,
        pictures=fitting.fingerprint(pictures.training_hashes),
        classes=list(chosen.names),
        labels=hashlib.sha256(labels.numpy().tobytes()).hexdigest()[:16],
    )
    given: dict[str, Any] = {"classes": len(chosen.names), "seed": task.seed, "device": device, "run": run}
    taught = METHODS[task.method].fit(pictures.training, labels, task.config, **given)
    whence = fitting.provenance(describe(source, task.where), pictures, device, began) | run.notes

    def finished(net: nn.Module, player: str) -> Classifier:
        assert isinstance(net, nn.Sequential)
        detector = Detector(
            task.method,
            task.config,
            preprocessing,
            Scorer.of(net, task.seed),
            calibration=np.zeros(0),
            trained_on=pictures.trained_on,
            false_alarm_rate=task.false_alarm_rate,
            seed=task.seed,
            provenance=whence,
        )
        calibration = calibrating_scores(detector.to(device), chosen, pictures.loaded, pictures.calibrating)
        return Classifier(detector.recalibrated(calibration, task.false_alarm_rate), player, chosen.names).to(torch.device("cpu"))

    a = task.config
    assert isinstance(a, Recipe)
    teacher = None if taught.teacher is None else finished(taught.teacher, a.teacher if isinstance(a, WithTeacher) else a.classifier)
    unreadable = {chosen.source.names[i]: why for i, why in pictures.loaded.unreadable.items()}
    return Fitted(finished(taught.classifier, a.classifier), teacher, unreadable, chosen.source)


def choose_preprocessing(task: Task, chosen: Labelled) -> Preprocessing:
    """The task's, with size and channels guessed where it leaves them open. Asked for 1 channel, colour pictures are turned grey."""
    colour = "refuse" if task.channels is None else "convert"
    size, channels = task.size or guess_size(chosen.source), task.channels or guess_channels(chosen.source)
    return validated(Preprocessing, {"size": size, "channels": channels, "frame": task.frame, "colour": colour})


def gather(task: Task, chosen: Labelled, preprocessing: Preprocessing, *, bar: bool) -> Gathered:
    """Read the pictures, hold some of a fifth of them out, and draw those that train from the others.

    Raises: InputError when there are fewer than the task asks for, or a class would have none.
    """
    with progress("read", len(chosen.source), shown=bar) as show:
        loaded = load_to_fit(chosen.source, preprocessing, progress=show)
    classes = chosen.classes[loaded.indices]
    held_out = calibrate.held_out(loaded.hashes, None if chosen.groups is None else chosen.groups[loaded.indices])
    there = np.flatnonzero(~held_out)
    n = len(there) if task.pictures is None else task.pictures
    if not 2 <= n <= len(there):
        beside = f" ({int(held_out.sum()):,} others are kept for calibration)"
        if task.pictures is None or len(there) < 2:
            raise InputError(f"{chosen.title} has too few pictures: {len(there)} for training{beside}, where at least 2 are needed")
        raise InputError(f"--pictures {n:,} is out of range: give 2 to {len(there):,}, as many as {chosen.title} has for training{beside}")
    training = np.sort(there[drawn(classes[there], n, np.random.default_rng((task.seed, 1)))])
    without = set(range(len(chosen.names))) - set(classes[training].tolist())
    if without:
        name = chosen.names[min(without)]
        raise InputError(
            f"none of the {n:,} training pictures is of the class {name}: give more --pictures, or more pictures of that class"
        )
    calibrating = np.flatnonzero(held_out)
    calibrating = calibrating[np.argsort(loaded.hashes[calibrating], kind="stable")[:MOST_CALIBRATING]]
    used = np.union1d(training, calibrating)
    return Gathered(chosen, _part(loaded, used), np.isin(used, calibrating))


def _part(loaded: Loaded, which: NDArray[np.int64]) -> Loaded:
    return replace(loaded, indices=loaded.indices[which], pixels=loaded.pixels[which], hashes=loaded.hashes[which])
