"""The report of an evaluation: one HTML page that stands alone, with pictures and plots inside and no scripts."""

from collections.abc import Mapping
from datetime import date
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from novelette.charts import histogram_chart, roc_chart
from novelette.data.images import Preprocessing
from novelette.data.sources import Source, printable
from novelette.evaluate import Evaluation
from novelette.files import write_file
from novelette.gallery import galleries
from novelette.heatmap import COLOURS
from novelette.metrics import share_interval
from novelette.outputs import PAGE
from novelette.verdict import KINDS, kind_rows, percent, verdict
from novelette.words import counted, flat, shown

LISTED = 20  # unreadable pictures named
LONGEST = 300  # characters of a value in the provenance

Row = tuple[str, str, str, str]  # figure, value, 95 % interval, what to compare it with


class Reported(Protocol):
    """The part of a Detector that a report shows."""

    @property
    def method(self) -> str: ...
    @property
    def config(self) -> BaseModel: ...
    @property
    def preprocessing(self) -> Preprocessing: ...
    @property
    def threshold(self) -> float | None: ...
    @property
    def false_alarm_rate(self) -> float: ...
    @property
    def calibration(self) -> NDArray[np.float64]: ...
    @property
    def provenance(self) -> dict[str, Any]: ...
    @property
    def seed(self) -> int: ...
    def heatmap(self, picture: NDArray[np.uint8]) -> NDArray[np.float32] | None: ...


def write_report(folder: Path, detector: Reported, evaluation: Evaluation, source: Source, *, title: str) -> Path:
    """Write folder/index.html: findings, plots, the most and least novel pictures, the mistakes, all figures, the settings.

    Args: source: the evaluated one; the few pictures shown are read from it again.
    Returns: the path of the page, written in one step: an interrupted report leaves an older one as it was.
    Raises: InputError if it cannot be written.
    """
    return write_page(folder, render(detector, evaluation, source, title=title))


def write_page(folder: Path, page: str) -> Path:
    """Write a page as folder/index.html.   Raises: InputError if it cannot be written."""
    return write_file(Path(folder) / PAGE, printable(page))


def render(detector: Reported, evaluation: Evaluation, source: Source, *, title: str) -> str:
    """The page as text."""
    findings = verdict(detector, evaluation)
    template = Template(files("novelette").joinpath("report.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(title),
        lead=words(findings[0].text) if findings else "Nothing could be compared.",
        findings="".join(f'<li class="{f.tone}">{words(f.text)}</li>' for f in findings[1:]),
        tiles=_tiles(detector, evaluation),
        charts=_charts(evaluation),
        galleries=galleries(detector, evaluation, source),
        figures=_figures(detector, evaluation),
        kinds=_kinds(evaluation),
        unreadable=unreadable_list(evaluation.unreadable),
        settings=_settings(detector),
        style=style(),
        footer=footer(),
    )


def style() -> str:
    """The CSS of a page."""
    template = Template(files("novelette").joinpath("report.css").read_text(encoding="utf-8"))
    return template.substitute(colours=", ".join(f"rgb({r:.0f} {g:.0f} {b:.0f})" for r, g, b in COLOURS))


def footer(note: str = "A score is higher the more novel a picture is.") -> str:
    return f"Made by novelette on {date.today():%d %B %Y}. {note}"


def words(text: str) -> str:
    """A sentence as HTML; `commands` in backquotes become code."""
    parts = escape(text).replace(" %", "&nbsp;%").split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))


def _tiles(detector: Reported, e: Evaluation) -> str:
    """The three or four figures that matter, large."""
    tiles = []
    if e.auroc is not None:
        tiles.append((f"{e.auroc:.3f}", f"AUROC, {e.auroc_low:.3f} to {e.auroc_high:.3f}"))
    if e.beside:
        best = max(e.beside, key=lambda knn: knn.auroc)
        tiles.append((f"{best.auroc:.3f}", f"AUROC of the better kNN, {best.name}"))
    if e.false_alarm_rate is not None:
        stated = f"{100 * detector.false_alarm_rate:g} %"
        tiles.append((percent(e.false_alarm_rate, e.n_normal), f"false alarms; {stated} stated"))
    if e.miss_rate is not None:
        tiles.append((percent(e.miss_rate, e.n_novel), "of the novel pictures missed"))
    return "".join(f'<div class="card tile"><b>{value}</b><span>{text}</span></div>' for value, text in tiles)


def _charts(e: Evaluation) -> str:
    """Histograms, and the ROC curve where there are both kinds."""
    key = '<span class="key"><i class="normal"></i>normal<i class="novel"></i>novel</span>'
    histogram = histogram_chart(e.scores, e.labels, e.threshold)
    out = f'<figure class="card chart"><figcaption>Scores {key}</figcaption>{histogram}</figure>'
    if e.auroc is None:
        return out
    known = e.false_alarm_rate is not None and e.miss_rate is not None
    point = (float(e.false_alarm_rate or 0), 1 - float(e.miss_rate or 0)) if known else None
    return out + f'<figure class="card chart"><figcaption>ROC curve</figcaption>{roc_chart(e.scores, e.labels, point)}</figure>'


