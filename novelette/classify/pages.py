"""What a bench of classifiers left, as a page: accuracies beside the printed ones, courses over epochs, sweeps of a setting."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from novelette.bench.cells import Record, markdown, mean, std
from novelette.bench.figures import Line, Lines
from novelette.bench.origins import Origin, each, ending, made, nothing
from novelette.bench.page import Made, no_records, read_page, told_apart
from novelette.bench.printed import published
from novelette.bench.sections import Section
from novelette.classify.grid import PUBLISHED, Entry, Grid, is_grid, printed
from novelette.classify.left import Left, left, of_records

DECADE = 10  # values of a setting that span more than this stand on a logarithmic axis
Points = dict[float, tuple[float, float]]  # mean and standard deviation, by x


def of_classifiers(name: str, benchmarks: Path) -> bool:
    """Whether a bench, or the first of a page's, is of classifiers."""
    page = read_page(name, benchmarks)
    return is_grid(benchmarks / f"{page.benches[0]}.toml")


def make(name: str, benchmarks: Path, results: Path) -> Made:
    """The page of a bench, or of several, from the records in `results`.   Raises: InputError as `bench.page.make` does."""
    page = read_page(name, benchmarks)
    every = [left(benchmarks / f"{bench}.toml", results) for bench in page.benches]
    some = [found for found in every if found.good]
    if not some:
        raise no_records(page, benchmarks, results, sum(found.others for found in every))
    if len(page.benches) == 1:
        return Made(name, page.title or some[0].grid.title, page.text, [("", sections(some[0]))], origins(every, benchmarks.name, name))
    parts = [("", beside(some))]
    for found in some:
        parts.append((found.grid.title, told_apart(sections(found), found.grid.name)))
    return Made(name, page.title, page.text, parts, origins(every, benchmarks.name, name))


def sections(found: Left) -> list[Section]:
    """What there is to show of one bench."""
    return [section for section in (accuracies(found), course(found), sweep(found)) if section is not None]


def table(grid: Grid, records: list[Record]) -> str:
    """The records of a bench in Markdown, and what failed."""
    found = of_records(grid, records)
    return _accuracies(found) + "\n" + "".join(f"\nfailed: {line}\n" for line in found.failures)


def accuracies(found: Left) -> Section:
    """A row a method, beside what is printed of it and beside the first row."""
    split = found.good[0]["split"]
    images = "test" if found.grid.tested else "held-out training"
    weights = " The printed spread is over initial weights alone." if any(printed(found.grid, entry) for entry in found.rows) else ""
    text = (
        f"Accuracy on the {images} images after the last step, in per cent: mean ± standard deviation over seeds (their number). "
        f"{split['train']:,} pictures train. The seed decides the initial weights and which pictures train.{weights} *Behind "
        f"{found.rows[0].label}* is the mean difference at the same seeds ± its standard error."
    )
    return Section("Accuracy", f"{text}\n\n{_accuracies(found)}")


def _accuracies(found: Left) -> str:
    rows, looked_at = found.rows, found.looked_at
    first = rows[0].label if rows else ""
    own, theirs = [found.by_seed(entry.label, looked_at) for entry in rows], [printed(found.grid, entry) for entry in rows]
    teachers = [found.by_seed(entry.label, "teacher", looked_at) for entry in rows]
    columns = [
        ("method", [entry.label for entry in rows]),
        ("accuracy, %", [percent(values.values()) for values in own]),
        (f"printed ({published(PUBLISHED)['source']})", [" ± ".join(f"{value:.2f}" for value in figures) for figures in theirs]),
        ("difference", [_apart(values, figures) for values, figures in zip(own, theirs, strict=True)]),
        (f"behind {first}", [_behind(own[0], values) for values in own]),
    ]
    if found.grid.tested:
        columns.append(("on held-out images", [percent(found.by_seed(entry.label, "validation").values()) for entry in rows]))
    columns.append(("its teacher", [percent(values.values()) for values in teachers]))
    if found.grid.sweep:
        columns.append((f"its teacher behind that of {first}", [_behind(teachers[0], values) for values in teachers]))
    return _filled(columns)


