"""One run of a bench of classifiers: train on so many pictures, look at the held-out ones, then at the test images, and give a record."""

import copy
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from novelette.bench.engine import Known
from novelette.bench.stamps import circumstances
from novelette.classify import METHODS
from novelette.classify.drawing import drawn
from novelette.classify.game import Turns
from novelette.classify.recipe import Recipe
from novelette.data.images import as_tensor
from novelette.training import Run as Training
from novelette.training import pick_device

if TYPE_CHECKING:
    from novelette.classify.grid import Grid, Run

CHUNK = 500  # images at a time


class Split(NamedTuple):
    """Indices of the pictures that train, of those held out, and of the test images."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def split(grid: "Grid", labels: NDArray[np.int64], is_train: NDArray[np.bool_], seed: int) -> Split:
    """The same images are held out whatever the seed; of the others the seed draws those that train."""
    training = np.flatnonzero(is_train)
    out = training[drawn(labels[training], grid.validation, np.random.default_rng(0))]
    rest = np.setdiff1d(training, out)
    train = rest[drawn(labels[rest], grid.pictures, np.random.default_rng((seed, 1)))]
    return Split(train, out, np.flatnonzero(~is_train))


def train(grid: "Grid", runs: "list[Run]", pixels: NDArray[np.uint8], known: Known, device_name: str) -> list[dict[str, Any]]:
    """A run's record, with its error where it failed. `runs` has one."""
    (run,) = runs
    torch.set_num_threads(grid.threads)
    device = pick_device(device_name)
    record = {
        "key": run.key(grid, known.title),
        "bench": grid.name,
        "label": run.entry.label,
        "data": known.title,
        "seed": run.seed,
        "method": run.entry.method,
        "config": run.config.model_dump(mode="json"),
        "epoch": "last",
        "size": grid.size,
    } | circumstances(device, grid.threads, known.commit)
    try:
        return [record | measured(grid, run, pixels, known, device)]
    except Exception as error:
        return [record | {"error": f"{type(error).__name__}: {error}"}]


def measured(grid: "Grid", run: "Run", pixels: NDArray[np.uint8], known: Known, device: torch.device) -> dict[str, Any]:
    """The figures of a run: accuracies of classifier and teacher after the last step, and the course of the classifier's."""
    parts = split(grid, known.labels, known.is_train, run.seed)
    images, labels = torch.from_numpy(pixels[parts.train]), torch.from_numpy(known.labels[parts.train])
    assert isinstance(run.config, Recipe)
    epoch_of = points(Turns(len(images), run.config, run.seed), grid.curve)
    training = Training(snapshot_steps=frozenset(epoch_of))
    began, cpu = time.perf_counter(), time.process_time()
    classes = int(known.labels.max()) + 1
    taught = METHODS[run.entry.method].fit(images, labels, run.config, classes=classes, seed=run.seed, device=device, run=training)
    took = {"fit_seconds": round(time.perf_counter() - began, 2), "fit_cpu_seconds": round(time.process_time() - cpu, 2)}

    def right(net: nn.Module | None, which: NDArray[np.int64]) -> float | None:
        return None if net is None or not len(which) else accuracy(net, pixels[which], known.labels[which], device)

    test = parts.test if grid.tested else parts.test[:0]
    early = copy.deepcopy(taught.classifier)
    curve = []
    for step, (state,) in sorted(training.snapshots.items()):
        early.load_state_dict(state)
        curve.append([epoch_of[step], right(early, parts.validation)])
    return {
        "accuracy": right(taught.classifier, test),
        "validation": right(taught.classifier, parts.validation),
        "teacher": {"accuracy": right(taught.teacher, test), "validation": right(taught.teacher, parts.validation)},
        "curve": curve,
        "split": {name: len(which) for name, which in parts._asdict().items()},
        **took,
    }


def points(turns: Turns, count: int) -> dict[int, int]:
    """The steps at whose end the course is looked at, and the epoch of the method that ends there, 0 where pretraining does."""
    if not count:
        return {}
    ends, before = turns.ends(), turns.pretraining
    epochs = {round(epoch) for epoch in np.linspace(0 if before else 1, turns.epochs, count)}
    return {ends[before + epoch - 1]: epoch for epoch in sorted(epochs)}


@torch.no_grad()
def accuracy(net: nn.Module, pixels: NDArray[np.uint8], labels: NDArray[np.int64], device: torch.device) -> float:
    """The part of the images, uint8 (N, C, S, S), whose highest score is their label's, (N,)."""
    said: list[Tensor] = [net(as_tensor(pixels[i : i + CHUNK], device)).argmax(1).cpu() for i in range(0, len(pixels), CHUNK)]
    return float((torch.cat(said).numpy() == labels).mean())
