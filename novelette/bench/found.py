"""What a bench left: its records as its file stands now, with the printed figures and the rows of other benches beside them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from novelette.bench.cells import Record, check
from novelette.bench.measures import asked
from novelette.bench.printed import Printed, printed
from novelette.bench.runs import Bench, Records, Run, expand, newest, other_settings, read_bench
from novelette.bench.table import Row, rows_of
from novelette.data.named import outline
from novelette.errors import InputError

Area = Field(ge=0, le=1)


class Running(BaseModel):
    """What a record says of a network with BatchNorm that is scored by its running averages."""

    auroc: float = Area
    curve: list[tuple[int, float]] = []


class Shape(BaseModel):
    """What a page takes from a record of a run that did not fail."""

    data: str
    method: str
    config: dict[str, Any]
    auroc: float = Area
    fit_seconds: float = Field(ge=0)
    split: dict[str, int]
    size: int
    device: str
    threads: int
    stacked: int = Field(ge=1)
    load: float | None = None
    commit: str | None
    versions: dict[str, str]
    created: str
    curve: list[tuple[int, float]] = []
    running: Running | None = None
    scores: dict[str, float] = {}
    noise: dict[float, dict[str, float]] = {}
    passes: float | None = Field(None, ge=0, le=1)
    accuracy: list[tuple[int, float, float]] = []
    losses: list[tuple[int, float, float]] = []
    variance: list[tuple[int, float]] = []


@dataclass(frozen=True)
class Found:
    """A bench with what its runs left.

    Attributes:
        records: of the runs as the bench's file stands now, failed ones too.   classes: that have one, in the bench's order.
        runs: how many the bench has.   others: records in its file that are of other settings.
        lacking: by field, how many records do not have what the bench asks of them.
        beside: the benches whose rows stand beside its own.
    """

    bench: Bench
    records: list[Record]
    classes: list[str]
    runs: int
    others: int
    lacking: dict[str, int]
    printed: Printed
    beside: tuple["Found", ...] = ()

    @cached_property
    def good(self) -> list[Record]:
        """The records of runs that did not fail."""
        return [record for record in self.records if "error" not in record]

    @cached_property
    def rows(self) -> list[Row]:
        """Its own rows that have records."""
        return rows_of(self.bench, self.good, self.printed)

    @cached_property
    def rows_beside(self) -> list[Row]:
        """Rows of other benches, with what they stand against.

        A label says whose it is where it is one of its own rows' too, or the data are another copy of the set.
        """
        own = {row.label for row in self.rows}
        rows = []
        for other in self.beside:
            copy = f", {other.title}" if self.good and other.title != self.title else ""
            for row in other.rows:
                bench = f" ({other.bench.name})" if row.label in own else ""
                rows.append(replace(row, label=f"{row.label}{bench}{copy}"))
        return rows

    def of(self, label: str) -> list[Record]:
        """The records of one row that did not fail."""
        return [record for record in self.good if record["label"] == label]

    @property
    def title(self) -> str:
        """Of its data, by their contents."""
        return str(self.good[0]["data"])


def find(path: Path, results: Path, published: Sequence[str] = ()) -> Found:
    """What the bench of a file left in `results`, which may be nothing.

    Args: published: tables beside those that the bench names itself.
    Raises: InputError for a bench file, a record or a table that is wrong, and for benches beside it that are of another protocol or data.
    """
    bench = read_bench(path)
    found = _found(bench, results, printed((*bench.published, *published)))
    benches = [read_bench(path.with_name(f"{name}.toml")) for name in bench.beside]
    others = [_found(other, results, printed(other.published)) for other in benches]
    for other in others:
        if (other.bench.protocol, other.bench.data) != (bench.protocol, bench.data):
            raise InputError(
                f"{path}: {other.bench.name} cannot stand beside it, since its data or protocol differs: take it out of the list beside"
            )
    return replace(found, beside=tuple(other for other in others if other.good))


def _found(bench: Bench, results: Path, tables: Printed) -> Found:
    """A bench without those beside it. Of records of several copies of its data, those of the newest count."""
    file = Records(results / f"{bench.name}.jsonl")
    records = file.read()
    runs = expand(bench, outline(bench.data))
    mine = newest(bench, runs, records)
    for record in mine:
        if "error" not in record:
            check(record, Shape, f"{record['label']}, {record['normal']}, seed {record['seed']}", file.path)
    have = {record["normal"] for record in mine}
    classes = [normal for normal in dict.fromkeys(run.normal for run in runs) if normal in have]
    return Found(bench, mine, classes, len(runs), other_settings(mine, records), _lacking(bench, runs, mine), tables)


def _lacking(bench: Bench, runs: Sequence[Run], records: Sequence[Record]) -> dict[str, int]:
    """How many records lack a field that the bench asks of their runs: they were made before it did."""
    run_of = {(run.entry.label, run.normal, run.seed): run for run in runs}
    found = (
        field
        for record in records
        if "error" not in record
        for field in asked(bench, run_of[record["label"], record["normal"], record["seed"]])
        if field not in record
    )
    return dict(Counter(found))
