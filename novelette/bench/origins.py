"""Where a page's figures come from: commands, machines, hours, dates, commits and versions, as the records say."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from novelette.bench.cells import Record
from novelette.bench.found import Found
from novelette.bench.table import failures
from novelette.words import seconds_words


def origins(every: Sequence[Found], folder: str, name: str) -> str:
    """The end of a page, Markdown.   Args: folder: that holds the bench files.   name: of the page."""
    beside = {other.bench.name: other for found in every for other in found.beside}
    own = {found.bench.name for found in every}
    named = [*every, *(other for bench, other in beside.items() if bench not in own)]
    return ending(name, folder, [Origin(f.bench.title, f.bench.name, _lines(f), failures(f.records)) for f in named])


MADE = "made this page from the records"  # in every page of `novelette table`, and tells it from whatever else has its name


class Origin(NamedTuple):
    """A bench on a page.   Attributes: lines: what its records say of themselves.   failed: a line a failed run."""

    title: str
    bench: str
    lines: Sequence[str]
    failed: Sequence[str]


def ending(name: str, folder: str, origins: Sequence[Origin]) -> str:
    """The end of a page, Markdown, whatever its benches are of.   Args: as of `origins`."""
    blocks = [
        "## Where these figures come from",
        f"`novelette table {name} -o docs/results` {MADE} in `results/`, and trained nothing.",
    ]
    for own in origins:
        blocks.append("\n".join([f"**{own.title}** (`novelette bench {folder}/{own.bench}.toml`)", "", *own.lines]))
        if own.failed:
            blocks.append("\n".join(["Failed:", "", *(f"- {line}" for line in own.failed)]))
    return "\n\n".join(blocks)


def nothing(runs: int) -> list[str]:
    """Of a bench without records."""
    return [f"- none of its {runs} runs has a record yet; the command makes them"]


def made(good: Sequence[Record]) -> list[str]:
    """How long the training of records took, when it was, and by which versions."""
    days = sorted({record["created"][:10] for record in good})
    took = seconds_words(sum(float(record["fit_seconds"]) for record in good))
    versions = {f"{name} {version}" for record in good for name, version in record["versions"].items()}
    return [
        f"- training: {took} in all, on {' to '.join(dict.fromkeys((days[0], days[-1])))}",
        f"- commits: {each(good, 'commit')}; versions: {', '.join(sorted(versions))}",
    ]


def _lines(found: Found) -> list[str]:
    """A list of what the records of one bench say of themselves."""
    good, missing = found.good, found.runs - len(found.good)
    if not good:
        return nothing(found.runs)
    return [
        f"- runs: {len(good)} of {found.runs}"
        + (f"; {missing} are missing or failed, and no mean has a class without a run" if missing else ""),
        f"- data: {each(good, 'data')}, protocol `{found.bench.protocol}`, {found.bench.size} px; seeds {each(good, 'seed')}",
        f"- on: {each(good, 'device')}; threads a run: {each(good, 'threads')}; stacked runs: {each(good, 'stacked')}",
        *made(good),
    ]


def each(records: Iterable[Record], field: str) -> str:
    """Every value of a field, once."""
    return ", ".join(map(str, sorted({record[field] for record in records}, key=lambda value: (isinstance(value, str), value or 0))))
