"""A bench's records as a table: a row a class, ours as mean ± std (n), the published figures beside them."""

import tomllib
from collections import defaultdict
from importlib.resources import files
from typing import Any

import numpy as np

from novelette.bench.runs import Bench
from novelette.errors import InputError


def published(name: str) -> dict[str, Any]:
    """A file of novelette/bench/published: `source`, and AUROC by column and class. Raises: InputError when there is none."""
    path = files("novelette.bench").joinpath("published", f"{name}.toml")
    if not path.is_file():
        raise InputError(f"there are no published figures {name!r}")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def table(bench: Bench, records: list[dict[str, Any]]) -> str:
    """The records of a bench in Markdown. A cell is the mean over seeds, ± their standard deviation and (n) where there are several.

    The last row is the mean over classes, of those columns that have them all; ± there is over seeds.
    """
    cells: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for record in records:
        if "error" not in record:
            cells[record["label"]][record["normal"]][record["seed"]] = record["auroc"]
    labels = [entry.label for entry in bench.rows if entry.label in cells]
    rows = list(dict.fromkeys(record["normal"] for record in records))
    paper: dict[str, Any] = published(bench.published) if bench.published else {"source": "", "columns": {}}
    columns = paper["columns"]
    heads = ["normal class", *labels, *(f"{column} ({paper['source']})" for column in columns)]
    lines = ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for normal in rows:
        ours = [_cell(list(cells[label][normal].values())) for label in labels]
        theirs = [_number(columns[column].get(normal)) for column in columns]
        lines.append("| " + " | ".join([normal, *ours, *theirs]) + " |")
    ours = [_mean_cell(cells[label], rows) for label in labels]
    theirs = [_number(_column_mean(columns[column], rows)) for column in columns]
    lines.append("| " + " | ".join([f"**mean of {len(rows)}**", *(f"**{cell}**" if cell else "" for cell in ours), *theirs]) + " |")
    failed = [f"{r['label']}, {r['normal']}, seed {r['seed']}: {r['error']}" for r in records if "error" in r]
    return "\n".join(lines + [f"\nfailed: {line}" for line in failed]) + "\n"


def _cell(values: list[float]) -> str:
    if len(values) < 2:
        return _number(values[0] if values else None)
    return f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.4f} ({len(values)})"


def _mean_cell(by_class: dict[str, dict[int, float]], rows: list[str]) -> str:
    if any(normal not in by_class for normal in rows):
        return ""
    seeds = set.intersection(*(set(by_class[normal]) for normal in rows))
    return _cell([float(np.mean([by_class[normal][seed] for normal in rows])) for seed in sorted(seeds)])


def _column_mean(column: dict[str, float], rows: list[str]) -> float | None:
    """The printed mean where the rows are all of the classes, else the mean of the printed rows."""
    if set(column) - {"mean"} == set(rows) or set(column) == {"mean"}:
        return column.get("mean")
    return float(np.mean([column[normal] for normal in rows])) if all(normal in column for normal in rows) else None


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
