"""What a bench of classifiers left, as a page: accuracies beside the printed ones, courses over epochs, sweeps of a setting."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from novelette.bench.cells import Record, markdown, mean, std
from novelette.bench.figures import Line, Lines
from novelette.bench.origins import each
from novelette.bench.page import Made, read_page
from novelette.bench.printed import published
from novelette.bench.sections import Section
from novelette.classify.grid import Grid, is_grid
from novelette.classify.left import PUBLISHED, Left, left, of_records
from novelette.errors import InputError
from novelette.words import seconds_words

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
        commands = " and ".join(f"`novelette bench {benchmarks.name}/{bench}.toml`" for bench in page.benches)
        raise InputError(f"{name}: there are no records of it in {results}: run {commands}")
    if len(page.benches) == 1:
        return Made(name, page.title or some[0].grid.title, page.text, [("", sections(some[0]))], origins(every, benchmarks.name, name))
    parts = [("", [beside(some)])]
    for found in some:
        own = [replace(s, plots=tuple(replace(p, name=f"{found.grid.name}-{p.name}") for p in s.plots)) for s in sections(found)]
        parts.append((found.grid.title, own))
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
    text = (
        f"Part of the {images} images whose label is found, in per cent, after the last step: mean ± standard deviation over seeds (their "
        f"number). {split['train']:,} pictures train. A seed decides which, beside the initial weights: the printed spread is over initial "
        f"weights alone, and smaller. Behind *{found.rows[0].label}*: the mean difference at the same seeds ± its standard error."
    )
    return Section("Accuracy", f"{text}\n\n{_accuracies(found)}")


def _accuracies(found: Left) -> str:
    lines = []
    ahead = found.by_seed(found.rows[0].label, found.looked_at) if found.rows else {}
    for entry in found.rows:
        own, printed = found.by_seed(entry.label, found.looked_at), found.printed(entry)
        gaps = [100 * (ahead[seed] - own[seed]) for seed in own if seed in ahead]
        others = [found.by_seed(entry.label, *names) for names in (("validation",), ("teacher", found.looked_at))]
        apart = f"{100 * (mean(list(own.values())) or 0) - printed[0]:+.2f}" if printed else ""
        line = [entry.label, percent(own.values()), " ± ".join(f"{value:.2f}" for value in printed), apart, _behind(gaps)]
        lines.append([*line, *(percent(other.values()) for other in others)])
    first = found.rows[0].label if found.rows else ""
    heads = ["method", "accuracy, %", f"printed ({published(PUBLISHED)['source']})", "difference", f"behind {first}"]
    kept = [i for i in range(7) if i < 2 or any(line[i] for line in lines)]
    heads += ["on held-out images" if found.grid.tested else "", "its teacher"]
    if not found.grid.tested:
        kept = [i for i in kept if i != 5]
    return markdown([heads[i] for i in kept], [[line[i] for i in kept] for line in lines])


def percent(values: Iterable[float]) -> str:
    """Shares as per cent: mean ± standard deviation (n), the mean alone of one, nothing of none."""
    shares = [100 * value for value in values]
    if len(shares) < 2:
        return f"{shares[0]:.2f}" if shares else ""
    return f"{mean(shares):.2f} ± {std(shares):.2f} ({len(shares)})"


def _behind(gaps: Sequence[float]) -> str:
    """Mean ± standard error; nothing for the row itself, whose gaps are all 0."""
    if not any(gaps):
        return ""
    error = (std(gaps) or 0) / np.sqrt(len(gaps))
    return f"{mean(gaps):.2f}" + (f" ± {error:.2f}" if len(gaps) > 1 else "")


def beside(every: Sequence[Left]) -> Section:
    """Several benches beside each other, as in the paper's Table 1: a row a method, by its label."""
    labels = dict.fromkeys(entry.label for found in every for entry in found.rows)
    lines = {label: [label] for label in labels}
    heads = ["method"]
    for found in every:
        heads += [found.grid.title, "printed", "difference"]
        rows = {entry.label: entry for entry in found.rows}
        for label, line in lines.items():
            own = list(found.by_seed(label, found.looked_at).values())
            printed = found.printed(rows[label]) if label in rows else []
            apart = f"{100 * (mean(own) or 0) - printed[0]:+.2f}" if printed and own else ""
            line += [percent(own), f"{printed[0]:.2f}" if printed else "", apart]
    text = "Accuracy in per cent after the last step: mean ± standard deviation over seeds (their number). "
    text += f"Printed: {published(PUBLISHED)['source']}."
    return Section("All together", f"{text}\n\n{markdown(heads, lines.values())}")


