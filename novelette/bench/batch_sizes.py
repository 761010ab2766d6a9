"""The batch-size study of the progressive distillation paper (Figures 1 and 5, section IV-C): LAST and BEST over batch sizes, and gains."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from novelette.bench.cells import Figures, Record, auroc, cell, figures_of, markdown, mean, over_classes
from novelette.bench.course import best
from novelette.bench.figures import Line, Lines
from novelette.bench.found import Found
from novelette.bench.sections import Section, tested, tested_share

PIPELINES = {"ede": "EDE-GAN", "ed-hat": "EDÊ-GAN", "ed": "ED-GAN"}
NORMS = {
    ("batch", "batch"): "BatchNorm, batch statistics",
    ("batch", "running"): "BatchNorm, running averages",
    ("image", "batch"): "per-image normalization",
}
GAINS = (  # section IV-C: in words, as published, of which pipeline, over the best of which others
    ("EDE-GAN over the better of the two others", "ede_over_runner_up", "ede", ("ed", "ed-hat")),
    ("EDÊ-GAN over ED-GAN", "ed_hat_over_ed", "ed-hat", ("ed",)),
)
LENGTHS = {"batch_size", "steps", "epochs"}  # settings that go with the batch size


@dataclass(frozen=True)
class Point:
    """A pipeline under one normalization at one batch size.

    Attributes: others: its other settings, JSON.   last, best: AUROC by class and seed.
    """

    pipeline: str
    norm: tuple[str, str]
    size: int
    others: str
    last: Figures
    best: Figures


@dataclass(frozen=True)
class Series:
    """Points over batch sizes.   Attributes: more: the settings in which it differs from another series of its pipeline and norm."""

    pipeline: str
    norm: tuple[str, str]
    more: str
    points: Mapping[int, Point]

    @property
    def name(self) -> str:
        return PIPELINES[self.pipeline] + self.more

    def means(self, of: str, classes: Sequence[str]) -> dict[int, float]:
        """LAST or BEST by batch size, the mean over classes and seeds, of those that have every class.   Args: of: `last` or `best`."""
        values = {size: mean(over_classes(getattr(point, of), classes)) for size, point in sorted(self.points.items())}
        return {size: value for size, value in values.items() if value is not None}


def batch_sizes(found: Found) -> Section | None:
    """LAST and BEST over batch sizes, where rows of a bench that are otherwise alike differ in theirs."""
    series = [one for one in series_of(points_of(found)) if len(one.points) > 1]
    if not series:
        return None
    sizes = sorted({size for one in series for size in one.points})
    lines = []
    for one in series:
        for kind, of in (("LAST", "last"), ("BEST (peeks)", "best")):
            own = {size: over_classes(getattr(point, of), found.classes) for size, point in one.points.items()}
            cells = [cell(own.get(size, [])) for size in sizes]
            lines += [[one.name, NORMS[one.norm], kind, *cells]] if any(cells) else []
    text = f"Means over {len(found.classes)} classes, by batch size. **LAST** is the AUROC on the {tested(found)} after the last step."
    if any(point.best for one in series for point in one.points.values()):
        text += (
            f" **BEST** is the highest point of the course, as in the paper's figure, on {tested_share(found)}: it peeks at them, and is "
            "shown beside LAST alone."
        )
    heads = ["detector", "normalization", "epoch", *(f"batch {size}" for size in sizes)]
    blocks = [text, markdown(heads, lines, left=3), *_gains(found, series)]
    return Section("Batch sizes", "\n\n".join(blocks), (_plot(found, series, sizes),))


def points_of(found: Found) -> list[Point]:
    """The bench's ede-gan rows; those with BatchNorm a second time, by their running averages, where that was measured."""
    points = []
    for row in found.rows:
        records = found.of(row.label)
        if records[0]["method"] == "ede-gan":
            config = records[0]["config"]
            points.append(_point(records, (config["norm"], config["statistics"])))
            averaged = [record | {"curve": None} | record["running"] for record in records if record.get("running")]
            points += [_point(averaged, ("batch", "running"))] if averaged else []
    return points


