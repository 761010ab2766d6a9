"""From normal pictures to a calibrated detector."""

import hashlib
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel

from novelette import calibrate
from novelette.data.images import Loaded, Preprocessing, guess_channels, load
from novelette.data.select import Selection, Where, describe, normal_pictures
from novelette.detector import Detector, short_hashes
from novelette.errors import InputError
from novelette.methods import METHODS
from novelette.progress import progress
from novelette.settings import validated
from novelette.training import Run, pick_device
from novelette.words import counted, names_words

FEWEST_PICTURES = 10
STRANGEST = 10


@dataclass(frozen=True)
class Fitted:
    """What `fit` found beside the detector.

    Attributes:
        detector: calibrated, on the CPU.
        strangest: names of the ten training pictures of highest score, strangest first: real folders are dirty.
        duplicates: names of pictures with the same pixels, a list a group.
        unreadable: name -> why, of the pictures that were skipped.
    """

    detector: Detector
    strangest: list[str]
    duplicates: list[list[str]]
    unreadable: dict[str, str]


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
        raise InputError(f"there is no method {name!r}: choose one of {', '.join(METHODS)}")
    return METHODS[name]


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
        paper: start from the paper's recipe instead of ours.   settings: the method's own, e.g. `widths="2-4-8", steps=4000`.
    Raises: InputError, one sentence, for whatever a person can get wrong.
    """
    module = find_method(method)
    base = module.paper() if paper else module.Config()
    config = validated(module.Config, base.model_dump() | settings)
    where = Where(normal, data_roots=tuple(Path(root) for root in data_roots))
    recipe = Recipe(method, config, size, channels, frame, tiles, seed, device, false_alarm_rate, where)
    return fit_recipe(recipe, images, Run(bar=bar)).detector


def fit_recipe(recipe: Recipe, images: Any, run: Run) -> Fitted:
    """`fit` with everything at hand: the bar, log and checkpoints of `run`, and what was strange about the pictures.

    Raises: InputError.
    """
    began = time.monotonic()
    if not 0 < recipe.false_alarm_rate < 1:
        raise InputError(f"--false-alarm-rate {recipe.false_alarm_rate:g} is not between 0 and 1")
    if recipe.seed < 0:
        raise InputError(f"--seed {recipe.seed} is negative: give 0 or more")
    device = pick_device(recipe.device)
    chosen = normal_pictures(images, recipe.where)
    preprocessing = choose_preprocessing(recipe, chosen)
    with progress("read", len(chosen.source), shown=run.bar) as show:
        loaded = load(chosen.source, preprocessing, progress=show)
    different = len(np.unique(loaded.hashes))
    if different < FEWEST_PICTURES:
        raise InputError(f"{chosen.title} has {different} different readable pictures, and fitting needs at least {FEWEST_PICTURES}")
    calibrating = calibrate.held_out(loaded.hashes, None if chosen.groups is None else chosen.groups[loaded.indices])
    if calibrating.all() or (~calibrating).sum() < FEWEST_PICTURES // 2:
        raise InputError(f"{chosen.title}: too few different pictures; fitting needs at least {FEWEST_PICTURES}")
    training = torch.from_numpy(np.ascontiguousarray(loaded.pixels[~calibrating])).flatten(0, 1)
    run.settings |= {
        "method": recipe.method,
        "config": recipe.config.model_dump(mode="json"),
        "preprocessing": preprocessing.model_dump(mode="json"),
        "seed": recipe.seed,
        "pictures": _fingerprint(loaded),
    }
    scorer = METHODS[recipe.method].fit(training, recipe.config, seed=recipe.seed, device=device, run=run)
    provenance = _provenance(images, recipe, chosen, loaded, int((~calibrating).sum()), device)
    trained_on = short_hashes(loaded.hashes[~calibrating])
    detector = Detector(
        recipe.method,
        recipe.config,
        preprocessing,
        scorer,
        calibration=np.zeros(0),
        trained_on=trained_on,
        false_alarm_rate=recipe.false_alarm_rate,
        seed=recipe.seed,
        provenance=provenance,
    )
    detector.to(device)
    scores = detector.score_pixels(loaded.pixels)
    detector = detector.to(torch.device("cpu")).recalibrated(scores[calibrating], recipe.false_alarm_rate)
    provenance["seconds"] = round(time.monotonic() - began, 1)
    names = [chosen.source.names[i] for i in loaded.indices]
    order = np.argsort(-scores, kind="stable")[:STRANGEST]
    unreadable = {chosen.source.names[i]: why for i, why in loaded.unreadable.items()}
    return Fitted(detector, [names[i] for i in order], _duplicates(names, loaded.hashes), unreadable)


def choose_preprocessing(recipe: Recipe, chosen: Selection) -> Preprocessing:
    """The recipe's, with the channels guessed where it leaves them open. Asked for 1 on colour pictures, they are turned grey."""
    guessed = guess_channels(chosen.source)
    channels = recipe.channels or guessed
    values = {"size": recipe.size, "channels": channels, "frame": recipe.frame, "tiles": recipe.tiles}
    return validated(Preprocessing, values | {"colour": "convert" if channels < guessed else "refuse"})