def course(found: Left) -> Section | None:
    """Accuracy on held-out images over the epochs of a method, and when a row is as good as another one is in the end (Figure 3a)."""
    curves = {entry.label: curve for entry in found.rows if (curve := mean_curve(found.of(entry.label)))}
    if not curves:
        return None
    lines = [_line(label, own, i) for i, (label, own) in enumerate(curves.items())]
    rows = []
    for label, own in curves.items():
        last = [list(other.values())[-1][0] for other in curves.values()]
        reached = [next((epoch for epoch, (y, _) in own.items() if y >= end), None) for end in last]
        rows.append([label, f"{last[list(curves).index(label)]:.2f}", *("never" if epoch is None else str(epoch) for epoch in reached)])
    text = (
        f"On {found.good[0]['split']['validation']:,} training images that are held out, not on test images; means over seeds. "
        "Epoch 0 is the end of pretraining, by labels alone. The columns say at which epoch a method is first as good as another one is "
        "at its end."
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
    """Classifier and teacher against a setting (Figures 4 and 6)."""
    name = found.grid.sweep
    if name is None:
        return None
    lines = []
    for i, (who, names) in enumerate({"classifier": (found.looked_at,), "teacher": ("teacher", found.looked_at)}.items()):
        points: Points = {}
        for entry in found.rows:
            own = [100 * value for value in found.by_seed(entry.label, *names).values()]
            value = float(found.of(entry.label)[0]["config"][name])
            if own and value > 0:
                points[value] = (float(np.mean(own)), std(own) or 0.0)
        if points:
            lines.append(_line(who, dict(sorted(points.items())), i))
    at = sorted({x for line in lines for x in line.x})
    images = "test" if found.grid.tested else "held-out"
    alt = f"Accuracy on {images} images against {name}; bands are standard deviations over seeds"
    plot = Lines("sweep", alt, {found.grid.title: lines}, name, "accuracy, %", at=at)
    return Section(f"Against {name}", "The figures are in the table above; 0 has no place on this scale.", (plot,))


def origins(every: Sequence[Left], folder: str, name: str) -> str:
    """The end of a page: where its figures come from, as the records say."""
    blocks = [
        "## Where these figures come from",
        f"`novelette table {name} -o docs/results` made this page from the records in `results/`, and trained nothing.",
    ]
    for found in every:
        blocks.append("\n".join([f"**{found.grid.title}** (`novelette bench {folder}/{found.grid.name}.toml`)", "", *_lines(found)]))
        if found.failures:
            blocks.append("\n".join(["Failed:", "", *(f"- {line}" for line in found.failures)]))
    return "\n\n".join(blocks)


def _lines(found: Left) -> list[str]:
    good = found.good
    if not good:
        return [f"- none of its {found.runs} runs has a record yet; the command makes them"]
    days = sorted({record["created"][:10] for record in good})
    versions = {f"{name} {version}" for record in good for name, version in record["versions"].items()}
    took, when = seconds_words(sum(float(record["fit_seconds"]) for record in good)), dict.fromkeys((days[0], days[-1]))
    return [
        f"- runs: {len(good)} of {found.runs}; seeds {each(good, 'seed')}",
        f"- data: {each(good, 'data')}, {found.grid.size} px; images that train, are held out, and test: "
        + ", ".join(f"{n:,}" for n in good[0]["split"].values()),
        f"- on: {each(good, 'device')}; threads a run: {each(good, 'threads')}",
        f"- training: {took} in all, on {' to '.join(when)}",
        f"- commits: {each(good, 'commit')}; versions: {', '.join(sorted(versions))}",
    ]
