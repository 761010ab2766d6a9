"""Numbers and names as a person reads them."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any


def seconds_words(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"


def counted(n: int, word: str) -> str:
    """`1 picture`, `2,000 pictures`."""
    return f"{n:,} {word}" + ("" if n == 1 else "s")


def flat(nested: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested settings on one level, under dotted names."""
    out: dict[str, Any] = {}
    for key, value in nested.items():
        out |= flat(value, f"{above}{key}.") if isinstance(value, Mapping) else {above + key: value}
    return out


def install_words(extra: str) -> str:
    """What to do where an extra is not installed."""
    return f"install novelette with its extra {extra} (in a checkout: pip install '.[{extra}]')"


def choice_words(name: str, names: Iterable[str]) -> str:
    """What to do about a name that is none of `names`."""
    names = list(names)
    close = difflib.get_close_matches(name.casefold(), names, n=1)
    return f"choose one of {', '.join(names)}" + (f"; did you mean {close[0]}?" if close else "")


def names_words(names: Sequence[str], most: int = 10) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def text_table(names: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of text, the first column to the left, the others to the right.

    A line of two cells, where there are more columns, is a name and a sentence.
    """
    whole = [names, *(line for line in lines if len(line) == len(names))]
    widths = [max(len(line[0]) for line in (names, *lines)), *(max(map(len, column)) for column in list(zip(*whole, strict=True))[1:])]
    for line in (names, *lines):
        rest = line[1:] if len(line) < len(names) else [text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)]
        yield "  ".join([line[0].ljust(widths[0]), *rest]).rstrip()


def shown(value: Any) -> str:
    """A value as a person reads it; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    return ", ".join(map(shown, value)) if isinstance(value, list | tuple) else str(value)
