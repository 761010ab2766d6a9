"""Detectors on disk: a folder with `detector.json` and `weights.safetensors`. Loading runs no code from the files."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as tensor_bytes

from novelette.data.images import Preprocessing
from novelette.detector import Detector
from novelette.errors import InputError
from novelette.methods import METHODS

SCHEMA = 1
CARD, WEIGHTS, LOG = "detector.json", "weights.safetensors", "log.jsonl"


def save(detector: Detector, path: str | Path, *, force: bool = False, log: Path | None = None) -> Path:
    """Write a detector as the folder `path`, whole or not at all, with the training log where there is one.

    Raises: InputError when `path` exists and `force` is not given, when it is not a detector, or when the disk says no.
    """
    path = Path(path)
    check_output(path, force=force)
    state = {f"scorer.{name}": tensor.contiguous() for name, tensor in detector.scorer.state().items()}
    state["trained_on"] = torch.from_numpy(detector.trained_on.view(np.int64).copy())
    weights = tensor_bytes(state)
    card = {
        "schema": SCHEMA,
        "method": detector.method,
        "config": detector.config.model_dump(mode="json"),
        "preprocessing": detector.preprocessing.model_dump(mode="json"),
        "seed": detector.seed,
        "false_alarm_rate": detector.false_alarm_rate,
        "calibration": detector.calibration.tolist(),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "provenance": detector.provenance,
    }
    with _replacing(path) as folder:
        (folder / WEIGHTS).write_bytes(weights)
        (folder / CARD).write_text(json.dumps(card | {"card_sha256": _digest(card)}, indent=1) + "\n")
        if log is not None and log.exists():
            shutil.copyfile(log, folder / LOG)
    return path


def load(path: str | Path, device: str = "cpu") -> Detector:
    """Read a detector. Raises: InputError when it is missing, damaged, foreign, or of a newer schema."""
    path = Path(path)
    card = _read_card(path)
    try:
        weights = (path / WEIGHTS).read_bytes()
    except OSError as error:
        raise InputError(f"{path / WEIGHTS} cannot be read ({error.strerror}): the detector is not whole") from error
    if hashlib.sha256(weights).hexdigest() != card.get("weights_sha256"):
        raise InputError(f"{path / WEIGHTS} is damaged: its hash is not the one in {CARD}")
    try:
        state = load_tensors(weights)
        trained_on = state.pop("trained_on").numpy().view(np.uint64)
        method = METHODS[card["method"]]
        config = method.Config(**card["config"])
        preprocessing = Preprocessing(**card["preprocessing"])
        scorer_state = {name.removeprefix("scorer."): tensor for name, tensor in state.items()}
        calibration, false_alarm_rate = np.array(card["calibration"], np.float64), float(card["false_alarm_rate"])
        if calibration.ndim != 1 or not np.isfinite(calibration).all() or (np.diff(calibration) < 0).any() or not 0 < false_alarm_rate < 1:
            raise ValueError("a calibration that no detector has")
        scorer = method.Scorer.from_state(config, scorer_state, preprocessing.channels, preprocessing.size)
        detector = Detector(
            card["method"],
            config,
            preprocessing,
            scorer,
            calibration=calibration,
            trained_on=trained_on,
            false_alarm_rate=false_alarm_rate,
            seed=int(card["seed"]),
            provenance=dict(card["provenance"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError, ValidationError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{path} is damaged: {CARD} and {WEIGHTS} do not fit together ({type(error).__name__})") from error
    return detector.to(torch.device(device))


def _read_card(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise InputError(f"there is no detector at {path}")
    try:
        card = json.loads((path / CARD).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{path} is not a detector: it has no {CARD}") from error
    except (ValueError, OSError) as error:
        raise InputError(f"{path / CARD} is damaged and cannot be read") from error
    if not isinstance(card, dict) or not isinstance(card.get("schema"), int):
        raise InputError(f"{path / CARD} is not the card of a detector")
    if card["schema"] > SCHEMA:
        raise InputError(f"{path} was written by a newer novelette (schema {card['schema']}, this one reads {SCHEMA}): update novelette")
    if card.pop("card_sha256", None) != _digest(card):
        raise InputError(f"{path / CARD} is damaged: its contents do not have the hash that it states")
    if not isinstance(card.get("method"), str) or card["method"] not in METHODS:
        raise InputError(f"{path} is of the method {card.get('method')!r}, which this novelette does not have")
    return card


def _digest(card: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()


def check_output(path: Path, *, force: bool) -> None:
    """Refuse, before any work, an output that cannot be written. Raises: InputError."""
    if path.is_symlink() or path.exists():
        if not force:
            raise InputError(f"{path} exists: give --force to replace it, or another -o")
        if not (path / CARD).is_file():
            raise InputError(f"{path} exists and is not a detector, so --force does not replace it: give another -o")
    check_writable(path.absolute().parent)


def check_writable(folder: Path) -> None:
    """Refuse a folder in which no file can be made, or whose nearest parent that is there takes none. Makes nothing. Raises: InputError."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(f"cannot write to {there}: {reason(error)}; give another folder") from error


def remove(path: Path) -> None:
    """Remove a detector; anything else that stands there stays."""
    if (path / CARD).is_file():
        shutil.rmtree(path)


def work_folder(output: Path) -> Path:
    """Where the log and checkpoints of the run stand that is to become `output`."""
    return output.with_name(output.name + ".run")


def remove_work(folder: Path) -> None:
    """Remove the log and checkpoints of a run whose detector is saved."""
    shutil.rmtree(folder, ignore_errors=True)


def reason(error: OSError) -> str:
    """Why the system said no, in a few words."""
    return "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else (error.strerror or str(error)).lower()


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A new folder that takes the place of `path` once its block has ended well; if anything fails, `path` is as it was."""
    beside: dict[str, Any] = {"prefix": f".{path.name}.", "dir": path.absolute().parent}
    temporary: list[Path] = []
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        temporary.append(new := Path(tempfile.mkdtemp(**beside)))
        yield new
        new.chmod(0o755)
        if path.exists():
            temporary.append(old := Path(tempfile.mkdtemp(**beside)))
            try:
                os.rename(path, old / path.name)
                os.rename(new, path)
            except BaseException:
                if not path.exists():
                    os.rename(old / path.name, path)
                raise
        else:
            os.rename(new, path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {reason(error)}; nothing was changed there") from error
    finally:
        for leftover in temporary:
            if (leftover / path.name).exists() and not path.exists():  # the way back failed too: this is the only copy
                continue
            shutil.rmtree(leftover, ignore_errors=True)
