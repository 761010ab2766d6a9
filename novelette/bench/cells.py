"""Figures of records: whether they are there, AUROCs by class and seed, their means and spreads, and Markdown tables of them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from novelette.errors import InputError

Record = dict[str, Any]
Figures = dict[str, dict[int, float]]  # by class and seed


def check(record: Record, shape: type[BaseModel], run: str, path: Path) -> None:
    """Raises: InputError that names a record, by its `run`, that lacks something of `shape`, or has something else in its place."""
    try:
        shape.model_validate(record)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise InputError(f"{path}: the record of {run} is damaged at {where!r}: delete its line and run the bench again") from error


def figures_of(records: Iterable[Record], figure: Callable[[Record], float | None]) -> Figures:
    """A figure of each record, by class and seed; records for which it is None are left out."""
    figures: Figures = defaultdict(dict)
    for record in records:
        value = figure(record)
        if value is not None:
            figures[record["normal"]][record["seed"]] = value
    return dict(figures)


def over_classes(figures: Figures, classes: Sequence[str]) -> list[float]:
    """The mean over classes, a seed; of the seeds that every class has, none where a class is missing."""
    if not classes or any(normal not in figures for normal in classes):
        return []
    seeds = set.intersection(*(set(figures[normal]) for normal in classes))
    return [float(np.mean([figures[normal][seed] for normal in classes])) for seed in sorted(seeds)]


def mean(values: Sequence[float]) -> float | None:
    """None of nothing."""
    return float(np.mean(values)) if values else None


def std(values: Sequence[float]) -> float | None:
    """The standard deviation of a sample, with n - 1; None of fewer than two."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def cell(values: Sequence[float]) -> str:
    """Mean ± standard deviation (n), the mean alone of one value, nothing of none."""
    if len(values) < 2:
        return number(mean(values))
    return f"{mean(values):.4f} ± {std(values):.4f} ({len(values)})"


def number(value: float | None) -> str:
    """Four decimals, or nothing."""
    return "" if value is None else f"{value:.4f}"


def difference(ours: float | None, theirs: float | None) -> str:
    """Ours less theirs, with its sign; nothing where one is missing."""
    return "" if ours is None or theirs is None else f"{ours - theirs:+.4f}"


def bold(text: str) -> str:
    """Nothing stays nothing."""
    return f"**{text}**" if text else ""


def auroc(record: Record) -> float:
    """After the last step, on all test images."""
    return float(record["auroc"])


def markdown(heads: Sequence[str], lines: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """A table: the first columns to the left, figures to the right."""
    rows = [heads, *lines]
    shown = ["| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in rows]
    return "\n".join([shown[0], "|" + " --- |" * left + " ---: |" * (len(heads) - left), *shown[1:]])