def _figures(detector: Reported, e: Evaluation) -> str:
    """The table's rows; what could not be computed is left out, and the findings say why."""
    n = e.n_normal + e.n_novel
    rows: list[Row] = []
    if e.auroc is not None:
        rows.append(("AUROC", f"{e.auroc:.4f}", f"{e.auroc_low:.4f} to {e.auroc_high:.4f}", "chance: 0.5"))
    for knn in e.beside:
        ahead = f"same pictures, 5 neighbours; the detector's minus this: {knn.difference:+.4f}"
        ahead += "" if knn.error is None else f" ± {knn.sampling:.4f} (95 %)"
        rows.append((f"AUROC of k-nearest-neighbours, {knn.name}", f"{knn.auroc:.4f}", "", ahead))
    if e.aupr is not None:
        rows.append(("AUPR, novel as positive", f"{e.aupr:.4f}", "", f"chance: {e.n_novel / n:.4f}"))
    if e.fpr95 is not None:
        rows.append(("False-positive rate at 95 % true positives", percent(e.fpr95), "", "chance: 95 %; lower is better"))
    if e.threshold is not None:
        rows.append(("Threshold", f"{e.threshold:.6g}", "", f"from {counted(len(detector.calibration), 'calibration score')}"))
    if e.false_alarm_rate is not None:
        stated = f"stated: {100 * detector.false_alarm_rate:g} %"
        rows.append(_share_row("False-alarm rate at the threshold", e.false_alarm_rate, e.n_normal, stated))
    if e.miss_rate is not None:
        rows.append(_share_row("Miss rate at the threshold", e.miss_rate, e.n_novel, "lower is better"))
    if e.precision is not None:
        flagged = int((e.scores.astype(np.float64) > (e.threshold or 0)).sum())
        rows.append(_share_row("Precision at the threshold", e.precision, flagged, f"chance: {percent(e.n_novel / n)}"))
    if e.pixel_auroc is not None:
        plain = "" if e.mean_picture_auroc is None else f"|x - mean training picture|: {e.mean_picture_auroc:.4f}"
        rows.append((f"Pixel AUROC of the heat maps, {e.n_masks:,} masks", f"{e.pixel_auroc:.4f}", "", plain))
    rows.append(("Pictures", f"{n:,}", "", f"{e.n_normal:,} normal, {e.n_novel:,} novel, {len(e.unreadable):,} unreadable"))
    rows.append(("Time, decoding included", f"{e.seconds:.2f} s", "", f"{n / max(e.seconds, 1e-9):,.0f} pictures a second"))
    return "".join(
        f'<tr><th scope="row">{name}</th><td class="number">{value}</td><td class="number">{interval}</td>'
        f'<td class="soft">{beside}</td></tr>'
        for name, value, interval, beside in rows
    )


def _kinds(e: Evaluation) -> str:
    """The novel pictures by kind; nothing where there is only one."""
    if not e.kinds:
        return ""
    heads = "".join(f"<th>{head}</th>" for head in ("kind", *KINDS[1:]))
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>' + "".join(f'<td class="number">{words(cell)}</td>' for cell in cells) + "</tr>"
        for name, *cells in kind_rows(e)
    )
    table = f'<div class="card scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    return f"<h2>By kind</h2><p>Novel pictures of each kind, the hardest first; AUROC is against all normal ones.</p>{table}"


def _share_row(name: str, share: float, n: int, beside: str) -> Row:
    low, high = share_interval(round(share * n), n)
    return name, percent(share), f"{percent(low)} to {percent(high)}", beside


def unreadable_list(unreadable: Mapping[str, str]) -> str:
    """Which pictures were left out, and why; nothing where there are none."""
    if not unreadable:
        return ""
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(why)}</td></tr>" for name, why in list(unreadable.items())[:LISTED])
    more = f"<p>And {len(unreadable) - LISTED:,} more.</p>" if len(unreadable) > LISTED else ""
    return f'<h2>Unreadable pictures</h2><p>Left out of every figure.</p><div class="card scroll"><table>{rows}</table></div>{more}'


def _settings(detector: Reported) -> str:
    """Tables of the config, the preprocessing and the provenance."""
    n = len(detector.calibration)
    general = {
        "method": detector.method,
        "seed": str(detector.seed),
        "stated false-alarm rate": f"{100 * detector.false_alarm_rate:g} %",
        "calibration": f"{counted(n, 'held-out normal picture')}",
    }
    tables = {
        "Detector": general,
        "Pictures": detector.preprocessing.model_dump(mode="json"),
        "Configuration": detector.config.model_dump(mode="json"),
        "Provenance": flat(detector.provenance),
    }
    return "".join(settings_table(name, values) for name, values in tables.items() if values)


def settings_table(name: str, values: Mapping[str, Any]) -> str:
    """Settings or the like as HTML, under their name."""
    rows = "".join(
        f'<tr><th scope="row">{escape(str(key).replace("_", " "))}</th><td>{escape(_shown(value))}</td></tr>'
        for key, value in values.items()
    )
    return f'<div class="card"><h3>{name}</h3><table>{rows}</table></div>'


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)) and len(value) > 12:
        return f"{len(value):,} values"
    text = shown(value) or "none"
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"
