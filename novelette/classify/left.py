"""What a bench of classifiers left: its records as its file stands now, with the printed accuracies."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from novelette.bench.cells import Record, check
from novelette.bench.runs import Records, newest, other_settings
from novelette.classify.grid import CELL, FIGURE, Entry, Grid, expand, read_grid

Share = Field(ge=0, le=1)


class Teacher(BaseModel):
    """Of a record: the teacher's accuracies, None where there is none."""

    accuracy: float | None = Share
    validation: float | None = Share


class Shape(BaseModel):
    """What a page takes from a record of a run that did not fail."""

    data: str
    config: dict[str, Any]
    accuracy: float | None = Share
    validation: float | None = Share
    teacher: Teacher
    curve: list[tuple[int, float]]
    split: dict[str, int]
    fit_seconds: float = Field(ge=0)
    device: str
    threads: int
    commit: str | None
    versions: dict[str, str]
    created: str


@dataclass(frozen=True)
class Left:
    """A grid with what its runs left.

    Attributes:
        records: of the runs as the file stands now, failed ones too.   runs: how many there are.
        others: records in its file that are of other settings.
    """

    grid: Grid
    records: list[Record]
    runs: int
    others: int = 0

    @cached_property
    def good(self) -> list[Record]:
        """The records of runs that did not fail."""
        return [record for record in self.records if "error" not in record]

    @cached_property
    def rows(self) -> list[Entry]:
        """The rows that have records."""
        return [entry for entry in self.grid.classifiers if self.of(entry.label)]

    @property
    def looked_at(self) -> str:
        """The figure of a record that counts: test images, or held-out ones where a bench leaves the test images alone."""
        return "accuracy" if self.grid.tested else FIGURE

    @cached_property
    def failures(self) -> list[str]:
        """A line a failed run."""
        return [f"{r['label']}, seed {r['seed']}: {r['error']}" for r in self.records if "error" in r]

    def of(self, label: str) -> list[Record]:
        """The records of one row that did not fail."""
        return [record for record in self.good if record["label"] == label]

    def by_seed(self, label: str, *names: str) -> dict[int, float]:
        """The figure record[a][b]... of a row's runs, by seed, of those that have it."""
        found: dict[int, float] = {}
        for record in self.of(label):
            value: Any = record
            for name in names:
                value = value[name]
            if value is not None:
                found[record["seed"]] = float(value)
        return found


def left(path: Path, results: Path) -> Left:
    """What the bench of a file left in `results`, which may be nothing. Raises: InputError for a file or a record that is wrong."""
    grid = read_grid(path)
    records, runs = Records(results / f"{grid.name}.jsonl", FIGURE, CELL).read(), expand(grid)
    mine = newest(grid, runs, records)
    found = Left(grid, mine, len(runs), other_settings(mine, records))
    for record in found.good:
        check(record, Shape, f"{record['label']}, seed {record['seed']}", results / f"{grid.name}.jsonl")
    return found


def of_records(grid: Grid, records: list[Record]) -> Left:
    return Left(grid, records, len(grid.classifiers) * len(grid.seeds))
