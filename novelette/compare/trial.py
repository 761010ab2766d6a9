"""One method of a comparison: fitted within its minutes, calibrated, saved and timed, in a process of its own.

A process keeps one method's memory and crashes from the others', and the most that it took is the method's own.
"""

import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel

from novelette import store
from novelette.data.images import Preprocessing
from novelette.errors import InputError
from novelette.fitting import Gathered, Recipe, find_method, fit_gathered
from novelette.training import Run, pick_device

LENGTHS = ("steps", "pretraining", "encoder_steps", "autoencoder_steps")  # settings that say how many updates a part of training has
PROBE = 0.05  # of the time for training: a fit that takes so long tells how long a step takes
FEWEST = 4  # steps of the first such fit
PROBE_ON = 512  # pictures of such fits: what a step takes does not depend on their number


@dataclass(frozen=True)
class Material:
    """The pictures of a comparison, read once for all methods.

    Attributes:
        pictures: normal ones, a fifth of them held out.   source: as `select.describe` gives it.
        test: labelled pictures, prepared, uint8 (n, T, C, S, S); None without any.
    """

    pictures: Gathered
    preprocessing: Preprocessing
    source: dict[str, Any] | None
    test: NDArray[np.uint8] | None


@dataclass(frozen=True)
class Task:
    """What a process is to do.

    Attributes: material: a file of joblib's.   seconds: for training; None: the recipe's own steps.   output: of the detector.
    """

    recipe: Recipe
    material: Path
    seconds: float | None
    output: Path


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of a method.

    Attributes:
        config: as it was trained.   steps, recipe_steps: updates of its training, and of its recipe's; 0 where it is not trained by steps.
        threshold: None with too few held-out pictures.
        fit_seconds: training, calibrating, and scoring the pictures that it was fitted on.
        score_seconds: of the labelled pictures, or of those held out, in memory.
        disk_bytes: of the detector.   peak_bytes: of the process at its largest, Python and torch included.
        scores: of the labelled pictures, or of those held out, (n,).
        normal: of every normal picture, (N,), a training picture's as if it had not been among them.
    """

    config: BaseModel
    steps: int
    recipe_steps: int
    threshold: float | None
    fit_seconds: float
    score_seconds: float
    disk_bytes: int
    peak_bytes: int
    scores: NDArray[np.float32]
    normal: NDArray[np.float32]


def attempt(task: Task, answer: Connection) -> None:
    """What the process runs. It answers with an Outcome, or with what went wrong, in words."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who waits for this process, and ends it
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    try:
        answer.send(trial(task))
    except InputError as error:
        answer.send(str(error))
    except Exception as error:
        answer.send(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}")


def trial(task: Task) -> Outcome:
    """Fit, calibrate, save and time one method.   Raises: InputError, or whatever else a method raises."""
    material: Material = joblib.load(task.material, mmap_mode="r")
    recipe, recipe_steps = task.recipe, steps_of(task.recipe.config)
    if recipe_steps and task.seconds is not None:
        recipe = replace(recipe, config=shortened(recipe.config, affordable(recipe, material.pictures, task.seconds)))
    began = time.monotonic()
    fitted = fit_gathered(recipe, material.pictures, material.preprocessing, material.source, Run(), began)
    fit_seconds = time.monotonic() - began
    detector = fitted.detector.to(pick_device(recipe.device))
    scored = material.pictures.loaded.pixels[material.pictures.calibrating] if material.test is None else material.test
    began = time.monotonic()
    scores = detector.score_pixels(scored)
    score_seconds = time.monotonic() - began
    store.save(detector.to(torch.device("cpu")), task.output, force=True)
    return Outcome(
        recipe.config,
        steps_of(recipe.config),
        recipe_steps,
        detector.threshold,
        fit_seconds,
        score_seconds,
        sum(file.stat().st_size for file in task.output.iterdir()),
        peak_bytes(),
        scores,
        fitted.scores,
    )


def lengths(config: Any) -> dict[str, int]:
    """The settings of a configuration that say how many updates its training has; none where it trains by epochs, or not at all."""
    if getattr(config, "epochs", 0):
        return {}
    out = {name: getattr(config, name) for name in LENGTHS if hasattr(config, name)}
    if getattr(config, "autoencoder", None) == "none":  # method discriminator, which then trains none
        del out["autoencoder_steps"]
    return out


def steps_of(config: Any) -> int:
    """How many updates its training has, all parts together; 0 where it trains by epochs, or not at all."""
    return sum(lengths(config).values())


def shortened(config: Any, steps: int) -> Any:
    """A configuration that trains for `steps` updates, its parts in proportion."""
    its, whole = lengths(config), steps_of(config)
    return config.model_copy(update={name: max(1, round(length * steps / whole)) for name, length in its.items() if length})


def affordable(recipe: Recipe, pictures: Gathered, seconds: float) -> int:
    """How many steps of training take `seconds`, in two digits, and no more than the recipe has.

    What a step takes comes from two short fits, one twice as long as the other, so that what a fit takes beside its steps does not count.
    """
    fit, device, most = find_method(recipe.method).fit, pick_device(recipe.device), steps_of(recipe.config)
    images, labels = pictures.training, pictures.labels
    every = -(-len(images) // PROBE_ON)  # so that every class is there
    images, labels = images[::every], None if labels is None else labels[::every]

    def takes(steps: int) -> float:
        began = time.monotonic()
        fit(images, shortened(recipe.config, steps), labels=labels, seed=recipe.seed, device=device, run=Run())
        return time.monotonic() - began

    takes(1)  # the first is slower
    return min(most, two_digits(seconds / each_takes(takes, PROBE * seconds, most)))


def each_takes(takes: Callable[[int], float], long_enough: float, most: int) -> float:
    """Seconds of a step, from fits of n and 2 n steps; n grows until they take `long_enough`."""
    n, before = FEWEST, takes(FEWEST)
    while True:
        after = takes(2 * n)
        if after >= long_enough or 2 * n >= most:
            return max((after - before) / n, 1e-6)
        n, before = 2 * n, after


def two_digits(number: float) -> int:
    """`number` cut to two digits, 1 at least: 1,287.5 is 1,200."""
    whole = max(1, int(number))
    power = 10 ** max(0, len(str(whole)) - 2)
    return whole // power * power


def peak_bytes() -> int:
    """The most memory that this process has had. Linux counts into getrusage what the parent had; /proc does not."""
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
