"""A bench file (TOML) and the runs that it stands for; the records that finished runs left.

A run is one (data set, protocol, class, seed, detector). Its key names it; a run whose key stands in the records is done.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, NonNegativeInt, model_validator

from novelette.bench.stamps import append
from novelette.bench.toml_files import read_toml, shaped
from novelette.data.named import NamedSet, class_index
from novelette.distill import progressive, scores
from novelette.distill.detectors import way
from novelette.errors import InputError
from novelette.fitting import adjusted, configured
from novelette.methods import METHODS
from novelette.training import HasSteps

Names = Annotated[
    tuple[str, ...], BeforeValidator(lambda given: (given,) if isinstance(given, str) else given or ())
]  # one name, or several


class Entry(BaseModel, frozen=True, extra="forbid"):
    """One row of a table: a method with its settings.

    Attributes:
        label: the row's name.   recipe: start from our recipe or from the paper's.   config: the method's settings.
        paper: the published column that this row stands against.
        stack: train up to so many classes at once, as one program (novelette.nets); 1 trains them one by one.
    """

    label: str
    method: str
    recipe: Literal["ours", "paper"] = "ours"
    config: dict[str, Any] = {}
    paper: str | None = None
    stack: int = Field(1, ge=1, le=1000)


class Student(BaseModel, frozen=True, extra="forbid"):
    """One row of a table: a student of one of the detectors above, taught on the same class with the same seed.

    Attributes:
        teacher: the label of its teacher's row: an ede-gan teaches by P-KDGAN, any other through its scores.
        config: the distillation's settings (novelette.distill.progressive or .scores).
        paper: the published column that this row stands against.
    """

    label: str
    teacher: str
    recipe: Literal["ours", "paper"] = "ours"
    config: dict[str, Any] = {}
    paper: str | None = None
    stack: int = Field(1, ge=1, le=1000)


class Bench(BaseModel, frozen=True, extra="forbid"):
    """A bench file.

    Attributes:
        data, protocol, classes, seeds: every combination is run; no classes means all of the set's.
        size: of the images, px.   attribute: CelebA's, whose absence is normal.
        published: the table of novelette/bench/published to stand beside it, or several.
        beside: other benches of the same folder whose rows, if they have records, stand in the table too, such as kNN's.
        threads: of one run.
        test_at_most: so many test images at most, half of them normal, drawn by the run's seed; 0 tests on all.
        curve: points of every run's course: snapshots, evenly spaced over its training, that are scored after its end.
        curve_every: the course, and the scores under noise, are of every so manieth test image.
        measures: what else is measured of every run: `fit`, scores of training images against new ones; `noise`, AUROC under noise on
            the test images; `passes`, the mean score of an image and its copies moved by one pixel; `running`, a network with BatchNorm
            scored by its running averages; `accuracy`, how sure a discriminator is of normal and of novel images at each point of the
            course; `variance`, that within the batches that a generator made in training, and `losses`, both players', by the log.
        keep: whether the weights of detectors are kept below the results, for pictures of what they make; those of teachers always are.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    data: str
    attribute: str | None = None
    protocol: str = "standard"
    classes: tuple[str, ...] = ()
    seeds: tuple[NonNegativeInt, ...] = (0,)
    size: int = Field(32, ge=8, le=256)
    published: Names = ()
    beside: tuple[str, ...] = ()
    threads: int = Field(1, ge=1, le=64)
    test_at_most: int = Field(0, ge=0, le=1_000_000)
    curve: int = Field(0, ge=0, le=1000)
    curve_every: int = Field(1, ge=1, le=1000)
    measures: tuple[Literal["accuracy", "fit", "losses", "noise", "passes", "running", "variance"], ...] = ()
    keep: bool = False
    detectors: tuple[Entry, ...] = Field(min_length=1)
    students: tuple[Student, ...] = ()

    @model_validator(mode="after")
    def _labels_name_rows(self) -> "Bench":
        labels = [row.label for row in self.rows]
        if len(set(labels)) < len(labels):
            raise ValueError(
                f"the label {next(label for label in labels if labels.count(label) > 1)!r} is used twice: give each row its own"
            )
        alone = {"losses", "variance"} & set(self.measures)
        for row in self.rows:
            if row.stack > 1 and alone:
                raise ValueError(f"{row.label!r} is stacked, and {' and '.join(sorted(alone))} need runs one by one: leave out its stack")
        teachable = {entry.label for entry in self.detectors}
        for student in self.students:
            if student.teacher not in teachable:
                raise ValueError(f"the teacher {student.teacher!r} of {student.label!r} is not the label of a detector above")
        return self

    @property
    def rows(self) -> tuple[Entry | Student, ...]:
        """Detectors, then students: the columns of the table."""
        return (*self.detectors, *self.students)

    def snapshot_steps(self, config: BaseModel, images: int) -> frozenset[int]:
        """The steps after which a run on so many images keeps a snapshot for its curve; the last one is its end."""
        if not self.curve or not isinstance(config, HasSteps):
            return frozenset()
        phases = len(config.structures()) if isinstance(config, progressive.Config) else 1
        total = config.steps_for(images) * phases
        return frozenset(max(1, total * point // self.curve) for point in range(1, self.curve + 1))


@dataclass(frozen=True)
class Run:
    """One cell of the grid.

    Attributes:
        config: the whole configuration of the method, or of the distillation.
        normal, number: a class of the set, by its own name and by its index.
        teacher: a student's teacher's run.
    """

    entry: Entry | Student
    config: BaseModel
    normal: str
    number: int
    seed: int
    teacher: "Run | None" = None

    @property
    def method(self) -> str:
        """The method's name; of a student the way that it was taught, `p-kdgan` or `scores`."""
        if isinstance(self.entry, Entry):
            return self.entry.method
        return "scores" if isinstance(self.config, scores.Config) else "p-kdgan"

    def stackable(self) -> bool:
        """Whether runs of its row can train as one program."""
        return isinstance(self.config, progressive.Config) or hasattr(METHODS.get(self.method), "fit_many")

    def settings(self) -> dict[str, Any]:
        """Every setting, a student's teacher's among them."""
        own = self.config.model_dump(mode="json")
        return own if self.teacher is None else own | {"teacher": self.teacher.settings()}

    def key(self, bench: Bench, title: str) -> str:
        """What makes this run this run, as one line: a record with the same key is its result.

        Args: title: of the data, which tells a copy of a set from the set.
        """
        share = [{"test_at_most": bench.test_at_most}] if bench.test_at_most else []
        return json.dumps([title, bench.protocol, bench.size, *share, self.normal, self.seed, self.method, self.settings()], sort_keys=True)

    def weights_file(self, bench: Bench, title: str) -> str:
        """The name of the file that keeps this run's weights."""
        return hashlib.sha256(self.key(bench, title).encode()).hexdigest()[:24] + ".safetensors"


def read_bench(path: Path) -> Bench:
    """Parse a bench file. Raises: InputError that names what is wrong in it."""
    return shaped(Bench, read_toml(path), path)


def expand(bench: Bench, named: NamedSet) -> list[Run]:
    """Every run of a bench, row by row. Raises: InputError for a class, a method or a setting that does not exist."""
    cells = [(seed, class_index(named, name)) for seed in bench.seeds for name in bench.classes or named.classes]
    runs: list[Run] = []
    for entry in bench.detectors:
        config = configured(entry.method, entry.config, paper=entry.recipe == "paper")
        runs += [Run(entry, config, named.classes[number], number, seed) for seed, number in cells]
    for student in bench.students:
        teachers = [run for run in runs if run.entry.label == student.teacher]
        config = adjusted(way(teachers[0].method), student.config, paper=student.recipe == "paper")
        for teacher in teachers:
            runs.append(Run(student, config, teacher.normal, teacher.number, teacher.seed, teacher))
    return runs


def stacks(bench: Bench, runs: list[Run]) -> list[list[Run]]:
    """Runs that go together: up to `stack` runs of one row, whatever class and seed."""
    groups: list[list[Run]] = []
    for entry in bench.rows:
        mine = [run for run in runs if run.entry is entry]
        groups += [mine[i : i + entry.stack] for i in range(0, len(mine), entry.stack)]
    return groups


def current(bench: Any, title: str, runs: Sequence[Any], records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The record of each run that has one, in the runs' order and under the bench's labels: its last success, or its last failure.

    Args: bench, runs: of detectors or of classifiers.
    """
    by_key: dict[str, dict[str, Any]] = {}
    for record in records:
        if "error" not in record or "error" in by_key.get(record["key"], record):
            by_key[record["key"]] = record
    found = [(run, by_key.get(run.key(bench, title))) for run in runs]
    return [record | {"label": run.entry.label} for run, record in found if record is not None]


def newest(bench: Any, runs: Sequence[Any], records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`current` of the copy of the data, of those that records are of, that the newest of these are of; [] where none has any."""
    for title in reversed(dict.fromkeys(record.get("data") for record in records)):
        if found := current(bench, str(title), runs, records):
            return found
    return []


def other_settings(found: list[dict[str, Any]], records: list[dict[str, Any]]) -> int:
    """How many records are of other settings, or other data, than those found."""
    keys = {record["key"] for record in found}
    return sum(record["key"] not in keys for record in records)


class Records:
    """The records of one bench: `results/<name>.jsonl`, a line a run, appended whole.

    Args: figure: what a record has unless its run failed.   cell: what tells the runs of a row apart.
    """

    def __init__(self, path: Path, figure: str = "auroc", cell: tuple[str, ...] = ("normal", "seed")) -> None:
        self.path, self.figure, self.cell = path, figure, cell

    def read(self) -> list[dict[str, Any]]:
        """Every record, but half a line at the end, which a killed process leaves and `append` takes away.

        Raises: InputError naming the file and the line that is damaged; the file is left as it is.
        """
        if not self.path.exists():
            return []
        records = []
        lines = self.path.read_bytes().splitlines(keepends=True)
        for number, line in enumerate(lines, 1):
            record = self._record_of(line)
            if record is not None:
                records.append(record)
            elif number < len(lines) or line.endswith(b"\n"):
                raise InputError(f"{self.path}, line {number} is damaged: repair it or delete the line")
        return records

    def append(self, records: list[dict[str, Any]]) -> None:
        """Add records with one write. Raises: OSError naming the file; it is then as it was."""
        append(self.path, records)

    def _record_of(self, line: bytes) -> dict[str, Any] | None:
        """The record of a line, None when the line is damaged."""
        try:
            record: dict[str, Any] = json.loads(line)
            for name in ("key", "label", *self.cell, "error" if "error" in record else self.figure):
                record[name]
        except (ValueError, KeyError, TypeError):
            return None
        return record
