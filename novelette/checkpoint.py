"""A training run's checkpoint: what its networks and optimizers are after a step, and of which run it is. Written whole or not at all."""

import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch

from novelette.errors import InputError
from novelette.files import reason
from novelette.words import flat, names_words

NAME, PART = "checkpoint.pt", "checkpoint.pt.part"
OPTION = re.compile(r"^(config|distil|look|preprocessing)\.|^(?=seed$)")  # settings that have an option of their name
WORDS = {
    "pictures": "set of training pictures",
    "classes": "set of classes",
    "labels": "set of labels",
    "tags": "vocabulary",
    "tagged": "set of tags and texts",
    "perceptual": "pretrained network",
    "preprocessing.colour": "--channels",  # what is given with it
}


class HasState(Protocol):
    """What a checkpoint holds: modules and optimizers."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any], /) -> Any: ...


def write(folder: Path, step: int, settings: Mapping[str, Any], parts: Mapping[str, HasState]) -> None:
    """Replace a folder's checkpoint by one after `step` steps.   Raises: InputError when the disk says no."""
    state = {"step": step, "settings": json.dumps(settings, sort_keys=True)} | {name: part.state_dict() for name, part in parts.items()}
    content = io.BytesIO()
    torch.save(state, content)
    with told(folder):
        (folder / PART).write_bytes(content.getbuffer())
        os.replace(folder / PART, folder / NAME)


def read(folder: Path, settings: Mapping[str, Any], parts: Mapping[str, HasState]) -> int:
    """Load a folder's checkpoint into `parts`.

    Returns: the step to go on with.   Raises: InputError when it cannot be read, or is of a run with other settings or networks.
    """
    path = folder / NAME
    step, was, state = _load(path)
    _refuse_another(folder, was, settings)
    try:
        for name, part in parts.items():
            part.load_state_dict(state[name])
    except (KeyError, ValueError, RuntimeError) as error:
        raise InputError(f"the checkpoint {path} is of another network: start over with --force") from error
    return step


def check(folder: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a folder's checkpoint, where there is one, if its run had others of these settings.   Raises: InputError."""
    if (folder / NAME).exists():
        _, was, _ = _load(folder / NAME, mmap=True)  # its tensors are not read
        _refuse_another(folder, {name: was.get(name) for name in settings}, settings)


def _load(path: Path, *, mmap: bool = False) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Step, settings, and all that a checkpoint holds, on the CPU, wherever it was.   Args: mmap: read no tensor before it is used."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
        return int(state["step"]), dict(json.loads(state["settings"])), state
    except Exception as error:
        raise InputError(f"the checkpoint {path} cannot be read ({type(error).__name__}): start over with --force") from error


def _refuse_another(folder: Path, was: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    now = json.loads(json.dumps(settings))
    if was == now:
        return
    if was.get("method") != now.get("method"):
        method = was.get("method") or "another kind"
        raise InputError(f"{folder} holds a stopped run of {method}: continue that run, or start over with --force or another -o")
    was, now = flat(was), flat(now)
    other = sorted(k for k in was.keys() | now.keys() if was.get(k) != now.get(k))
    words = [WORDS.get(name) or (OPTION.sub("--", name).replace("_", "-") if OPTION.match(name) else name) for name in other]
    named = names_words(list(dict.fromkeys(words)))
    raise InputError(f"{folder} was started with another {named}: give the same with --resume, or start over with --force")


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """A disk that says no, in one sentence. Raises: InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"training stopped, since {folder} cannot be written: {reason(error)}; make room, then continue with --resume"
        ) from error
