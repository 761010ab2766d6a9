"""The sections of a page: what each bench's records show, as Markdown and plots. Pure functions; none of them trains or draws anything."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from novelette.bench.cells import Record, cell, difference, figures_of, markdown, mean, number, over_classes, std
from novelette.bench.figures import Dots, Line, Lines, Mark, Plot, Points
from novelette.bench.found import Found
from novelette.bench.table import MANY, Row, classes_table
from novelette.words import names_words

LAST_PART = 0.8  # of training; the spread is of what comes after it
SETTLED = 0.2  # of training; a panel's scale is of what comes after it


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
        text += " Columns with a source in parentheses are printed in the paper, not run by us."
    if found.beside:
        beside = ", ".join(f"`{other.bench.name}`, pictures of {other.bench.size} px" for other in found.beside)
        text += f" Beside them are the rows of other benches: {beside}."
    plot = _dots(found, rows) if len(rows) <= MANY else _dots_by_row(found, rows)
    return Section("Classes", f"{text}\n\n{classes_table(rows, found.classes, found.printed)}", (plot,))


def tested(found: Found) -> str:
    """What the AUROC is on."""
    return "test images" if found.bench.protocol != "held-out" else "held-out images of the training split"


def _dots(found: Found, rows: Sequence[Row]) -> Dots:
    """A mark a detector for every class and for the mean, and hollow ones of the published columns."""
    last = f"mean of {len(found.classes)}"
    marks = [Mark(row.label, _points(row, found.classes, last)) for row in rows]
    for column in {row.paper.name: row.paper for row in rows if row.paper}.values():
        there = {normal: column.by_class.get(normal) for normal in found.classes} | {last: column.mean(found.classes)}
        points: Points = {name: (value, None) for name, value in there.items() if value is not None}
        marks.append(Mark(f"printed: {column.name}", points, hollow=True))
    bars = "; bars are standard deviations over seeds" if any(s for mark in marks for _, s in mark.points.values()) else ""
    printed = "; hollow marks are printed figures" if any(mark.hollow and mark.points for mark in marks) else ""
    alt = f"AUROC by normal class, a mark a detector{bars}{printed}"
    return Dots("classes", alt, [mark for mark in marks if mark.points], [*found.classes, last], "AUROC")


def _dots_by_row(found: Found, rows: Sequence[Row]) -> Dots:
    """A line a detector, a mark a class: for more detectors than marks can be told apart."""
    last = f"mean of {len(found.classes)}"
    of = {row.label: _points(row, found.classes, last) for row in rows}
    marks = [Mark(name, {label: own[name] for label, own in of.items() if name in own}) for name in (*found.classes, last)]
    alt = "AUROC by detector, a mark a normal class"
    return Dots("classes", alt, [mark for mark in marks if mark.points], list(of), "AUROC", last=0)


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
            lines.append([student.label, student.teacher, f"{gap:+.4f}", f"{len(better)} of {len(known)}{on}"])
    heads = ["student", "teacher", "mean difference of AUROC", "classes on which it beats its teacher"]
    return Section("Students and their teachers", markdown(heads, lines)) if lines else None


def course(found: Found) -> Section | None:
    """AUROC over training: last, best and the spread over the last fifth."""
    rows = [row.label for row in found.rows if any(record.get("curve") for record in found.of(row.label))]
    if not rows:
        return None
    few = len(rows) <= MANY
    figures = {label: [figures_of(found.of(label), figure) for figure in (last, best, spread)] for label in rows}
    lines = [[label, *(cell(over_classes(by_class, found.classes)) for by_class in own)] for label, own in figures.items()]
    text = (
        f"Snapshots of every run were scored after its end, on {_images(found)}; means over {len(found.classes)} classes. **Best** is the "
        "highest point of the course: it peeks at those images, so that nothing may be chosen by it. **Spread** is the standard deviation "
        "over the last fifth of training. A student's steps are those of all its phases."
    )
    heads = ["detector", "last", "best (peeks)", "spread over the last fifth"]
    drawn = {
        (label, normal): line
        for colour, label in enumerate(rows)
        for k, normal in enumerate(found.classes)
        if (line := _mean_curve([r for r in found.of(label) if r["normal"] == normal], *((label, colour) if few else (normal, k))))
    }
    by_panel: dict[str, list[Line]] = defaultdict(list)
    for (label, normal), line in drawn.items():
        by_panel[normal if few else label].append(line)
    panels = {name: by_panel[name] for name in (found.classes if few else rows) if name in by_panel}
    each = "normal class" if few else "detector"
    alt = f"AUROC against training step, a panel a {each} on its own scale, which early steps may leave"
    plot = Lines("course", alt, panels, "step", "AUROC", settled=SETTLED)
    return Section("Course of training", f"{text}\n\n{markdown(heads, lines)}", (plot,))


def _images(found: Found) -> str:
    every = found.bench.curve_every
    of = tested(found)
    return f"all {of}" if every == 1 else f"every {every}th of the {of}, so that the last point is not quite the AUROC above"


def _mean_curve(records: Sequence[Record], label: str, colour: int) -> Line | None:
    """The course, the mean over seeds, of the steps that all have; None where there is none."""
    curves = [{int(step): float(value) for step, value in record["curve"]} for record in records if record.get("curve")]
    steps = sorted(set.intersection(*(set(curve) for curve in curves))) if curves else []
    means = [sum(curve[step] for curve in curves) / len(curves) for step in steps]
    return Line(label, steps, means, colour) if steps else None


def auroc(record: Record) -> float:
    """After the last step, on all test images."""
    return float(record["auroc"])


def last(record: Record) -> float | None:
    """The last point of the course."""
    return float(record["curve"][-1][1]) if record.get("curve") else None


def best(record: Record) -> float | None:
    """The highest point of the course, which nobody may choose by: it is of test images."""
    return max(float(value) for _, value in record["curve"]) if record.get("curve") else None


def spread(record: Record) -> float | None:
    """The standard deviation of the course over the last fifth of training; None of fewer than two points there."""
    curve: list[Any] = record.get("curve") or []
    return std([value for step, value in curve if step > LAST_PART * curve[-1][0]])


def seen(found: Found) -> Section | None:
    """Scores of training images beside those of new ones: the over-fitting argument of paper 001, III-A."""
    lines = []
    for row in found.rows:
        records = [record for record in found.of(row.label) if record.get("scores")]
        train, normal, novel, told = (
            mean(over_classes(figures_of(records, inside("scores", kind)), found.classes))
            for kind in ("train", "normal", "novel", "told_apart")
        )
        if train is not None:
            lines.append([row.label, *map(_short, (train, normal, novel)), _ratio(normal, train), _ratio(novel, normal), number(told)])
    text = (
        "Mean scores of normal images of training, of normal images that are new, and of novel ones, after the last step; means over "
        f"{len(found.classes)} classes and over seeds. Scores of different detectors have different units, their ratios have not. **Told "
        "apart** is the AUROC of new normal images against those of training: 0.5 where the detector cannot tell them apart."
    )
    heads = ["detector", "training", "new normal", "novel", "new / training", "novel / new normal", "told apart"]
    return Section("Seen and unseen images", f"{text}\n\n{markdown(heads, lines)}") if lines else None


def inside(*names: str) -> Callable[[Record], float | None]:
    """The figure of a record at record[a][b]...; None where there is none."""

    def figure(record: Record) -> float | None:
        value: Any = record
        for name in names:
            value = (value or {}).get(name)
        return None if value is None else float(value)

    return figure


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _ratio(a: float | None, b: float | None) -> str:
    return "" if a is None or not b else f"{a / b:.2f}"


def passes(found: Found) -> Section | None:
    """AUROC by the mean score of an image and of its copies moved by one pixel."""
    lines = []
    for row in found.rows:
        once, several = (over_classes(figures_of(found.of(row.label), inside(name)), found.classes) for name in ("auroc", "passes"))
        if several:
            lines.append([row.label, cell(once), cell(several), difference(mean(several), mean(once))])
    text = "AUROC by the score of an image, and by the mean score of it and its copies moved by one pixel each way, five times as slow."
    heads = ["detector", "one pass", "five passes", "difference"]
    return Section("Several passes", f"{text}\n\n{markdown(heads, lines)}") if lines else None


def noise(found: Found) -> Section | None:
    """AUROC under Gaussian noise on the test images, by the latent and by the image score of the same network."""
    sigmas = sorted({sigma for record in found.good for sigma in record.get("noise") or {}}, key=float)
    few = len(found.rows) <= MANY
    lines: list[list[str]] = []
    panels: dict[str, list[Line]] = defaultdict(list)
    for colour, row in enumerate(found.rows):
        for k, name in enumerate(("latent", "image")):
            means = [over_classes(figures_of(found.of(row.label), inside("noise", sigma, name)), found.classes) for sigma in sigmas]
            points = [(float(sigma), value) for sigma, own in zip(sigmas, means, strict=True) if (value := mean(own)) is not None]
            if points:
                lines.append([row.label, name, *map(cell, means)])
                x, y = zip(*points, strict=True)
                line = Line(row.label, x, y, colour, dashed=k == 1) if few else Line(f"{name} score", x, y, k)
                panels["" if few else row.label].append(line)
    if not lines:
        return None
    text = (
        "AUROC when Gaussian noise of standard deviation σ is added to images, whose pixels are in [-1, 1], by two scores of the same "
        f"network; on {_images(found)}; means over {len(found.classes)} classes."
    )
    alt = "AUROC against the standard deviation of the noise, by the latent and by the image score"
    kinds = ("latent score", "image score") if few else None
    plot = Lines("noise", alt, panels, "standard deviation of the noise", "AUROC", kinds)
    return Section("Noise", f"{text}\n\n{markdown(['detector', 'score', *(f'σ = {sigma}' for sigma in sigmas)], lines)}", (plot,))
