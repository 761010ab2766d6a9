"""From normal pictures to a calibrated detector."""

import hashlib
import platform
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel

from novelette import calibrate
from novelette.calibrating import calibrating_scores
from novelette.data.images import Loaded, Preprocessing, guess_channels, load_to_fit
from novelette.data.select import Labelled, Selection, Where, describe, normal_pictures
from novelette.data.sources import Source
from novelette.detector import Detector
from novelette.errors import InputError
from novelette.methods import METHODS
from novelette.progress import progress
from novelette.saying import check_seed, missing_words
from novelette.settings import validated
from novelette.training import Run, pick_device
from novelette.words import choice_words, counted

FEWEST_PICTURES = 10
STRANGEST = 10


@dataclass(frozen=True)
class Fitted:
    """What `fit` found beside the detector.

    Attributes:
        detector: calibrated, on the CPU.
        scores: of every readable picture, in order, (N,); a training picture's as if it had not been among them.
        strangest: names of the ten pictures of highest score, training or held out, strangest first: real folders are dirty.
        duplicates: names of pictures with the same pixels, a list a group.
        unreadable: name -> why, of the pictures that were skipped.   source: of all pictures.
    """

    detector: Detector
    scores: NDArray[np.float32]
    strangest: list[str]
    duplicates: list[list[str]]
    unreadable: dict[str, str]
    source: Source


@dataclass(frozen=True)
class Recipe:
    """Everything about a fit but the pictures."""

    method: str
    config: BaseModel
    size: int = 32
    channels: int | None = None
    frame: str = "stretch"
    tiles: int = 1
    seed: int = 0
    device: str = "auto"
    false_alarm_rate: float = calibrate.FALSE_ALARM_RATE
    where: Where = field(default_factory=Where)


def find_method(name: str) -> Any:
    """The module of a method. Raises: InputError that lists the methods."""
    if name not in METHODS:
        raise InputError(f"there is no method {name!r}: {choice_words(name, METHODS)}")
    return METHODS[name]


def configured(method: str, given: dict[str, Any], *, paper: bool = False) -> Any:
    """A method's configuration: our recipe, or the paper's, with what is given in its place. Raises: InputError."""
    return adjusted(find_method(method), given, paper=paper)


def adjusted(module: Any, given: dict[str, Any], *, paper: bool) -> Any:
    """`configured`, of a module with `Config` and `paper()`. A given number of steps takes the place of the recipe's epochs."""
    values = (module.paper() if paper else module.Config()).model_dump() | given
    if "steps" in given and "epochs" in values and "epochs" not in given:
        values["epochs"] = 0
    return validated(module.Config, values)


def fit(
    method: str,
    images: Any,
    *,
    normal: str | None = None,
    size: int = 32,
    channels: int | None = None,
    frame: str = "stretch",
    tiles: int = 1,
    seed: int = 0,
    device: str = "auto",
    false_alarm_rate: float = calibrate.FALSE_ALARM_RATE,
    paper: bool = False,
    protocol: str = "standard",
    protocol_seed: int = 0,
    attribute: str | None = None,
    group_by: str | None = None,
    data_roots: Sequence[str | Path] = (),
    bar: bool = False,
    **settings: Any,
) -> Detector:
    """Fit a detector on normal pictures and calibrate it on the fifth of them that training does not see.

    Args:
        method: a name of `novelette methods`.
        images: a folder, a file, a named set (with `normal`), or an array as uint8, uint16 or float in [0, 1]: (N, H, W), (N, H, W, 1 | 3).
        size: 32, 64, 128 or 256 px.   channels: 1 or 3, guessed from the pictures by default.   frame: stretch, crop or pad.
        tiles: cut each picture in tiles x tiles; a picture is as novel as its worst tile.
        false_alarm_rate: the rate of false alarms on normal pictures that the threshold is set for, in (0, 1).
        paper: start from the paper's recipe instead of ours.
        protocol, protocol_seed, attribute, group_by, data_roots: see novelette.data.select.Where.
        bar: show progress.   settings: the method's own, e.g. `widths="2-4-8", steps=4000`.
    Raises: InputError, one sentence, for whatever a person can get wrong.
    """
    config = configured(method, settings, paper=paper)
    where = Where(normal, protocol, protocol_seed, attribute, group_by, tuple(Path(root) for root in data_roots))
    recipe = Recipe(method, config, size, channels, frame, tiles, seed, device, false_alarm_rate, where)
    fitted = fit_recipe(recipe, images, Run(bar=bar))
    if fitted.unreadable:
        name, why = next(iter(fitted.unreadable.items()))
        unread = counted(len(fitted.unreadable), "picture")
        warnings.warn(f"{unread} left out as unreadable, such as {name}: {why}", stacklevel=2)
    if missing_words(fitted.detector):
        warnings.warn(missing_words(fitted.detector), stacklevel=2)
    return fitted.detector


