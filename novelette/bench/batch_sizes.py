"""The batch-size study of paper 001 (Figures 1 and 5): LAST and BEST over batch sizes, and the gains of section IV-C."""

from collections.abc import Sequence
from dataclasses import dataclass

from novelette.bench.cells import Figures, Record, cell, figures_of, markdown, mean, over_classes
from novelette.bench.figures import Line, Lines
from novelette.bench.found import Found
from novelette.bench.sections import Section, auroc, best

PIPELINES = {"ede": "EDE-GAN", "ed-hat": "EDÊ-GAN", "ed": "ED-GAN"}
NORMS = {
    ("image", "batch"): "per-image normalization",
    ("batch", "batch"): "BatchNorm, batch statistics",
    ("batch", "running"): "BatchNorm, running averages",
}
OTHERS = ("widths", "distance", "learning_rate", "schedule", "norm_first")  # settings that tell lines apart, too


@dataclass(frozen=True)
class Series:
    """A pipeline under one normalization.

    Attributes: others: the settings of OTHERS.   last, best: AUROC by batch size, class and seed.
    """

    pipeline: str
    norm: tuple[str, str]
    others: tuple[str, ...]
    last: dict[int, Figures]
    best: dict[int, Figures]

    def at(self, size: int, classes: Sequence[str]) -> float | None:
        """LAST at a batch size, the mean over classes and seeds."""
        return mean(over_classes(self.last.get(size, {}), classes))


def batch_sizes(found: Found) -> Section | None:
    """LAST and BEST over batch sizes, where the rows of a bench differ in theirs."""
    series = series_of(found)
    sizes = sorted({size for one in series for size in one.last})
    if len(sizes) < 2:
        return None
    lines = []
    for one in series:
        for kind, by_size in (("LAST", one.last), ("BEST (peeks)", one.best)):
            cells = [cell(over_classes(by_size.get(size, {}), found.classes)) for size in sizes]
            lines += [[name_of(one, series), kind, *cells]] if any(cells) else []
    text = (
        f"Mean over {len(found.classes)} classes, by batch size. **LAST** is the AUROC after the last step. **BEST** is the highest point "
        "of the course, as in the paper's figure: it peeks at the test set, and is shown beside LAST alone"
        + (f"; it is on every {found.bench.curve_every}th test image." if found.bench.curve_every > 1 else ".")
    )
    gains = _gains(found, series)
    plot = Lines(
        "batch-sizes",
        "AUROC against batch size, means over classes; solid after the last step, dashed at the highest point of training, which peeks",
        {"": [line for number, one in enumerate(series) for line in _lines(one, number, name_of(one, series), sizes, found.classes)]},
        "batch size",
        "AUROC",
        ("LAST", "BEST (peeks at the test set)"),
        at=sizes,
    )
    heads = ["detector", "epoch", *(f"batch {size}" for size in sizes)]
    return Section("Batch sizes", "\n\n".join([text, markdown(heads, lines), *gains]), (plot,))


def series_of(found: Found) -> list[Series]:
    """The bench's ede-gan rows by pipeline and normalization; a network with BatchNorm by its running averages, too."""
    by_key: dict[tuple[str, tuple[str, str], tuple[str, ...]], Series] = {}

    def add(record: Record, norm: tuple[str, str], figures: tuple[Figures, Figures]) -> None:
        config = record["config"]
        of_latents = config["pipeline"] == "ede"
        others = tuple("" if name == "distance" and not of_latents else _shown(config[name]) for name in OTHERS)
        one = by_key.setdefault((config["pipeline"], norm, others), Series(config["pipeline"], norm, others, {}, {}))
        for by_size, own in zip((one.last, one.best), figures, strict=True):
            if own:
                by_size[config["batch_size"]] = own

    for row in found.rows:
        records = found.of(row.label)
        if records[0]["method"] != "ede-gan":
            continue
        config = records[0]["config"]
        add(records[0], (config["norm"], config["statistics"]), (figures_of(records, auroc), figures_of(records, best)))
        by_averages = [
            record | record["running"] | {"curve": record["running"].get("curve")} for record in records if record.get("running")
        ]
        if by_averages:
            add(records[0], ("batch", "running"), (figures_of(by_averages, auroc), figures_of(by_averages, best)))
    return list(by_key.values())


def _shown(value: object) -> str:
    return "-".join(map(str, value)) if isinstance(value, list) else str(value)


def name_of(one: Series, among: Sequence[Series]) -> str:
    """Its pipeline, its normalization, and of the other settings those in which it differs from another series of its pipeline."""
    alike = [other for other in among if other.pipeline == one.pipeline]
    differs = [value for i, value in enumerate(one.others) if len({other.others[i] for other in alike}) > 1]
    return ", ".join([PIPELINES[one.pipeline], NORMS[one.norm], *differs])


def _lines(one: Series, colour: int, name: str, sizes: Sequence[int], classes: Sequence[str]) -> list[Line]:
    lines = []
    for dashed, by_size in ((False, one.last), (True, one.best)):
        points = [(size, value) for size in sizes if (value := mean(over_classes(by_size.get(size, {}), classes))) is not None]
        if points:
            x, y = zip(*points, strict=True)
            lines.append(Line(name, x, y, colour, dashed))
    return lines


def _gains(found: Found, series: Sequence[Series]) -> list[str]:
    """Section IV-C's comparisons at LAST, in points of AUROC (hundredths), for each normalization that has the pipelines."""
    printed = found.printed.gains.get(found.bench.data, {})
    lines = []
    for norm in dict.fromkeys(one.norm for one in series):
        of = {one.pipeline: one for one in series if one.norm == norm}
        if len([one for one in series if one.norm == norm]) > len(of) or len(of) < 2:
            continue  # no one line a pipeline: which is meant?
        for words, name, ours, theirs in (
            ("EDE-GAN over the better of the two others", "ede_over_runner_up", "ede", ("ed", "ed-hat")),
            ("EDÊ-GAN over ED-GAN", "ed_hat_over_ed", "ed-hat", ("ed",)),
        ):
            if {ours, *theirs} <= set(of):
                per_size, at_best = _gain(of[ours], [of[other] for other in theirs], found.classes)
                lines.append([words, NORMS[norm], per_size, at_best, f"{printed[name]:.2f}" if name in printed else ""])
    if not lines:
        return []
    source = f" ({printed['source']})" if printed else ""
    heads = [
        "gain at LAST, in points (hundredths of AUROC)",
        "normalization",
        "at the smallest batch",
        "each at its best batch",
        f"printed, %{source}",
    ]
    note = "The paper does not say whether its per cent are points of AUROC, nor at which batch size EDE-GAN's gain was taken."
    return [markdown(heads, lines), note] if printed else [markdown(heads, lines)]


def _gain(one: Series, others: Sequence[Series], classes: Sequence[str]) -> tuple[str, str]:
    """In points, at the smallest batch size that all have, and with each at its own best: the second leans towards whoever has more."""
    tops = [max((value for size in each.last if (value := each.at(size, classes)) is not None), default=None) for each in (one, *others)]
    shared = sorted(set.intersection(*({size for size in each.last if each.at(size, classes) is not None} for each in (one, *others))))
    at = [each.at(shared[0], classes) for each in (one, *others)] if shared else []
    return (f"{_points(at)} (batch {shared[0]})" if shared else "", _points(tops))


def _points(values: Sequence[float | None]) -> str:
    ours, *theirs = (value for value in values)
    known = [value for value in theirs if value is not None]
    return f"{100 * (ours - max(known)):+.2f}" if ours is not None and len(known) == len(theirs) else ""
