"""Classifiers on disk: a folder with `classifier.json` and `weights.safetensors`. Loading runs no code from the files."""

import shutil
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel

from novelette import store
from novelette.cards import CLASSIFIER, check_method, is_classifier, read_card
from novelette.classify import METHODS, players
from novelette.classify.certainty import Scorer
from novelette.classify.classifier import Classifier
from novelette.classify.recipe import Recipe
from novelette.data.images import Preprocessing
from novelette.errors import InputError
from novelette.files import check_folder

SCHEMA, CARD = 1, CLASSIFIER


def check_output(path: Path, *, force: bool) -> None:
    """Refuse, before any work, an output that cannot be written. Raises: InputError."""
    check_folder(path, CARD, "a classifier", store.BESIDE, force=force)


def beside(path: Path) -> Path:
    """Where a classifier's teacher is kept."""
    return path.with_name(path.name + ".teacher")


def save(classifier: Classifier, path: Path, *, force: bool = False, log: Path | None = None) -> Path:
    """Write a classifier as the folder `path`, whole or not at all, with the training log where there is one.

    Raises: InputError when `path` exists and `force` is not given, when it is not a classifier, or when the disk says no.
    """
    check_output(path, force=force)
    store.write(classifier.detector, path, CARD, {"player": classifier.player, "classes": list(classifier.classes)}, log)
    return path


def load(path: str | Path, device: str = "cpu") -> Classifier:
    """Read a classifier. Raises: InputError when it is missing, damaged, foreign, or of a newer schema."""
    path = Path(path)
    card = read_card(path, CARD, "a classifier", SCHEMA)
    check_method(path, card, METHODS)

    def rebuilt(config: BaseModel, preprocessing: Preprocessing, state: dict[str, Any]) -> Scorer:
        if preprocessing.tiles != 1 or len(set(card["classes"])) < len(card["classes"]):
            raise ValueError("no classifier has this")
        assert isinstance(config, Recipe)
        size, widths = (preprocessing.channels, preprocessing.size), config.divide_widths
        return Scorer.from_state(players.build(card["player"], *size, len(card["classes"]), divide_widths=widths), state)

    detector = store.read(path, CARD, card, METHODS[card["method"]], rebuilt)
    return Classifier(detector, card["player"], tuple(map(str, card["classes"]))).to(torch.device(device))


def teacher_of(path: Path) -> Classifier | None:
    """The teacher that stands beside the classifier at `path`, of the same fit; None where there is none."""
    return load(beside(path)) if is_classifier(beside(path)) and _fit(path) == _fit(beside(path)) else None


def check_teacher(path: Path) -> None:
    """Refuse, before any work, to lose a classifier beside `path` which is not the teacher of the one at `path`. Raises: InputError."""
    kept = beside(path)
    if is_classifier(kept):
        check_output(kept, force=True)
        if not is_classifier(path) or _fit(path) != _fit(kept):
            raise InputError(f"{kept} is where the teacher is saved, and holds one that is not of {path}: move it away, or give another -o")


def _fit(path: Path) -> tuple[Any, Any]:
    """What tells of which fit a classifier is: the same of a teacher and its student."""
    card = read_card(path, CARD, "a classifier", SCHEMA)
    return card.get("provenance"), card.get("classes")


def remove(path: Path) -> None:
    """Remove a classifier; anything else that stands there stays."""
    if is_classifier(path):
        shutil.rmtree(path)
