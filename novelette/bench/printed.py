"""The papers' printed figures: data in novelette/bench/published, a file a table. Nothing in them was run by us."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any

import numpy as np

from novelette.errors import InputError


def published(name: str) -> dict[str, Any]:
    """A file of novelette/bench/published.

    Returns: `source`, and where the table has them `columns`, AUROC by column and class with their `mean`; `classes`, how many that is of
        where no class is printed; `costs` by column; `gains` by data set.
    Raises: InputError when there is none.
    """
    folder = files("novelette.bench").joinpath("published")
    path = folder.joinpath(f"{name}.toml")
    if not path.is_file():
        names = sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))
        raise InputError(f"there are no published figures {name!r}: choose from {', '.join(names)}")
    return tomllib.loads(path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Column:
    """A printed column.

    Attributes:
        figures: AUROC by class, and their `mean`.   classes: that it is of.
        cost: as printed, `params` and `operations`, or `params_ratio` and `operations_ratio`, how many times fewer than the teacher's.
    """

    name: str
    source: str
    figures: dict[str, float]
    classes: int
    cost: dict[str, float] = field(default_factory=dict)

    @property
    def by_class(self) -> dict[str, float]:
        """What is printed of classes; empty where only the mean is."""
        return {normal: value for normal, value in self.figures.items() if normal != "mean"}

    def mean(self, classes: Sequence[str]) -> float | None:
        """The printed mean where it is of as many classes, else the mean of what is printed of these; None where it is not of them all."""
        if len(classes) == self.classes and set(self.by_class) <= set(classes):
            return self.figures.get("mean")
        printed = [self.by_class[normal] for normal in classes if normal in self.by_class]
        return float(np.mean(printed)) if printed and len(printed) == len(classes) else None

    def words(self, classes: Sequence[str]) -> str:
        """`mean`, or the printed mean with the number of classes that it is of, where it is of others than these."""
        value = self.mean(classes)
        if value is not None:
            return f"{value:.4f}"
        return f"{self.figures['mean']:.4f} ({self.classes} classes)" if not self.by_class and "mean" in self.figures else ""


@dataclass(frozen=True)
class Printed:
    """Several tables as one.

    Attributes:
        columns: by name. Of two tables that have one of the same name, the first's; where classes have other figures in the second, that
            one too, as `NAME, PAPER`.
        gains: by data set, in per cent, each with its `source`.
    """

    columns: dict[str, Column]
    gains: dict[str, dict[str, Any]]

    def column(self, label: str, name: str) -> Column:
        """The column that a row stands against.   Args: label: of the row.   Raises: InputError when no table has it."""
        if name not in self.columns:
            have = f"choose from {', '.join(self.columns)}" if self.columns else "the bench names no published table that has columns"
            raise InputError(f"{label}: there is no published column {name!r}: {have}")
        return self.columns[name]


def printed(names: Sequence[str]) -> Printed:
    """The tables of these names. Raises: InputError when there is no such table."""
    columns: dict[str, Column] = {}
    gains: dict[str, dict[str, Any]] = {}
    costs: dict[str, dict[str, float]] = {}
    for name in names:
        table = published(name)
        for column, figures in table.get("columns", {}).items():
            of_classes = len(set(figures) - {"mean"})
            here = Column(column, table["source"], figures, of_classes or table["classes"])
            if _part(columns.get(column, here).by_class, here.by_class):
                here = replace(here, name=f"{column}, {here.source.partition(',')[0]}")
            columns.setdefault(here.name, here)
        costs |= table.get("costs", {})
        gains |= {data: own | {"source": table["source"]} for data, own in table.get("gains", {}).items()}
    for name in set(costs) & set(columns):
        columns[name].cost.update(costs[name])
    return Printed(columns, gains)


def _part(a: dict[str, float], b: dict[str, float]) -> bool:
    """Whether some class has another figure in one than in the other."""
    return any(a[normal] != b[normal] for normal in a.keys() & b.keys())