def _point(records: Sequence[Record], norm: tuple[str, str]) -> Point:
    config = records[0]["config"]
    apart = LENGTHS | {"pipeline", "norm", "statistics"} | (set() if config["pipeline"] == "ede" else {"distance"})
    others = json.dumps({name: value for name, value in config.items() if name not in apart}, sort_keys=True)
    return Point(config["pipeline"], norm, config["batch_size"], others, figures_of(records, auroc), figures_of(records, best))


def series_of(points: Sequence[Point]) -> list[Series]:
    """A series a pipeline and normalization; where two points of one have the same batch size, a series for each of their settings."""
    groups: dict[tuple[str, tuple[str, str]], list[Point]] = defaultdict(list)
    for point in points:
        groups[point.pipeline, point.norm].append(point)
    series = []
    for (pipeline, norm), own in groups.items():
        if len({point.size for point in own}) == len(own):
            series.append(Series(pipeline, norm, "", {point.size: point for point in own}))
            continue
        by_others: dict[str, dict[int, Point]] = defaultdict(dict)
        for point in own:
            by_others[point.others][point.size] = point
        whole = {others: by_size for others, by_size in by_others.items() if len(by_size) > 1}
        series += [Series(pipeline, norm, _more(others, list(whole)), by_size) for others, by_size in whole.items()]
    return series


def _more(others: str, among: Sequence[str]) -> str:
    """The settings that are not the same among several, as `, widths [4], average 0.999`."""
    every = [json.loads(each) for each in among]
    return "".join(f", {name} {value}" for name, value in json.loads(others).items() if any(each.get(name) != value for each in every))


def _plot(found: Found, series: Sequence[Series], sizes: Sequence[int]) -> Lines:
    """A panel a normalization, a colour a pipeline."""
    names = list(dict.fromkeys(one.name for one in series))
    panels: dict[str, list[Line]] = defaultdict(list)
    for norm, title in NORMS.items():
        for one in series:
            for of in ("last", "best"):
                means = one.means(of, found.classes) if one.norm == norm else {}
                if means:
                    panels[title].append(Line(one.name, list(means), list(means.values()), names.index(one.name), dashed=of == "best"))
    both = any(line.dashed for lines in panels.values() for line in lines)
    alt = "AUROC against batch size, means over classes: after the last step" + (", and at the highest point, which peeks" if both else "")
    kinds = ("LAST", "BEST (peeks)") if both else None
    return Lines("batch-sizes", alt, panels, "batch size", "AUROC", kinds, at=sizes, shared=True)


def _gains(found: Found, series: Sequence[Series]) -> list[str]:
    """Section IV-C's comparisons at LAST, in points, for each normalization with a series of each pipeline."""
    printed = found.printed.gains.get(found.bench.data, {})
    lines = []
    for norm, title in NORMS.items():
        own = [one for one in series if one.norm == norm]
        of = {one.pipeline: one.means("last", found.classes) for one in own}
        for words, name, ours, theirs in GAINS:
            if len(own) == len(of) and {ours, *theirs} <= set(of):  # one series a pipeline: no doubt which is meant
                shown = f"{printed[name]:.2f}" if name in printed else ""
                lines.append([words, title, *_gain(of[ours], [of[other] for other in theirs]), shown])
    if not lines:
        return []
    heads = ["gain at LAST, points", "normalization", "at the smallest batch", "each at its best batch"]
    note = "A point is a hundredth of AUROC."
    if printed:
        heads.append(f"printed, % ({printed['source']})")
        note += " The paper does not say whether its per cent are points, nor at which batch size EDE-GAN's gain was taken."
    return [markdown(heads, [line[: len(heads)] for line in lines], left=2), note]


def _gain(ours: Mapping[int, float], theirs: Sequence[Mapping[int, float]]) -> list[str]:
    """Ours less the best of theirs, in points: at the smallest batch size that all have, and with each at its own best."""
    shared = set(ours).intersection(*theirs)
    if not shared:
        return ["", ""]
    size = min(shared)
    at_best = max(ours.values()) - max(max(means.values()) for means in theirs)
    return [f"{100 * (ours[size] - max(means[size] for means in theirs)):+.2f} (batch {size})", f"{100 * at_best:+.2f}"]
