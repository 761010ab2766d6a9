"""Sections of a page: what a bench's records show, as Markdown and plots. Here: its classes, and students beside their teachers."""

from collections.abc import Sequence
from dataclasses import dataclass

from novelette.bench.cells import auroc, figures_of, markdown, mean, over_classes, std
from novelette.bench.figures import Dots, Mark, Plot, Points
from novelette.bench.found import Found
from novelette.bench.table import MANY, Row, classes_table
from novelette.data.protocol import role
from novelette.words import names_words


@dataclass(frozen=True)
class Section:
    """A part of a page: its heading, Markdown, and what is drawn."""

    title: str
    text: str
    plots: tuple[Plot, ...] = ()


def classes(found: Found) -> Section:
    """A row a class, ours beside the printed figures and the rows of other benches."""
    rows = [*found.rows, *found.rows_beside]
    several = len({record["seed"] for record in found.good}) > 1
    what = ": mean ± standard deviation over seeds (their number)" if several else ""
    text = f"AUROC on the {tested(found)}, after the last step{what}."
    if found.printed.columns:
        text += " What has a source in parentheses is printed in the paper, not run by us."
    if found.beside:
        beside = ", ".join(f"`{other.bench.name}`, pictures of {other.bench.size} px{_share(found, other)}" for other in found.beside)
        text += f" Beside them are the rows of other benches: {beside}."
    plot = _dots(found, rows) if len(found.rows) <= MANY else _dots_by_row(found, rows)
    return Section("Classes", f"{text}\n\n{classes_table(rows, found.classes, found.printed, role(found.bench.protocol))}", (plot,))


def _share(found: Found, other: Found) -> str:
    """What a bench beside is tested on, where that is not the same."""
    return "" if found.bench.test_at_most == other.bench.test_at_most else f", on the {tested(other)}"


def tested(found: Found) -> str:
    """What the AUROC is on."""
    what = "test images" if found.bench.protocol != "held-out" else "held-out images of the training split"
    few = found.bench.test_at_most
    return f"{what} (of these {few:,} at most, half of them normal, drawn by the run's seed)" if few else what


def tested_share(found: Found) -> str:
    """What courses and scores under noise are on."""
    every = found.bench.curve_every
    return f"all {tested(found)}" if every == 1 else f"one in {every} of the {tested(found)}"


def _dots(found: Found, rows: Sequence[Row]) -> Dots:
    """A mark a detector for every class and for the mean, and hollow ones of the published columns."""
    last = f"mean of {len(found.classes)}"
    marks = []
    for row in rows:
        marks.append(Mark(row.label, _points(row, found.classes, last), _printed(row, found.classes, last), row in found.rows_beside))
    hollow = "; hollow marks are the printed figures that they stand against" if any(mark.printed for mark in marks) else ""
    alt = f"AUROC by {role(found.bench.protocol)} class, a mark a detector{_bars(marks)}{hollow}"
    return Dots("classes", alt, marks, [*found.classes, last], "AUROC", last=1)


def _printed(row: Row, classes: Sequence[str], last: str) -> dict[str, float]:
    """What is printed of what a row stands against, and its mean, called `last`."""
    if row.paper is None:
        return {}
    printed, printed_mean = row.paper.by_class, row.paper.mean(classes)
    known = {normal: printed[normal] for normal in classes if normal in printed}
    return known if printed_mean is None else known | {last: printed_mean}


def _dots_by_row(found: Found, rows: Sequence[Row]) -> Dots:
    """A line a detector, a mark a class: for more detectors than marks can be told apart."""
    last = f"mean of {len(found.classes)}"
    of = {row.label: _points(row, found.classes, last) for row in rows}
    marks = [Mark(name, {label: own[name] for label, own in of.items() if name in own}) for name in (*found.classes, last)]
    alt = f"AUROC by detector, a mark a {role(found.bench.protocol)} class{_bars(marks)}"
    return Dots("classes", alt, marks, list(of), "AUROC")


def _bars(marks: Sequence[Mark]) -> str:
    return "; bars are standard deviations over seeds" if any(s for mark in marks for _, s in mark.points.values()) else ""


def _points(row: Row, classes: Sequence[str], last: str) -> Points:
    """Mean and standard deviation of each class that has figures, and of the mean over classes, called `last`."""
    values = {normal: list(row.figures.get(normal, {}).values()) for normal in classes} | {last: over_classes(row.figures, classes)}
    return {name: (sum(own) / len(own), std(own)) for name, own in values.items() if own}


def teachers(found: Found) -> Section | None:
    """Which students beat their teacher, and where; of the seeds that both have."""
    lines = []
    for student in found.bench.students:
        own, taught_by = (figures_of(found.of(label), auroc) for label in (student.label, student.teacher))
        gaps = {
            normal: mean([own[normal][seed] - taught_by[normal][seed] for seed in own[normal] if seed in taught_by[normal]])
            for normal in found.classes
            if normal in own and normal in taught_by
        }
        known = {normal: gap for normal, gap in gaps.items() if gap is not None}
        if known:
            better = [normal for normal, gap in known.items() if gap > 0]
            on = f": {names_words(better, 100)}" if better else ""
            gap = sum(known.values()) / len(known)
            lines.append([student.label, student.teacher, f"{len(better)} of {len(known)}{on}", f"{gap:+.4f}"])
    heads = ["student", "teacher", "classes on which it beats its teacher", "mean difference of AUROC"]
    return Section("Students and their teachers", markdown(heads, lines, left=3)) if lines else None
