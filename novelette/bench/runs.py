"""A bench file (TOML) and the runs that it stands for; the records that finished runs left.

A run is one (data set, protocol, class, seed, detector). Its key names it; a run whose key stands in the records is done.
"""

import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from novelette.errors import InputError
from novelette.settings import explain


class Entry(BaseModel, frozen=True, extra="forbid"):
    """One row of a table: a method with its settings.

    Attributes:
        label: the row's name.   recipe: start from our recipe or from the paper's.   config: the method's settings.
        stack: train up to so many classes at once, as one program (novelette.nets); 1 trains them one by one.
    """

    label: str
    method: str
    recipe: Literal["ours", "paper"] = "ours"
    config: dict[str, Any] = {}
    stack: int = Field(1, ge=1, le=1000)


class Bench(BaseModel, frozen=True, extra="forbid"):
    """A bench file.

    Attributes:
        data, protocol, classes, seeds: every combination is run; no classes means all of the set's.
        size: of the images, px.
        published: the table of novelette/bench/published to stand beside it.
        threads: of one run.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    data: str
    protocol: str = "standard"
    classes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    size: int = Field(32, ge=8, le=256)
    published: str | None = None
    threads: int = Field(1, ge=1, le=64)
    detectors: tuple[Entry, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Run:
    """One cell of the grid."""

    entry: Entry
    normal: str
    seed: int

    def key(self, bench: Bench) -> str:
        """What makes this run this run, as one line: a record with the same key is its result."""
        entry = self.entry.model_dump(mode="json", exclude={"label", "stack"})
        return json.dumps([bench.data, bench.protocol, bench.size, self.normal, self.seed, entry], sort_keys=True)


def read_bench(path: Path) -> Bench:
    """Parse a bench file. Raises: InputError that names what is wrong in it."""
    try:
        return Bench(**tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise InputError(f"there is no bench file {path}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path} is not a TOML file: {error}") from error
    except ValidationError as error:
        raise InputError(f"{path}: {explain(error)}") from error


def expand(bench: Bench, classes: tuple[str, ...]) -> list[Run]:
    """Every run of a bench, detector by detector."""
    return [Run(entry, normal, seed) for entry in bench.detectors for seed in bench.seeds for normal in bench.classes or classes]


def stacks(bench: Bench, runs: list[Run]) -> list[list[Run]]:
    """Runs that go together: up to `stack` runs of one detector, whatever class and seed."""
    groups: list[list[Run]] = []
    for entry in bench.detectors:
        mine = [run for run in runs if run.entry is entry]
        groups += [mine[i : i + entry.stack] for i in range(0, len(mine), entry.stack)]
    return groups


def current(bench: Bench, runs: list[Run], records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records of these runs, in the runs' order, under the bench's labels: none of runs that the bench has no more, and no failure
    that a later try made good."""
    cells = {run.key(bench): (i, run.entry.label) for i, run in reversed(list(enumerate(runs)))}
    labels = {entry.label for entry in bench.detectors}
    succeeded = {record["key"] for record in records if "error" not in record}
    failed = {record["key"]: record for record in records if "error" in record and record["key"] not in succeeded}
    mine = [r for r in records if "error" not in r or r is failed.get(r["key"])]
    mine = sorted((r for r in mine if r["key"] in cells), key=lambda r: cells[r["key"]][0])
    return [r if r["label"] in labels else r | {"label": cells[r["key"]][1]} for r in mine]


class Records:
    """The records of one bench: `results/<name>.jsonl`, a line a run, appended whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict[str, Any]]:
        """Every record. Raises: InputError naming the file and the line that is damaged; the file is left as it is."""
        if not self.path.exists():
            return []
        records = []
        for number, line in enumerate(self.path.read_bytes().splitlines(), 1):
            try:
                record = json.loads(line)
                record["key"], record["label"], record["normal"], record["seed"], record["error" if "error" in record else "auroc"]
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{self.path}, line {number} is damaged: mend it or delete the line") from error
            records.append(record)
        return records

    def append(self, records: list[dict[str, Any]]) -> None:
        """Add records with one write, so that a killed process leaves whole lines."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(record) + "\n" for record in records)
        if self.path.exists() and self.path.read_bytes()[-1:] not in (b"", b"\n"):  # a hand left out the last line's end
            text = "\n" + text
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, text.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
