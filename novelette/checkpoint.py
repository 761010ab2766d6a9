"""A training run's checkpoint: what its networks and optimizers are after a step, and of which run it is. Written whole or not at all."""

import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch

from novelette.errors import InputError
from novelette.words import flat

NAME = "checkpoint.pt"


class HasState(Protocol):
    """What a checkpoint holds: modules and optimizers."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any], /) -> Any: ...


def write(folder: Path, step: int, settings: Mapping[str, Any], parts: Mapping[str, HasState]) -> None:
    """Replace a folder's checkpoint by one after `step` steps.   Raises: InputError when the disk says no."""
    state = {"step": step, "settings": json.dumps(settings, sort_keys=True)} | {name: part.state_dict() for name, part in parts.items()}
    temporary = folder / f"{NAME}.part"
    content = io.BytesIO()
    torch.save(state, content)
    with told(folder):
        temporary.write_bytes(content.getbuffer())
        os.replace(temporary, folder / NAME)


def read(folder: Path, settings: Mapping[str, Any], parts: Mapping[str, HasState]) -> int:
    """Load a folder's checkpoint into `parts`.

    Returns: the step to go on with.   Raises: InputError when it cannot be read, or is of a run with other settings or networks.
    """
    path = folder / NAME
    try:
        state = torch.load(path, weights_only=True)
        step, was = int(state["step"]), json.loads(state["settings"])
    except Exception as error:
        raise InputError(f"the checkpoint {path} cannot be read ({type(error).__name__}): fit again without --resume") from error
    now = json.loads(json.dumps(settings))
    if was != now:
        was, now = flat(was), flat(now)
        other = sorted(k for k in was.keys() | now.keys() if was.get(k) != now.get(k))
        raise InputError(f"{folder} was started with another {', '.join(other)}: give the same to --resume, or fit without it")
    try:
        for name, part in parts.items():
            part.load_state_dict(state[name])
    except (KeyError, ValueError, RuntimeError) as error:
        raise InputError(f"the checkpoint {path} is of another network: fit again without --resume") from error
    return step


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """A disk that says no, in one sentence. Raises: InputError."""
    try:
        yield
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise InputError(f"training stopped, since {folder} cannot be written: {why}; make room, then go on with --resume") from error