def fit_recipe(recipe: Recipe, images: Any, run: Run) -> Fitted:
    """`fit` with everything at hand: the bar, log and checkpoints of `run`, and what was strange about the pictures.

    Raises: InputError.
    """
    began = time.monotonic()
    check_numbers(recipe.false_alarm_rate, recipe.seed)
    pick_device(recipe.device)
    chosen = normal_pictures(images, recipe.where)
    preprocessing = choose_preprocessing(recipe, chosen)
    pictures = gather(chosen, preprocessing, bar=run.bar)
    return fit_gathered(recipe, pictures, preprocessing, describe(images, recipe.where), run, began)


def fit_gathered(
    recipe: Recipe, pictures: "Gathered", preprocessing: Preprocessing, source: dict[str, Any] | None, run: Run, began: float
) -> Fitted:
    """`fit_recipe` of pictures that are read.   Args: source: as `select.describe` gives it.   began: by time.monotonic."""
    device = pick_device(recipe.device)
    run.begin(
        method=recipe.method,
        config=recipe.config.model_dump(mode="json"),
        preprocessing=preprocessing.model_dump(mode="json"),
        seed=recipe.seed,
        pictures=fingerprint(pictures.training_hashes),
    )
    given: dict[str, Any] = {"labels": pictures.labels, "seed": recipe.seed, "device": device, "run": run}
    scorer = METHODS[recipe.method].fit(pictures.training, recipe.config, **given)
    detector = Detector(
        recipe.method,
        recipe.config,
        preprocessing,
        scorer,
        calibration=np.zeros(0),
        trained_on=pictures.trained_on,
        false_alarm_rate=recipe.false_alarm_rate,
        seed=recipe.seed,
        provenance=provenance(source, pictures, device, began) | run.notes,
    )
    return finish(detector, pictures, device)


def check_numbers(false_alarm_rate: float, seed: int) -> None:
    """Raises: InputError for a rate that is no rate, or a seed that is none."""
    if not 0 < false_alarm_rate < 1:
        raise InputError(f"--false-alarm-rate {false_alarm_rate:g} is not between 0 and 1")
    check_seed(seed)


@dataclass(frozen=True)
class Gathered:
    """Normal pictures, or pictures of known classes, read, and which of them calibrate, (N,) bool; the others train."""

    chosen: Selection | Labelled
    loaded: Loaded
    calibrating: NDArray[np.bool_]

    @property
    def training(self) -> torch.Tensor:
        """Training images, every tile one: uint8 (n * T, C, S, S)."""
        return torch.from_numpy(self.loaded.pixels[~self.calibrating]).flatten(0, 1)

    @property
    def labels(self) -> torch.Tensor | None:
        """The class of each training image, (n * T,), where pictures have classes."""
        if self.chosen.classes is None:
            return None
        classes = self.chosen.classes[self.loaded.indices][~self.calibrating]
        return torch.from_numpy(classes.repeat(self.loaded.pixels.shape[1]))

    @property
    def training_hashes(self) -> NDArray[np.uint64]:
        """Content hashes of the training pictures, (n,), in their order."""
        return self.loaded.hashes[~self.calibrating]

    @property
    def trained_on(self) -> NDArray[np.uint64]:
        """Content hashes of the training pictures, each once, ascending."""
        return np.unique(self.training_hashes)

    @property
    def fingerprint(self) -> str:
        """Of all pictures, those that train and those that calibrate."""
        return fingerprint(self.loaded.hashes)

    @property
    def names(self) -> list[str]:
        """Of the readable pictures."""
        return [self.chosen.source.names[i] for i in self.loaded.indices]


