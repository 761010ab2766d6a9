"""How a configuration field states its meaning, unit and range once: pydantic checks it, the command line prints it."""

from collections.abc import Callable
from typing import Annotated, Any

import tyro
from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from pydantic.fields import FieldInfo

from novelette.errors import InputError

Place = tuple[str | int, ...]  # of a value within a model


def setting(default: Any, meaning: str, *, unit: str = "", **limits: Any) -> Any:
    """A pydantic field whose description is `meaning`, its unit and its range.

    Args: limits: `ge`, `gt`, `le`, `lt` as in pydantic.Field.
    """
    low = "from " + _number(limits["ge"]) if "ge" in limits else "above " + _number(limits["gt"]) if "gt" in limits else ""
    high = "to " + _number(limits["le"]) if "le" in limits else "below " + _number(limits["lt"]) if "lt" in limits else ""
    if "gt" in limits and high:
        low, high = low + ",", high.replace("to ", "up to ")
    elif "ge" in limits and "lt" in limits:
        high = "to " + high
    stated = " ".join(part for part in (low, high, unit) if part)
    info: FieldInfo = Field(default, description=f"{meaning} ({stated})" if stated else meaning, **limits)
    return info


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def parse_widths(text: Any) -> Any:
    """`"2-4-8"` as (2, 4, 8); anything but a string goes through to pydantic."""
    if not isinstance(text, str):
        return text
    try:
        return tuple(int(part) for part in text.split("-"))
    except ValueError:
        raise ValueError(f"{text!r} is not a list of widths such as 2-4-8") from None


Widths = Annotated[
    tuple[Annotated[int, Field(ge=1, le=4096)], ...],
    BeforeValidator(parse_widths),
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="N-N-N",
        instance_from_str=lambda args: parse_widths(args[0]),
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda value: ["-".join(map(str, value))],
    ),
]


def validated(model: type[BaseModel], values: dict[str, Any]) -> Any:
    """`model(**values)`. Raises: InputError that names each field that is out of its range."""
    try:
        return model(**values)
    except ValidationError as error:
        raise InputError(explain(error)) from error


def option(place: Place) -> str:
    """What a setting is called on the command line."""
    return "--" + str(place[0]).replace("_", "-")


def explain(error: ValidationError, name: Callable[[Place], str] = option) -> str:
    """What pydantic found wrong, as one sentence.   Args: name: of what stands at a place."""
    parts = []
    for found in error.errors():
        if found["type"] == "extra_forbidden":
            parts.append(f"there is no setting {name(found['loc'])}")
            continue
        message = found["msg"].removeprefix("Value error, ")
        given = "" if found["type"] == "missing" or found["msg"].startswith("Value error") else f", not {found['input']!r}"
        parts.append(f"{name(found['loc'])}: {message[0].lower() + message[1:]}{given}" if found["loc"] else message)
    return "; ".join(parts)
