"""What else is measured of a run (novelette.bench.measures): over-fitting, several passes, noise."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from novelette.bench.cells import Record, cell, difference, figures_of, markdown, mean, number, over_classes
from novelette.bench.figures import Line, Lines
from novelette.bench.found import Found
from novelette.bench.sections import Section, tested_share
from novelette.bench.table import MANY


def seen(found: Found) -> Section | None:
    """Scores of training images beside those of new ones: the over-fitting argument (progressive distillation paper, III-A)."""
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
        f"network; on {tested_share(found)}; means over {len(found.classes)} classes."
    )
    alt = "AUROC against the standard deviation of the noise, by the latent and by the image score"
    kinds = ("latent score", "image score") if few else None
    plot = Lines("noise", alt, panels, "standard deviation of the noise", "AUROC", kinds, shared=True)
    return Section("Noise", f"{text}\n\n{markdown(['detector', 'score', *(f'σ = {sigma}' for sigma in sigmas)], lines, left=2)}", (plot,))
