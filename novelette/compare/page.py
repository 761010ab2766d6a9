"""The report of a comparison: one HTML page that stands alone, and the same as JSON."""

import math
import shlex
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from novelette.charts import interval_chart
from novelette.compare.contest import Comparison, Row
from novelette.compare.findings import cells, findings, heads
from novelette.compare.trial import lengths
from novelette.data.select import Where
from novelette.data.sources import UnreadablePicture
from novelette.fitting import Recipe
from novelette.gallery import img, thumbnail
from novelette.report import footer, style, unreadable_list, words
from novelette.words import counted, seconds_words

SHOWN = 8  # pictures of the gallery


def render(found: Comparison, source: str) -> str:
    """The page as text.   Args: source: the normal pictures as a person typed them."""
    said = list(findings(found))
    template = Template(files("novelette.compare").joinpath("page.html").read_text(encoding="utf-8"))
    on = "" if found.test is None or found.test.title == found.normal.chosen.title else f", ranked on {found.test.title}"
    return template.substitute(
        title=escape(f"{counted(len(found.rows), 'method')} fitted on {found.normal.chosen.title}{on}"),
        style=style(),
        lead=words(said[0].text),
        findings="".join(f'<li class="{one.tone}">{words(one.text)}</li>' for one in said[1:]),
        chart=_chart(found),
        explained=_explained(found),
        heads="".join(f'<th scope="col">{escape(name)}</th>' for name in heads(found)),
        rows="".join(_line(line, len(heads(found))) for line in cells(found)),
        gallery=_gallery(found),
        commands="".join(f"<tr><td>{words(f'`{command(row, source)}`')}</td></tr>" for row in found.rows),
        unreadable=unreadable_list(found.unreadable()),
        footer=footer(),
    )


def command(row: Row, source: str) -> str:
    """What fits a row's detector again."""
    recipe, plain = row.entrant.recipe, Recipe("", row.entrant.recipe.config)
    method, *settings = row.entrant.label.split()
    said = ["novelette", "fit", method, source, "-o", row.entrant.file, *settings]
    for name, length in lengths(row.outcome.config).items() if row.entrant.paced else ():
        said += [f"--{name.replace('_', '-')}", str(length)]
    for field in ("size", "channels", "frame", "tiles", "seed", "device", "false_alarm_rate"):
        if getattr(recipe, field) != getattr(plain, field):
            said += [f"--{field.replace('_', '-')}", str(getattr(recipe, field))]
    for field in ("normal", "protocol", "protocol_seed", "attribute", "group_by"):
        if getattr(recipe.where, field) != getattr(Where(), field):
            said += [f"--{field.replace('_', '-')}", str(getattr(recipe.where, field))]
    for root in recipe.where.data_roots:
        said += ["--data-root", str(root)]
    return shlex.join(said)


def as_json(found: Comparison, source: str) -> dict[str, Any]:
    """The figures in JSON's types."""
    good = found.as_good() if found.rows else []
    rows = []
    for row, agreement in zip(found.rows, found.agreement(), strict=True):
        own = {name: getattr(row, name) for name in ("auroc", "low", "high", "false_alarms", "misses")}
        costs = {name: value for name, value in vars(row.outcome).items() if name not in ("config", "scores", "normal")}
        named = {"method": row.entrant.label, "config": row.outcome.config.model_dump(mode="json")}
        rows.append(
            named
            | {"failed": None}
            | own
            | {"as_good_as_the_best": row in good, "agreement": None if math.isnan(agreement) else agreement}
            | costs
            | {"command": command(row, source)}
        )
    for failure in found.failures:
        config = failure.entrant.recipe.config.model_dump(mode="json")
        rows.append({"method": failure.entrant.label, "config": config, "failed": failure.reason})
    return {
        "normal": found.normal.chosen.title,
        "test": None if found.test is None else found.test.title,
        "n_normal": len(found.normal.loaded.indices),
        "n_test": None if found.test is None else len(found.test.labels),
        "preprocessing": found.preprocessing.model_dump(mode="json"),
        "minutes_each": found.minutes,
        "seconds": found.seconds,
        "rows": rows,
        "unreadable": len(found.unreadable()),
    }


def _chart(found: Comparison) -> str:
    """AUROCs with their intervals."""
    if found.test is None or not found.rows:
        return ""
    values = [(row.low or 0, row.auroc or 0, row.high or 0) for row in found.rows]
    svg = interval_chart([row.entrant.label for row in found.rows], values, "AUROC with its 95 % interval")
    return f'<figure class="card chart">{svg}</figure>'


def _explained(found: Comparison) -> str:
    n_normal, n_held = len(found.normal.loaded.indices), int(found.normal.calibrating.sum())
    said = f"{counted(n_normal, 'normal picture')}, {n_held:,} held out for the threshold; images of {found.preprocessing.size} px. "
    if found.test is None:
        said += "Agreement is the mean rank correlation of the normal pictures' scores with those of each other method. "
    else:
        n_novel = int(found.test.labels.sum())
        said += f"Ranked on {len(found.test.labels) - n_novel:,} normal and {n_novel:,} novel pictures, with bootstrap intervals. "
    said += (
        "“Fit” is the time to train, calibrate and score its own pictures. “A picture” is the time to score one in memory, in batches. "
        "“Memory” is the most that the process used, Python and PyTorch included. "
        f"Each method trained for at most {found.minutes:g} min, or for as long as the steps or epochs that it was given take; "
        f"{seconds_words(found.seconds)} in all."
    )
    return escape(said)


def _line(line: list[str], columns: int) -> str:
    """A row of the table; a line of two cells, where there are more columns, is a name and a sentence."""
    if len(line) < columns:
        rest = f'<td colspan="{columns - 1}">{words(line[1])}</td>'
    else:
        rest = "".join(f'<td class="number">{escape(cell)}</td>' for cell in line[1:])
    return f'<tr><th scope="row">{escape(line[0])}</th>{rest}</tr>'


def _gallery(found: Comparison) -> str:
    """Without labelled pictures: the normal ones that all methods together find strangest."""
    if found.test is not None or not found.rows:
        return ""
    source, cards = found.normal.chosen.source, []
    for i in found.strangest(SHOWN):
        try:
            picture = img(thumbnail(source.read(i)), escape(source.names[i]))
        except (UnreadablePicture, OSError):
            continue
        cards.append(
            f'<figure class="card shot"><div class="pair">{picture}</div><figcaption>{escape(source.names[i])}</figcaption></figure>'
        )
    title = "<h2>Strangest normal pictures</h2><p>By mean rank over all methods, strangest first.</p>"
    return f'{title}<div class="gallery">{"".join(cards)}</div>'
