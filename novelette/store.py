"""Detectors on disk: a folder with `detector.json` and `weights.safetensors`. Loading runs no code from the files."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as tensor_bytes

from novelette.cards import DETECTOR, check_method, digest, read_card
from novelette.data.images import Preprocessing
from novelette.detector import Detector, Scorer
from novelette.errors import InputError
from novelette.files import check_folder, reason, replacing
from novelette.methods import METHODS

__all__ = [
    "BESIDE",
    "CARD",
    "LOG",
    "SCHEMA",
    "WEIGHTS",
    "check_output",
    "check_teacher",
    "load",
    "method_of",
    "read",
    "remove",
    "save",
    "write",
]

SCHEMA = 1
CARD, WEIGHTS, LOG = DETECTOR, "weights.safetensors", "log.jsonl"
BESIDE = (WEIGHTS, LOG)  # what stands beside the card, here and in classifiers and taggers


def save(detector: Detector, path: str | Path, *, force: bool = False, log: Path | None = None) -> Path:
    """Write a detector as the folder `path`, whole or not at all, with the training log where there is one.

    Raises: InputError when `path` exists and `force` is not given, when it is not a detector, or when the disk says no.
    """
    path = Path(path)
    check_output(path, force=force)
    write(detector, path, CARD, {}, log)
    return path


def write(detector: Detector, path: Path, card_name: str, more: dict[str, Any], log: Path | None) -> None:
    """Write the folder `path`, whole or not at all.   Args: more: what its card says beside the detector's fields."""
    state = {f"scorer.{name}": tensor.contiguous() for name, tensor in detector.scorer.state().items()}
    state["trained_on"] = torch.from_numpy(detector.trained_on.view(np.int64).copy())
    card = {
        "schema": SCHEMA,
        "method": detector.method,
        **more,
        "config": detector.config.model_dump(mode="json"),
        "preprocessing": detector.preprocessing.model_dump(mode="json"),
        "seed": detector.seed,
        "false_alarm_rate": detector.false_alarm_rate,
        "calibration": detector.calibration.tolist(),
        "provenance": detector.provenance,
    }
    write_folder(path, card_name, card, state, log)


def write_folder(path: Path, card_name: str, card: dict[str, Any], state: dict[str, torch.Tensor], log: Path | None) -> None:
    """A card with its hash and that of the weights, the weights, and the log where there is one: whole or not at all."""
    weights = tensor_bytes(state)
    card = card | {"weights_sha256": hashlib.sha256(weights).hexdigest()}
    with replacing(path) as folder:
        (folder / WEIGHTS).write_bytes(weights)
        (folder / card_name).write_text(json.dumps(card | {"card_sha256": digest(card)}, indent=1) + "\n")
        if log is not None and log.exists():
            shutil.copyfile(log, folder / LOG)


def read_weights(path: Path, card_name: str, card: dict[str, Any]) -> bytes:
    """The weights beside a card.   Raises: InputError when they are missing, or not those that the card states."""
    try:
        weights = (path / WEIGHTS).read_bytes()
    except OSError as error:
        raise InputError(
            f"{path / WEIGHTS} cannot be read ({reason(error)}), so {path} is incomplete: restore a copy, or make it again"
        ) from error
    if hashlib.sha256(weights).hexdigest() != card.get("weights_sha256"):
        raise InputError(f"{path / WEIGHTS} is damaged, since its hash is not the one in {card_name}: restore a copy, or make it again")
    return weights


def load(path: str | Path, device: str = "cpu") -> Detector:
    """Read a detector. Raises: InputError when it is missing, damaged, foreign, or of a newer schema."""
    path = Path(path)
    card = _card(path)
    method = METHODS[card["method"]]

    def rebuilt(config: Any, preprocessing: Preprocessing, state: dict[str, torch.Tensor]) -> Scorer:
        scorer: Scorer = method.Scorer.from_state(config, state, preprocessing.channels, preprocessing.size)
        return scorer

    return read(path, CARD, card, method, rebuilt).to(torch.device(device))


def read(path: Path, card_name: str, card: dict[str, Any], method: ModuleType, rebuilt: Callable[..., Scorer]) -> Detector:
    """The detector whose card was read from the folder `path`.

    Args: rebuilt: of its configuration, its preprocessing and its scorer's state, the scorer; whatever it raises of these is damage.
    Raises: InputError.
    """
    weights = read_weights(path, card_name, card)
    try:
        state = load_tensors(weights)
        trained_on = state.pop("trained_on").numpy().view(np.uint64)
        config = method.Config(**card["config"])
        preprocessing = Preprocessing(**card["preprocessing"])
        scorer_state = {name.removeprefix("scorer."): tensor for name, tensor in state.items()}
        calibration, false_alarm_rate = np.array(card["calibration"], np.float64), float(card["false_alarm_rate"])
        if calibration.ndim != 1 or not np.isfinite(calibration).all() or (np.diff(calibration) < 0).any() or not 0 < false_alarm_rate < 1:
            raise ValueError("a calibration that no detector has")
        return Detector(
            card["method"],
            config,
            preprocessing,
            rebuilt(config, preprocessing, scorer_state),
            calibration=calibration,
            trained_on=trained_on,
            false_alarm_rate=false_alarm_rate,
            seed=int(card["seed"]),
            provenance=dict(card["provenance"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError, ValidationError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"{path} is damaged, since {card_name} and {WEIGHTS} do not match ({type(error).__name__}): restore a copy, or make it again"
        ) from error


def method_of(path: Path) -> str:
    """The method of a detector, without a look at its weights. Raises: InputError as `load` does."""
    return str(_card(path)["method"])


def _card(path: Path) -> dict[str, Any]:
    card = read_card(path, CARD, "a detector", SCHEMA)
    check_method(path, card, METHODS)
    return card


def check_output(path: Path, *, force: bool) -> None:
    """Refuse, before any work, an output that cannot be written. Raises: InputError."""
    check_folder(path, CARD, "a detector", BESIDE, force=force)


def check_teacher(path: Path) -> None:
    """Refuse, before any work, to lose a detector beside a student which no distillation left there. Raises: InputError."""
    if (path / CARD).is_file():
        check_output(path, force=True)
        if "trained_along" not in _card(path)["provenance"]:
            raise InputError(f"{path} is where the teacher that trains along is saved, and the detector there is not one: move it away")


def remove(path: Path) -> None:
    """Remove a detector; anything else that stands there stays."""
    if (path / CARD).is_file():
        shutil.rmtree(path)
