"""Bench files and pages: what a person wrote in TOML, and what is wrong in it."""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from novelette.errors import InputError
from novelette.files import reason
from novelette.settings import explain

Shape = TypeVar("Shape", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """The entries of a file. Raises: InputError when it is not there, cannot be read or is no TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"there is no bench file {path}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a TOML file: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {reason(error)}") from error


def shaped(shape: type[Shape], entries: dict[str, Any], path: Path) -> Shape:
    """The entries of a file as what they are of. Raises: InputError that names the entry that is wrong."""
    try:
        return shape(**entries)
    except ValidationError as error:
        raise InputError(f"{path}: {explain(error, lambda place: '.'.join(map(str, place)))}") from error
