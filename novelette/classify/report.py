"""The report of a classifier: one HTML page that stands alone."""

from html import escape
from importlib.resources import files
from string import Template

from novelette.classify.classifier import Classifier
from novelette.classify.evaluate import Evaluation, findings
from novelette.data.sources import Source, UnreadablePicture
from novelette.gallery import img, thumbnail
from novelette.info import ROWS, one_level, ratios
from novelette.report import footer, settings_table, style, unreadable_list, words
from novelette.verdict import percent
from novelette.words import flat

SHOWN = 16  # mistakes


def render(classifier: Classifier, e: Evaluation, source: Source, *, title: str) -> str:
    """The page as text.   Args: source: the evaluated one; the few pictures shown are read from it again."""
    said = list(findings(e))
    template = Template(files("novelette.classify").joinpath("report.html").read_text(encoding="utf-8"))
    detector = classifier.detector
    general = {"method": detector.method, "network": classifier.player, "seed": detector.seed, "classes": classifier.classes}
    tables = {"Classifier": general, "Pictures": detector.preprocessing.model_dump(mode="json"),
              "Configuration": detector.config.model_dump(mode="json"), "Provenance": flat(detector.provenance)}  # fmt: skip
    return template.substitute(
        title=escape(title),
        style=style(),
        lead=words(said[0].text),
        findings="".join(f'<li class="{one.tone}">{words(one.text)}</li>' for one in said[1:]),
        mistakes=_mistakes(e, source),
        classes=_classes(e),
        confusion=_confusion(e),
        costs=_costs(e),
        unreadable=unreadable_list(e.unreadable),
        settings="".join(settings_table(name, values) for name, values in tables.items()),
        footer=footer("A picture is called unknown when the classifier is unsure of it under dropout."),
    )


def _mistakes(e: Evaluation, source: Source) -> str:
    """The mistakes that it was most certain of."""
    cards = []
    for i in e.mistakes[:SHOWN]:
        try:
            picture = img(thumbnail(source.read(int(e.indices[i]))), escape(e.names[i]))
        except (UnreadablePicture, OSError):
            continue
        said, true = escape(e.classes[e.said[i]]), escape(e.classes[e.true[i]])
        cards.append(
            f'<figure class="card shot"><div class="pair">{picture}</div><figcaption><span class="badge novel">{said}</span> '
            f"{escape(e.names[i])}<small>is {true}; certain to {percent(float(e.probability[i]))}</small></figcaption></figure>"
        )
    if cards:
        return f'<div class="gallery">{"".join(cards)}</div>'
    none = "Their pictures cannot be read any more." if len(e.mistakes) else "It made none."
    return f'<p class="none">{none}</p>'


def _classes(e: Evaluation) -> str:
    rows = []
    for k, name in enumerate(e.classes):
        recall, precision = ("" if share is None else percent(share) for share in e.of_class(k))
        rows.append(_row([name, f"{e.confusion[k].sum():,}", recall, precision]))
    return "".join(rows)


def _confusion(e: Evaluation) -> str:
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("class; said to be", *e.classes))
    rows = "".join(_row([name, *(f"{n:,}" if n else "" for n in of_class)]) for name, of_class in zip(e.classes, e.confusion, strict=True))
    return f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>"


def _costs(e: Evaluation) -> str:
    """The classifier's figures, its teacher's beside them and their ratio."""
    own, *teachers = (one_level(cost) for cost in e.costs)
    rows = []
    for name, (what, form) in ROWS.items():
        if name in own:
            beside = [f"{teacher[name]:{form}}" for teacher in teachers]
            rows.append(_row([what, f"{own[name]:{form}}", *beside, *(f"{ratios(own, teacher)[name]:.2f}" for teacher in teachers)]))
    heads = ("", "classifier", *(("teacher", "ratio") if teachers else ()))
    return f"<thead><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr></thead><tbody>{''.join(rows)}</tbody>"


def _row(cells: list[str]) -> str:
    return (
        f'<tr><th scope="row">{escape(cells[0])}</th>' + "".join(f'<td class="number">{escape(cell)}</td>' for cell in cells[1:]) + "</tr>"
    )
