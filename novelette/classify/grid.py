"""A bench of classifiers (TOML): methods and seeds on so many labelled pictures of a named set.

Fan-out, records and the making of pages are those of novelette.bench.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, NonNegativeInt, model_validator

from novelette.bench.engine import MODELS, Known, prepared
from novelette.bench.fanout import EngineName, check_engine, fan_out
from novelette.bench.printed import published
from novelette.bench.runs import Records, current
from novelette.bench.stamps import commit
from novelette.bench.toml_files import read_toml, shaped
from novelette.classify import METHODS
from novelette.classify.trial import train
from novelette.data.named import load_named
from novelette.errors import InputError
from novelette.files import check_writable
from novelette.progress import progress
from novelette.settings import validated

CELL = ("seed",)  # what tells the runs of a row apart
FIGURE = "validation"  # what a record has unless its run failed
PUBLISHED = "kdgan-compression"


class Entry(BaseModel, frozen=True, extra="forbid"):
    """One row of a table: a method with its settings.

    Attributes: paper: the published row that it stands against.
    """

    label: str
    method: str
    config: dict[str, Any] = {}
    paper: str | None = None


class Grid(BaseModel, frozen=True, extra="forbid"):
    """A bench file.

    Attributes:
        data, seeds: a named set; a seed decides which pictures train, initial weights and all draws.
        pictures: that train, of the training images that are not held out.
        validation: training images held out, the same for every seed, as many of each class as possible.
        tested: whether test images are looked at; a bench by which settings are chosen leaves them alone.
        size: of the images, px.   threads: of one run.
        config: settings that all rows have which know them; a row's own come first.
        curve: points of every run's course: the classifier's accuracy on held-out images, evenly spaced over the epochs of the method.
        published: a column of novelette/bench/published/kdgan-compression.toml.
        sweep: the setting that its rows differ in, which becomes the x axis of a plot.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    data: str
    seeds: tuple[NonNegativeInt, ...] = (0,)
    pictures: int = Field(ge=2)
    validation: int = Field(10_000, ge=0)
    tested: bool = True
    size: int = Field(28, ge=16, le=256)
    threads: int = Field(1, ge=1, le=64)
    config: dict[str, Any] = {}
    curve: int = Field(0, ge=0, le=1000)
    published: str | None = None
    sweep: str | None = None
    classifiers: tuple[Entry, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _rows_can_be_told_apart(self) -> "Grid":
        labels = [row.label for row in self.classifiers]
        if len(set(labels)) < len(labels):
            raise ValueError(
                f"the label {next(label for label in labels if labels.count(label) > 1)!r} is used twice: give each row its own"
            )
        if self.curve == 1:
            raise ValueError("a curve of 1 point would show only the end of pretraining: set curve to 2 or more, or leave it out")
        if not self.validation and not self.tested:
            raise ValueError("nothing would be measured, on held-out or on test images: set validation or tested")
        if self.curve and not self.validation:
            raise ValueError("the curve is measured on held-out images, and none are held out: set validation, or leave curve out")
        return self


@dataclass(frozen=True)
class Run:
    """One cell of a grid.   Attributes: teacher: none, since a method trains its own."""

    entry: Entry
    config: BaseModel
    seed: int
    teacher: None = None

    def key(self, grid: Grid, title: str) -> str:
        """What makes this run this run, as one line: a record with the same key is its result.   Args: title: of the data."""
        what = [title, "classify", grid.size, grid.pictures, grid.validation, grid.tested, self.seed, self.entry.method]
        return json.dumps([*what, self.config.model_dump(mode="json")], sort_keys=True)


def is_grid(path: Path) -> bool:
    """Whether a bench file is of classifiers. Raises: InputError when it cannot be read."""
    return "classifiers" in read_toml(path)


def read_grid(path: Path) -> Grid:
    """Parse a bench file. Raises: InputError that names what is wrong in it."""
    return shaped(Grid, read_toml(path), path)


def expand(grid: Grid) -> list[Run]:
    """Every run, row by row. Raises: InputError for a method, a setting or a printed row that does not exist."""
    runs: list[Run] = []
    for entry in grid.classifiers:
        if entry.method not in METHODS:
            raise InputError(f"{entry.label}: there is no method {entry.method!r}: choose one of {', '.join(METHODS)}")
        printed(grid, entry)
        config = METHODS[entry.method].Config
        shared = {name: value for name, value in grid.config.items() if name in config.model_fields}
        runs += [Run(entry, validated(config, shared | entry.config), seed) for seed in grid.seeds]
    known = {name for run in runs for name in type(run.config).model_fields}
    if set(grid.config) - known:
        raise InputError(
            f"{grid.name}: no row has the setting {min(set(grid.config) - known)!r} that config gives to every row: leave it out"
        )
    if strange := [run.entry.label for run in runs if grid.sweep and not isinstance(getattr(run.config, grid.sweep, None), int | float)]:
        raise InputError(f"{grid.name}: {strange[0]} has no number {grid.sweep!r}, in which the rows should differ: change sweep")
    return runs


def printed(grid: Grid, entry: Entry) -> list[float]:
    """The printed mean and standard deviation that a row stands against, in per cent; [] for none.   Raises: InputError."""
    if entry.paper is None:
        return []
    column = published(PUBLISHED)["accuracy"].get(grid.published, {})
    if entry.paper not in column:
        raise InputError(f"{entry.label}: there is no printed accuracy of {entry.paper!r} under {grid.published!r}")
    figures: list[float] = column[entry.paper]
    return figures


def run_grid(
    grid: Grid,
    results: Path,
    *,
    data_roots: tuple[Path, ...] = (),
    jobs: int = 1,
    engine: EngineName = "joblib",
    address: str | None = None,
    device: str = "cpu",
    bar: bool = False,
) -> list[dict[str, Any]]:
    """Run what has no record in `results`/NAME.jsonl yet, `jobs` processes at a time, on this machine or a Ray cluster's at `address`.

    Returns: the records of all runs, in the grid's order.
    """
    check_engine(engine, address)
    check_writable(results)
    named = load_named(grid.data, data_roots=data_roots)
    known = Known(named.title, named.labels, named.is_train, named.groups, commit(), results / MODELS)
    there = int(named.is_train.sum())
    if grid.validation + grid.pictures > there:
        held_out = f" and {grid.validation:,} held out" if grid.validation else ""
        raise InputError(f"{grid.name}: {grid.pictures:,} pictures{held_out} are more than the {there:,} training images of {named.title}")
    records = Records(results / f"{grid.name}.jsonl", FIGURE, CELL)
    runs = expand(grid)
    finished = {record["key"] for record in records.read() if "error" not in record}
    missing = [run for run in runs if run.key(grid, known.title) not in finished]
    done = len(runs) - len(missing)
    if missing:
        with progress("runs", len(runs), start=done, shown=bar) as show:
            waves, pixels = [[[run] for run in missing]], prepared(named, grid.size)
            for ended in fan_out(train, waves, grid, pixels, known, device, engine=engine, jobs=jobs, address=address):
                records.append(ended)
                done += len(ended)
                show(done, words(ended[-1]))
    return current(grid, known.title, runs, records.read())


def words(record: dict[str, Any]) -> str:
    """One line on a finished run."""
    if "error" in record:
        return f"{record['label']}  seed {record['seed']}  {record['error']}"
    kind = "accuracy" if record["accuracy"] is not None else FIGURE
    return f"{record['label']}  seed {record['seed']}  {kind} {100 * record[kind]:.2f} %  fit {record['fit_seconds']:.0f} s"
