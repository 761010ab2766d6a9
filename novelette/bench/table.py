"""A bench's records as a table: a row a class, ours as mean ± std (n), the published figures beside them."""

from collections.abc import Sequence
from dataclasses import dataclass

from novelette.bench.cells import Figures, Record, auroc, bold, cell, difference, figures_of, markdown, mean, number, over_classes
from novelette.bench.printed import Column, Printed, printed
from novelette.bench.runs import Bench
from novelette.data.protocol import role

MANY = 8  # detectors; more are more than colours that all can tell apart


@dataclass(frozen=True)
class Row:
    """A row of a bench, which is a column of its table.

    Attributes:
        figures: AUROC by class and seed.   paper: what it stands against.
    """

    label: str
    figures: Figures
    paper: Column | None = None


def rows_of(bench: Bench, records: Sequence[Record], tables: Printed) -> list[Row]:
    """The rows that have records, in the bench's order. Raises: InputError for a row whose published column is in no table."""
    rows = []
    for entry in bench.rows:
        paper = None if entry.paper is None else tables.column(entry.label, entry.paper)
        figures = figures_of((r for r in records if r["label"] == entry.label and "error" not in r), auroc)
        if figures:
            rows.append(Row(entry.label, figures, paper))
    return rows


def table(bench: Bench, records: Sequence[Record], beside: Sequence[Row] = ()) -> str:
    """The records of a bench in Markdown, with rows of other benches beside them, and what failed."""
    tables = printed(bench.published)
    classes = list(dict.fromkeys(record["normal"] for record in records))
    failed = "".join(f"\nfailed: {line}\n" for line in failures(records))
    return classes_table([*rows_of(bench, records, tables), *beside], classes, tables, role(bench.protocol)) + "\n" + failed


def failures(records: Sequence[Record]) -> list[str]:
    """A line a failed run."""
    return [f"{r['label']}, {r['normal']}, seed {r['seed']}: {r['error']}" for r in records if "error" in r]


def classes_table(rows: Sequence[Row], classes: Sequence[str], tables: Printed, role: str) -> str:
    """A row a class; or a row a detector, where these are many and the classes few.

    A cell is the mean over seeds, ± their standard deviation and (n) where there are several. The mean over classes is of those that have
    them all; ± there is over seeds.

    Args: role: of the classes, `normal` or `novel`.
    """
    return _by_row(rows, classes, tables) if len(rows) > max(MANY, len(classes)) else _by_class(rows, classes, tables, role)


def _by_class(rows: Sequence[Row], classes: Sequence[str], tables: Printed, role: str) -> str:
    """A row that stands against a published column is followed by that column and the difference, where the paper prints classes. Where it
    prints a mean alone, that stands below the mean. Published columns that no row stands against follow at the right."""
    heads, lines = [f"{role} class"], [[normal] for normal in classes]
    sources = dict.fromkeys(row.paper.source for row in rows if row.paper and not row.paper.by_class)
    last, theirs, gaps = [f"**mean of {len(classes)}**"], [f"printed ({'; '.join(sources)})"], ["difference"]
    for row in rows:
        values = [list(row.figures.get(normal, {}).values()) for normal in classes]
        means = over_classes(row.figures, classes)
        _add(heads, lines, last, row.label, [cell(own) for own in values], bold(cell(means)))
        if row.paper is None:
            theirs, gaps = [*theirs, ""], [*gaps, ""]
        elif row.paper.by_class:
            printed_values, printed_mean = [row.paper.by_class.get(normal) for normal in classes], row.paper.mean(classes)
            _add(heads, lines, last, _head(row.paper), [number(value) for value in printed_values], number(printed_mean))
            apart = [difference(mean(own), value) for own, value in zip(values, printed_values, strict=True)]
            _add(heads, lines, last, "difference", apart, bold(difference(mean(means), printed_mean)))
            theirs, gaps = [*theirs, "", "", ""], [*gaps, "", "", ""]
        else:
            theirs.append(f"{row.paper.words(classes)}, {row.paper.name}")
            gaps.append(difference(mean(means), row.paper.mean(classes)))
    for column in _others(rows, tables):
        _add(heads, lines, last, _head(column), [number(column.by_class.get(normal)) for normal in classes], column.words(classes))
        theirs, gaps = [*theirs, ""], [*gaps, ""]
    return markdown(heads, [*lines, last, *(line for line in (theirs, gaps) if any(line[1:]))])


def _add(heads: list[str], lines: list[list[str]], last: list[str], head: str, cells: Sequence[str], mean_cell: str) -> None:
    """One column more."""
    heads.append(head)
    last.append(mean_cell)
    for line, text in zip(lines, cells, strict=True):
        line.append(text)


def _by_row(rows: Sequence[Row], classes: Sequence[str], tables: Printed) -> str:
    """A row a detector, and below them a row a published column."""
    against = any(row.paper for row in rows)
    lines = []
    for row in rows:
        means = over_classes(row.figures, classes)
        line = [row.label, *(cell(list(row.figures.get(normal, {}).values())) for normal in classes), bold(cell(means))]
        if against:
            line += [row.paper.words(classes), difference(mean(means), row.paper.mean(classes))] if row.paper else ["", ""]
        lines.append(line)
    heads = ["detector", *classes, f"mean of {len(classes)}", *(["printed", "difference"] if against else [])]
    for column in tables.columns.values():
        line = [_head(column), *(number(column.by_class.get(normal)) for normal in classes), column.words(classes)]
        lines.append(line + [""] * (len(heads) - len(line)))
    return markdown(heads, lines)


def _others(rows: Sequence[Row], tables: Printed) -> list[Column]:
    """Published columns that no row stands against."""
    taken = {row.paper.name for row in rows if row.paper}
    return [column for name, column in tables.columns.items() if name not in taken]


def _head(column: Column) -> str:
    return f"{column.name} ({column.source})"