def fingerprint(hashes: NDArray[np.uint64]) -> str:
    """A hash of pictures with these content hashes, (N,), whatever their order and names."""
    return hashlib.sha256(np.sort(hashes).tobytes()).hexdigest()[:16]


def gather(chosen: Selection, preprocessing: Preprocessing, *, bar: bool) -> Gathered:
    """Read the pictures and hold a fifth of them out. Raises: InputError when there are too few different ones."""
    with progress("read", len(chosen.source), shown=bar) as show:
        loaded = load_to_fit(chosen.source, preprocessing, progress=show)
    different = len(np.unique(loaded.hashes))
    if different < FEWEST_PICTURES:
        there = counted(different, "different readable picture")
        raise InputError(f"{chosen.title} has {there}, and fitting needs at least {FEWEST_PICTURES}")
    calibrating = calibrate.held_out(loaded.hashes, None if chosen.groups is None else chosen.groups[loaded.indices])
    if (~calibrating).sum() < FEWEST_PICTURES // 2:
        left, how = counted(int((~calibrating).sum()), "picture"), "more different ones" if chosen.groups is None else "smaller groups"
        raise InputError(f"{chosen.title}: holding out a fifth leaves {left} to train on, which is too few: give {how}")
    return Gathered(chosen, loaded, calibrating)


def finish(detector: Detector, pictures: Gathered, device: torch.device, fresh: NDArray[np.bool_] | None = None) -> Fitted:
    """Calibrate a detector that has just been trained, on the pictures held out (or `fresh`, (N,)), and look at its own pictures.

    Raises: Diverged as `calibrating_scores` does.
    """
    loaded, calibrating = pictures.loaded, pictures.calibrating
    detector.to(device)
    held_out_scores = calibrating_scores(detector, pictures.chosen, loaded, calibrating)
    calibration = held_out_scores if fresh is None else held_out_scores[fresh[calibrating]]
    own_scores = detector.score_pixels(loaded.pixels[~calibrating], own=True)
    detector = detector.to(torch.device("cpu")).recalibrated(calibration, detector.false_alarm_rate)
    names = pictures.names
    scores = np.empty(len(calibrating), np.float32)
    scores[~calibrating], scores[calibrating] = own_scores, held_out_scores
    order = np.argsort(-scores, kind="stable")[:STRANGEST]
    unreadable = {pictures.chosen.source.names[i]: why for i, why in loaded.unreadable.items()}
    return Fitted(detector, scores, [names[i] for i in order], _duplicates(names, loaded.hashes), unreadable, pictures.chosen.source)


def choose_preprocessing(recipe: Recipe, chosen: Selection) -> Preprocessing:
    """The recipe's, with the channels guessed where it leaves them open. Asked for 1 on colour pictures, they are turned grey."""
    colour = "refuse" if recipe.channels is None else "convert"
    if recipe.size == 28:
        raise InputError("--size 28 is for classifiers: detectors take 32, 64, 128 or 256")
    values = {"size": recipe.size, "channels": recipe.channels or guess_channels(chosen.source), "frame": recipe.frame}
    return validated(Preprocessing, values | {"tiles": recipe.tiles, "colour": colour})


def _duplicates(names: list[str], hashes: NDArray[np.uint64]) -> list[list[str]]:
    groups: dict[int, list[str]] = {}
    for name, content in zip(names, hashes.tolist(), strict=True):
        groups.setdefault(content, []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def provenance(source: dict[str, Any] | None, pictures: Gathered, device: torch.device, began: float) -> dict[str, Any]:
    """What detector.json says of where a detector came from.   Args: source: as `select.describe` gives it.   began: by time.monotonic."""
    return {
        "title": pictures.chosen.title,
        "source": source,
        "pictures": pictures.fingerprint,
        "n_training": int((~pictures.calibrating).sum()),
        "n_unreadable": len(pictures.loaded.unreadable),
        "device": str(device),
        "seconds": round(time.monotonic() - began, 1),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: version(name) for name in ("novelette", "torch", "numpy", "pillow")} | {"python": platform.python_version()},
    }