def _filled(columns: Sequence[tuple[str, list[str]]]) -> str:
    """A table of headings with their cells; columns from the third on that are empty are left out."""
    kept = [column for i, column in enumerate(columns) if i < 2 or any(column[1])]
    return markdown([heading for heading, _ in kept], list(zip(*(cells for _, cells in kept), strict=True)))


def percent(values: Iterable[float]) -> str:
    """Shares as per cent: mean ± standard deviation (n), the mean alone of one, nothing of none."""
    shares = [100 * value for value in values]
    if len(shares) < 2:
        return f"{shares[0]:.2f}" if shares else ""
    return f"{mean(shares):.2f} ± {std(shares):.2f} ({len(shares)})"


def _apart(own: Mapping[int, float], printed: Sequence[float]) -> str:
    """Our mean less the printed one, in points; nothing where there is no printed one."""
    return f"{100 * float(np.mean(list(own.values()))) - printed[0]:+.2f}" if printed and own else ""


def _behind(ahead: Mapping[int, float], own: Mapping[int, float]) -> str:
    """The mean difference at the same seeds ± its standard error, in points; nothing for the row itself."""
    gaps = [100 * (ahead[seed] - own[seed]) for seed in own if seed in ahead]
    if own is ahead or not gaps:
        return ""
    error = (std(gaps) or 0) / np.sqrt(len(gaps))
    return f"{mean(gaps):.2f}" + (f" ± {error:.2f}" if len(gaps) > 1 else "")


def beside(every: Sequence[Left]) -> list[Section]:
    """Those benches beside each other that have a row in common, as in the paper's Table 1: a row a method, by its label."""
    count = Counter(entry.label for found in every for entry in found.rows)
    alike = [found for found in every if any(count[entry.label] > 1 for entry in found.rows)]
    if not alike:
        return []
    labels = list(dict.fromkeys(entry.label for found in alike for entry in found.rows))
    columns: list[tuple[str, list[str]]] = [("method", labels)]
    for found in alike:
        of = {entry.label: entry for entry in found.rows}
        own = [found.by_seed(label, found.looked_at) for label in labels]
        theirs = [printed(found.grid, of[label]) if label in of else [] for label in labels]
        columns += [
            (found.grid.title, [percent(values.values()) for values in own]),
            ("printed", [f"{figures[0]:.2f}" if figures else "" for figures in theirs]),
            ("difference", [_apart(values, figures) for values, figures in zip(own, theirs, strict=True)]),
        ]
    text = "Accuracy in per cent after the last step: mean ± standard deviation over seeds (their number). "
    text += f"Printed: {published(PUBLISHED)['source']}."
    return [Section("All together", f"{text}\n\n{_filled(columns)}")]


def course(found: Left) -> Section | None:
    """Accuracy on held-out images over the epochs of a method, and when a row is as good as another one is in the end (Figure 3a)."""
    curves = {entry.label: curve for entry in found.rows if (curve := mean_curve(found.of(entry.label)))}
    if not curves:
        return None
    lines = [_line(label, own, i) for i, (label, own) in enumerate(curves.items())]
    rows = []
    last = {label: list(own.values())[-1][0] for label, own in curves.items()}
    for label, end_of_own in last.items():
        rows.append([label, f"{end_of_own:.2f}", *(_reached(found.of(label), end) for end in last.values())])
    text = (
        f"Accuracy on {found.good[0]['split']['validation']:,} held-out training images, not on test images; means over seeds. Epoch 0 is "
        "the end of pretraining, by labels alone. *As good as X* is the first epoch at which a run reaches the mean accuracy that X ends "
        "with: mean ± standard deviation over the runs that ever do (how many of how many)."
    )
    heads = ["method", "in the end, %", *(f"as good as {label}" for label in curves)]
    plot = Lines(
        "course",
        "Accuracy on held-out images over epochs, bands of a standard deviation over seeds",
        {found.grid.title: lines},
        "epoch of the method",
        "accuracy, %",
    )
    return Section("Course of training", f"{text}\n\n{markdown(heads, rows)}", (plot,))


