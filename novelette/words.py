"""Numbers and names as a person reads them."""

from collections.abc import Sequence


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


def names_words(names: Sequence[str], most: int = 10) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
