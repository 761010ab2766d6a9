"""The course of training (Figures 2 and 6 of the papers): AUROC over steps; last, best, and how unsteady it ends."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from novelette.bench.cells import Record, cell, figures_of, markdown, over_classes, std
from novelette.bench.figures import Line, Lines
from novelette.bench.found import Found
from novelette.bench.sections import Section, tested_share
from novelette.bench.table import MANY

SETTLED = 0.2  # of training; a panel's scale is of what comes after it


def course(found: Found) -> Section | None:
    """AUROC over training: last, best and the spread over the last fifth."""
    rows = [row.label for row in found.rows if any(record.get("curve") for record in found.of(row.label))]
    if not rows:
        return None
    lines = []
    for label in rows:
        figures = (figures_of(found.of(label), figure) for figure in (last, best, spread))
        lines.append([label, *(cell(over_classes(by_class, found.classes)) for by_class in figures)])
    text = (
        f"Snapshots of every run were scored after its end, on {tested_share(found)}; means over {len(found.classes)} classes. **Best** is "
        "the highest point of the course: it peeks at those images, so that nothing may be chosen by it. **Spread** is the standard "
        "deviation over the last fifth of training, blank where that has no two points. A student's steps are those of all its phases."
    )
    if found.bench.curve_every > 1:
        text += " The AUROC of all images stands above."
    heads = ["detector", "last", "best (peeks)", "spread over the last fifth"]
    return Section("Course of training", f"{text}\n\n{markdown(heads, lines)}", (_plot(found, rows),))


def _plot(found: Found, rows: Sequence[str]) -> Lines:
    """A panel a class and a line a row; of many rows, a panel a row and a line a class."""
    few = len(rows) <= MANY
    panels: dict[str, list[Line]] = defaultdict(list)
    for k, normal in enumerate(found.classes):
        for i, label in enumerate(rows):
            curve = _mean_curve([record for record in found.of(label) if record["normal"] == normal])
            if curve and few:
                panels[normal].append(Line(label, list(curve), list(curve.values()), i))
            elif curve:
                panels[label].append(Line(normal, list(curve), list(curve.values()), k))
    each, scale = ("a class", "on a scale of its own") if few else ("a detector", "all on one scale")
    alt = f"AUROC against training step, a panel {each}, {scale}, which early steps may leave"
    return Lines("course", alt, panels, "step", "AUROC", shared=not few, settled=SETTLED)


def _mean_curve(records: Sequence[Record]) -> dict[int, float]:
    """AUROC by step, the mean over seeds, of the steps that all have."""
    curves = [{int(step): float(value) for step, value in record["curve"]} for record in records if record.get("curve")]
    steps = sorted(set.intersection(*(set(curve) for curve in curves))) if curves else []
    return {step: sum(curve[step] for curve in curves) / len(curves) for step in steps}


def last(record: Record) -> float | None:
    """The last point of the course."""
    return float(record["curve"][-1][1]) if record.get("curve") else None


def best(record: Record) -> float | None:
    """The highest point of the course, which nobody may choose by: it is of test images."""
    return max(float(value) for _, value in record["curve"]) if record.get("curve") else None


def spread(record: Record) -> float | None:
    """The standard deviation of the course over the last fifth of training; None of fewer than two points there."""
    curve: list[Any] = record.get("curve") or []
    return std([value for step, value in curve if step >= 4 * curve[-1][0] // 5])