def _reached(records: Sequence[Record], end: float) -> str:
    """The epoch at which a run is first as good as `end`, in per cent, over the runs that ever are."""
    curves = [record["curve"] for record in records if record["curve"]]
    epochs = [next((int(epoch) for epoch, value in curve if 100 * value >= end), None) for curve in curves]
    some = [float(epoch) for epoch in epochs if epoch is not None]
    if not some:
        return "never"
    spread = f" ± {std(some):.1f}" if len(some) > 1 else ""
    return f"{mean(some):.1f}{spread} ({len(some)} of {len(epochs)})"


def _line(label: str, points: Mapping[float, tuple[float, float]], colour: int) -> Line:
    """Means with their standard deviations as a line with a band."""
    return Line(label, list(points), [y for y, _ in points.values()], colour, spread=[s for _, s in points.values()])


def mean_curve(records: Sequence[Record]) -> Points:
    """Mean and standard deviation over seeds, in per cent, by epoch, of the epochs that all have."""
    curves = [{int(epoch): 100 * float(value) for epoch, value in record["curve"]} for record in records if record["curve"]]
    epochs = sorted(set.intersection(*(set(curve) for curve in curves))) if curves else []
    values = {epoch: [curve[epoch] for curve in curves] for epoch in epochs}
    return {epoch: (float(np.mean(own)), std(own) or 0.0) for epoch, own in values.items()}


def sweep(found: Left) -> Section | None:
    """Classifier and teacher against a setting (Figures 4 and 6); what they are at 0 lies across."""
    name = found.grid.sweep
    if name is None:
        return None
    lines, at = [], sorted({value for entry in found.rows if (value := _value(found, entry, name)) > 0})
    if not at:
        return None  # nothing but the row at 0 yet, which lies across the others
    for i, (who, names) in enumerate({"classifier": (found.looked_at,), "teacher": ("teacher", found.looked_at)}.items()):
        points: Points = {}
        for entry in found.rows:
            own = [100 * value for value in found.by_seed(entry.label, *names).values()]
            if own:
                points[_value(found, entry, name)] = (float(np.mean(own)), std(own) or 0.0)
        if zero := points.pop(0.0, None):
            lines.append(Line(who, [at[0], at[-1]], [zero[0], zero[0]], i, dashed=True))
        if points:
            lines.append(_line(who, dict(sorted(points.items())), i))
    images = "test" if found.grid.tested else "held-out"
    alt = f"Accuracy on {images} images against {name}; bands are standard deviations over seeds"
    kinds = (f"{name} above 0", f"{name} = 0") if any(line.dashed for line in lines) else None
    plot = Lines("sweep", alt, {found.grid.title: lines}, name, "accuracy, %", kinds=kinds, at=at if at[-1] > DECADE * at[0] else ())
    return Section(f"Against {name}", "The figures are in the table above.", (plot,))


def _value(found: Left, entry: Entry, name: str) -> float:
    """Of a row's setting."""
    return float(found.of(entry.label)[0]["config"][name])


def origins(every: Sequence[Left], folder: str, name: str) -> str:
    """The end of a page: where its figures come from, as the records say."""
    return ending(name, folder, [Origin(f.grid.title, f.grid.name, _lines(f), f.failures) for f in every])


def _lines(found: Left) -> list[str]:
    good = found.good
    if not good:
        return nothing(found.runs)
    split = good[0]["split"]
    shown = {"train": "train", "validation": "are held out"} | ({"test": "test"} if found.grid.tested else {})
    return [
        f"- runs: {len(good)} of {found.runs}; seeds {each(good, 'seed')}",
        f"- data: {each(good, 'data')}, {found.grid.size} px; images: " + ", ".join(f"{split[name]:,} {do}" for name, do in shown.items()),
        f"- on: {each(good, 'device')}; threads a run: {each(good, 'threads')}",
        *made(good),
    ]