def _duplicates(names: list[str], hashes: NDArray[np.uint64]) -> list[list[str]]:
    groups: dict[int, list[str]] = {}
    for name, content in zip(names, hashes.tolist(), strict=True):
        groups.setdefault(content, []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _fingerprint(loaded: Loaded) -> str:
    """A hash of the set of pictures, whatever their order and names."""
    return hashlib.sha256(np.sort(loaded.hashes).tobytes()).hexdigest()[:16]


def _provenance(images: Any, recipe: Recipe, chosen: Selection, loaded: Loaded, n_training: int, device: torch.device) -> dict[str, Any]:
    return {
        "title": chosen.title,
        "source": describe(images, recipe.where),
        "pictures": _fingerprint(loaded),
        "n_training": n_training,
        "n_unreadable": len(loaded.unreadable),
        "device": str(device),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: version(name) for name in ("novelette", "torch", "numpy", "pillow")} | {"python": platform.python_version()},
    }


def calibrate_detector(
    detector: Detector, source: Any, where: Where, false_alarm_rate: float, *, bar: bool = False
) -> tuple[Detector, dict[str, str]]:
    """The detector recalibrated, without refitting, on those pictures of `source` that its training did not see.

    With groups (Where.group_by, or a named set's own), pictures of a group that it has seen a picture of are left out too.

    Returns: the detector, and name -> why of unreadable pictures.   Raises: InputError when training saw them all.
    """
    fitted_on = detector.provenance.get("source") or {}
    chosen = normal_pictures(source, replace(where, group_by=where.group_by or fitted_on.get("group_by")))
    with progress("read", len(chosen.source), shown=bar) as show:
        loaded = load(chosen.source, detector.preprocessing, progress=show)
    fresh = ~detector.saw(loaded.hashes)
    if chosen.groups is not None:  # another view of what it trained on is not fresh
        group = calibrate.joined_by_copies(chosen.groups[loaded.indices], loaded.hashes)
        fresh = ~np.isin(group, group[~fresh])
    if not fresh.any():
        raise InputError(f"{chosen.title}: the detector was trained on every one of these pictures; calibrate on others")
    unreadable = {chosen.source.names[i]: why for i, why in loaded.unreadable.items()}
    return detector.recalibrated(detector.score_pixels(loaded.pixels[fresh]), false_alarm_rate), unreadable


def missing_words(detector: Detector) -> str:
    """How many more pictures a threshold needs, as a sentence; empty when there is one."""
    if detector.threshold is not None:
        return ""
    n, needed = len(detector.calibration), calibrate.pictures_needed(detector.false_alarm_rate)
    return (
        f"no threshold: a false-alarm rate of {detector.false_alarm_rate:g} needs {needed} calibration pictures and there are {n}, "
        f"so give {needed - n} more normal ones to novelette calibrate"
    )


def found_words(fitted: Fitted) -> list[str]:
    """What a person should know about the pictures, a line each."""
    lines = ["strangest training pictures: " + names_words(fitted.strangest)]
    if fitted.duplicates:
        extra = counted(sum(len(group) - 1 for group in fitted.duplicates), "duplicate")
        shown = "; ".join(" = ".join(group[:3]) for group in fitted.duplicates[:5])
        lines.append(f"{extra}: {shown}" + ("; ..." if len(fitted.duplicates) > 5 else ""))
    return lines
