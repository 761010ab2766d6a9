"""The course of an adversarial game: how sure D is of data and of novelties (technical report, 4.3), and whether G collapses."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from statistics import StatisticsError, correlation, pstdev

from novelette.bench.cells import Record, cell, figures_of, markdown, mean, over_classes
from novelette.bench.figures import Line, Lines
from novelette.bench.found import Found
from novelette.bench.sections import Section, tested_share

Course = Sequence[Sequence[float]]  # (step, value, ...)
PLAYERS = ("generator", "discriminator")  # whose losses a record's `losses` are, in their order


def accuracies(found: Found) -> Section | None:
    """A_data and A_novel over training."""
    rows = [row.label for row in found.rows if any(record.get("accuracy") for record in found.of(row.label))]
    if not rows:
        return None
    lines = []
    together: list[float] = []
    panels: dict[str, list[Line]] = defaultdict(list)
    for label in rows:
        records = found.of(label)
        last = [over_classes(figures_of(records, _last(at)), found.classes) for at in (1, 2)]
        moves = [r for r in map(_together, records) if r is not None]
        together += moves
        lines.append([label, *map(cell, last), cell(moves)])
        for colour, (at, name) in enumerate(((1, "A_data"), (2, "A_novel"))):
            course = _mean_course([record["accuracy"] for record in records if record.get("accuracy")], at)
            panels[label].append(Line(name, list(course), list(course.values()), colour))
    over = f"; means over {len(found.classes)} classes" if len(found.classes) > 1 else ""
    text = (
        "A_data is the mean of D(x) on normal images, A_novel that of 1 - D(x) on novel ones, after the last step, on "
        f"{tested_share(found)}{over}. Of one that knows nothing they add up to 1. (The report prints the mean of D(x) on novelties as "
        "A_novel, which falls as detection improves.) Correlation: of the two over the points of a run's course; it is negative in "
        f"{sum(r < 0 for r in together)} of {len(together)} courses, and below -0.5 in {sum(r < -0.5 for r in together)}."
    )
    alt = "A_data and A_novel against training step, a panel a detector"
    plot = Lines("accuracy", alt, panels, "step", "accuracy", shared=True)
    return Section("Accuracies over training", f"{text}\n\n{markdown(['detector', 'A_data', 'A_novel', 'correlation'], lines)}", (plot,))


def variances(found: Found) -> Section | None:
    """The variance within the batches that G makes."""
    courses = {row.label: [r["variance"] for r in found.of(row.label) if r.get("variance")] for row in found.rows}
    if not any(courses.values()):
        return None
    lines, drawn = [], []
    for colour, (label, of_row) in enumerate((label, of_row) for label, of_row in courses.items() if of_row):
        ends, least = [course[-1][1] for course in of_row], [min(value for _, value in course) for course in of_row]
        lines.append([label, cell(ends), cell(least)])
        course = _mean_course(of_row, 1)
        drawn.append(Line(label, list(course), list(course.values()), colour))
    text = "Variance of each pixel within a batch of made pictures, the mean over pixels; a generator that makes one picture only has 0."
    plot = Lines("variance", "Variance within the made batch against training step", {"": drawn}, "step", "variance")
    return Section("Variance within made batches", f"{text}\n\n{markdown(['detector', 'last', 'least'], lines)}", (plot,))


def losses(found: Found) -> Section | None:
    """Both players' losses in training (technical report, Figure 3.2)."""
    courses = {row.label: [r["losses"] for r in found.of(row.label) if r.get("losses")] for row in found.rows}
    lines = []
    panels: dict[str, list[Line]] = defaultdict(list)
    for label, of_row in courses.items():
        if not of_row:
            continue
        for at, name in enumerate(PLAYERS, 1):
            for course in (_mean_course([one], at) for one in of_row):
                panels[label].append(Line(name, list(course), list(course.values()), at - 1))
        swings = [[pstdev([line[at] for line in course[len(course) // 2 :]]) for course in of_row] for at in (1, 2)]
        lines.append([label, *(cell([course[-1][at] for course in of_row]) for at in (1, 2)), *map(cell, swings)])
    if not lines:
        return None
    text = (
        "Each player's loss on a batch, in nats, a line a seed. **Swing** is the standard deviation over the second half of a run: of a "
        "game that has settled it is that of batches alone. Of noise and of a fitted density the generator's loss is what it would be: "
        "nobody descends it."
    )
    alt = "losses of generator and discriminator against training step, a panel a detector"
    plot = Lines("losses", alt, panels, "step", "loss, nats")
    heads = ["detector", *(f"{name}, last" for name in PLAYERS), *(f"{name}, swing" for name in PLAYERS)]
    return Section("Losses over training", f"{text}\n\n{markdown(heads, lines)}", (plot,))


def _last(at: int) -> Callable[[Record], float | None]:
    """The value at the end of a record's accuracies."""
    return lambda record: float(record["accuracy"][-1][at]) if record.get("accuracy") else None


def _together(record: Record) -> float | None:
    """The correlation of A_data and A_novel over a run's course; None of a course that has no two points, or where either stands still."""
    _, data, novel = zip(*record.get("accuracy") or [(0, 0.0, 0.0)], strict=True)
    try:
        return correlation(data, novel)
    except StatisticsError:
        return None


def _mean_course(courses: Sequence[Course], at: int) -> dict[float, float]:
    """A value by step, the mean over runs, of the steps that all have."""
    by_step: list[Mapping[float, float]] = [{line[0]: line[at] for line in course} for course in courses]
    steps = sorted(set.intersection(*(set(course) for course in by_step))) if by_step else []
    return {step: float(mean([course[step] for course in by_step]) or 0.0) for step in steps}
