"""Several data sets beside each other: P-KDGAN's Tables 3 and 4 (V and VI of the progressive distillation paper)."""

from collections import Counter
from collections.abc import Mapping, Sequence

from novelette.bench.cells import cell, difference, markdown, mean, over_classes
from novelette.bench.found import Found
from novelette.bench.sections import Section
from novelette.bench.table import Row


def sets(every: Sequence[Found]) -> Section:
    """Of each bench a column with the means over its classes, the printed means and the differences.

    A row is of one published column, whatever the benches call theirs that stands against it, or else of one label.
    """
    known = {label: column for found in every for label, column in _columns(found).items()}
    places = [_places(found, known) for found in every]
    keys = sorted(dict.fromkeys(key for rows in places for key in rows), key=lambda key: key[0] == "beside")
    lines = {key: [", ".join(dict.fromkeys(rows[key].label for rows in places if key in rows))] for key in keys}
    heads, titles = ["mean over classes"], Counter(found.title for found in every)
    for found, rows in zip(every, places, strict=True):
        title = found.title if titles[found.title] == 1 else found.bench.title
        heads += [f"{title}, {len(found.classes)} classes", "printed", "difference"]
        for key, line in lines.items():
            line += _cells(rows[key], found.classes) if key in rows else ["", "", ""]
    sources = dict.fromkeys(row.paper.source for found in every for row in found.rows if row.paper)
    text = "AUROC after the last step, the mean over classes: mean ± standard deviation over seeds (their number)."
    text += f" Printed: {'; '.join(sources)}." if sources else ""
    return Section("Sets", f"{text}\n\n{markdown(heads, lines.values())}")


def _columns(found: Found) -> dict[str, str]:
    """The published column of each label, of columns that one row of the bench stands against."""
    taken = Counter(row.paper.name for row in found.rows if row.paper)
    return {row.label: row.paper.name for row in found.rows if row.paper and taken[row.paper.name] == 1}


def _places(found: Found, known: Mapping[str, str]) -> dict[tuple[str, str], Row]:
    """The rows of a bench by what they are found by on the page.   Args: known: the published column of a label, in other benches too."""
    own = _columns(found)
    elsewhere = {label: column for label, column in known.items() if column not in own.values()}
    places: dict[tuple[str, str], Row] = {}
    for row in found.rows:
        column = own.get(row.label) or (None if row.paper else elsewhere.get(row.label))
        places[("paper", column) if column else ("label", row.label)] = row
    return places | {("beside", row.label): row for row in found.rows_beside}


def _cells(row: Row, classes: Sequence[str]) -> list[str]:
    ours, printed = over_classes(row.figures, classes), None if row.paper is None else row.paper.mean(classes)
    return [cell(ours), row.paper.words(classes) if row.paper else "", difference(mean(ours), printed)]
