"""The page of the taggers, docs/results/tags.md, and its plots, from the records that benchmarks/tags.py left. Nothing is trained.

python benchmarks/tags_page.py [--results results] [-o docs/results]
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tags import chosen, of_courses

from novelette.bench.cells import Record, markdown
from novelette.bench.figures import Line, Lines
from novelette.bench.origins import each
from novelette.bench.page import Made, write
from novelette.bench.printed import published
from novelette.bench.sections import Section
from novelette.bench.stamps import read
from novelette.classify import gradients
from novelette.words import seconds_words

PARTS = {
    "choose": "settings, on photographs that no test has",
    "compare": "the comparison",
    "curves": "courses of training",
    "sweeps": "weights of Eq. 3",
    "variance": "variance of gradients",
}
KINDS = {"popular": "the most popular tags", "random": "randomly sampled tags"}
ESTIMATORS = {"concrete": "Gumbel-Max", "categorical": "plain draws"}
WEIGHTS = {"alpha": "α", "beta": "β", "gamma": "γ"}
Values = Sequence[float]


def spread(values: Values) -> tuple[float, float]:
    """Mean and standard deviation of a sample, 0 of one value."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def cell(values: Values) -> str:
    return "{:.3f} ± {:.3f}".format(*spread(values))


def compared(records: Sequence[Record]) -> list[Section]:
    """Table 2, ours; then the printed one; then who is above whom at the same split."""
    paper, sections = published("kdgan-tags"), []
    heads = [*paper["measures"], "F@3 (kdgan)", "F@5 (kdgan)"]
    labels = list(dict.fromkeys(record["label"] for record in records))
    for kind, title in KINDS.items():
        of = {label: [r for r in records if (r["label"], r["vocabulary"]) == (label, kind)] for label in labels}
        rows = [[label, *(cell([r[m] for r in own]) for m in heads)] for label, own in of.items() if own]
        some = next((own for own in of.values() if own), None)
        if some is None:
            continue
        text = (
            f"100 tags; {each(some, 'training')} photographs train and {each(some, 'test')} are tested, which have "
            f"{each(some, 'tags a photograph')} of the tags each: mean ± standard deviation over {len(some)} splits, "
            "whose tests are drawn from the same 400 photographs."
        )
        sections.append(Section(f"By {title}", f"{text}\n\n{markdown(['method', *heads], rows)}"))
    for kind, title in KINDS.items():
        rows = [[name, *(f"{value:.4f}" for value in own)] for name, own in paper[kind].items()]
        text = f"Printed ({paper['source']}): another data set, YFCC100M, with 20,000 photographs for training and 200 tags."
        sections.append(Section(f"The paper, by {title}", f"{text}\n\n{markdown(['method', *paper['measures']], rows)}"))
    return sections


def differences(records: Sequence[Record]) -> Section | None:
    """KDGAN and NaGAN less the same classifier alone, at the same split."""
    rows = []
    for kind, title in KINDS.items():
        for classifier in ("linear", "hidden layer"):
            plain = {r["split"]: r for r in records if (r["label"], r["vocabulary"]) == (f"plain, {classifier}", kind)}
            for method in ("NaGAN", "KDGAN without text", "KDGAN"):
                own = {r["split"]: r for r in records if (r["label"], r["vocabulary"]) == (f"{method}, {classifier}", kind)}
                both = sorted(set(plain) & set(own))
                if not both:
                    continue
                gaps = [[own[s][m] - plain[s][m] for s in both] for m in ("P@3", "MAP", "MRR")]
                above = sum(own[s]["MAP"] > plain[s]["MAP"] for s in both)
                rows.append(
                    [f"{method}, {classifier}", title, *("{:+.3f} ± {:.3f}".format(*spread(g)) for g in gaps), f"{above} of {len(both)}"]
                )
    if not rows:
        return None
    text = (
        "A game against the same classifier alone, by tags: mean difference at the same split ± standard deviation over splits. "
        "The teacher of KDGAN without text reads one word, always the same."
    )
    heads = ["method", "vocabulary", "P@3", "MAP", "MRR", "splits on which its MAP is above"]
    return Section("What a game and its text are worth", f"{text}\n\n{markdown(heads, rows, left=2)}")


def banded(label: str, x: Values, ys: Sequence[Values], colour: int) -> Line:
    means, spreads = zip(*(spread(list(column)) for column in zip(*ys, strict=True)), strict=True)
    return Line(label, list(x), means, colour, spread=spreads)


def courses(records: Sequence[Record]) -> Section | None:
    if not records:
        return None
    panels: dict[str, list[Line]] = {"P@3": [], "MAP": []}
    rows = []
    for colour, label in enumerate(dict.fromkeys(record["label"] for record in records)):
        own = [record for record in records if record["label"] == label]
        for measure, lines in panels.items():
            lines.append(banded(label, own[0]["epoch"], [record[measure] for record in own], colour))
        rows.append([label, *(cell([record[m][at] for record in own]) for m in panels for at in (0, -1))])
    alt = (
        "P@3 and MAP on the test photographs after each epoch of the game, the linear classifier; bands are standard deviations over splits"
    )
    text = (
        f"Epoch 0 is the end of pretraining, by tags alone. {len(own)} splits, the most popular tags; as in the paper's Figure 3b. "
        "There KDGAN takes about 100 epochs, KDGAN-WO-GM about 150 and NaGAN about 220. KDGAN and NaGAN have the settings chosen for each, "
        "learning rates and pretraining among them."
    )
    heads = ["method", "P@3 before", "P@3 after", "MAP before", "MAP after"]
    plot = Lines("courses", alt, panels, "epoch of the game", "")
    return Section("Courses of training", f"{text}\n\n{markdown(heads, rows)}", (plot,))


def swept(records: Sequence[Record]) -> Section | None:
    if not records:
        return None
    plots, rows = [], []
    for name, letter in WEIGHTS.items():
        values = sorted({record["value"] for record in records if record["weight"] == name})
        if not values:
            continue
        panels: dict[str, list[Line]] = {"P@3": [], "MAP": [], "entropy, nats": []}
        for colour, (estimator, label) in enumerate(ESTIMATORS.items()):
            own = [record for record in records if (record["weight"], record["estimator"]) == (name, estimator)]
            for title, lines in panels.items() if own else ():
                by_value = [[r[title.partition(",")[0]] for r in own if r["value"] == value] for value in values]
                lines.append(banded(label, values, list(zip(*by_value, strict=True)), colour))
            for value in values if own else ():
                at = [r for r in own if r["value"] == value]
                rows.append([letter, label, f"{value:g}", *(cell([r[m] for r in at]) for m in ("P@3", "MAP", "MRR", "entropy"))])
        alt = f"P@3, MAP and the entropy of the classifier by {letter}, the others as chosen; bands are standard deviations over two parts"
        plots.append(Lines(name, alt, panels, letter, "", at=values))
    text = (
        "One weight of Eq. 3 at a time, the linear classifier, on two validation parts of the 600 photographs that no test has; as in "
        "the paper's Figure 5. Entropy is that of p_c, a mean over photographs."
    )
    heads = ["weight", "labels drawn by", "value", "P@3", "MAP", "MRR", "entropy"]
    return Section("Effects of α, β and γ", f"{text}\n\n{markdown(heads, rows, left=2)}", tuple(plots))


def settled(records: Sequence[Record]) -> Section:
    """What was chosen, and among how many."""
    rows = []
    for label in dict.fromkeys(record["label"] for record in records):
        own = [record for record in records if record["label"] == label]
        tried: dict[str, list[float]] = {}
        for record in own:
            tried.setdefault(json.dumps(record["settings"]), []).append(record["MAP"])
        for settings, values in sorted(tried.items(), key=lambda item: -float(np.mean(item[1]))):
            words = ", ".join(f"{name} {value}" for name, value in json.loads(settings).items()) or "default"
            rows.append([label, words, f"{np.mean(values):.3f}"])
    text = (
        "Mean MAP on two validation parts of the 600 photographs that no test has, by the most popular tags. The highest of a method is "
        "taken, for both vocabularies."
    )
    return Section("How settings were chosen", f"{text}\n\n{markdown(['method', 'settings', 'MAP'], rows, left=2)}")


def origins(found: Mapping[str, Sequence[Record]]) -> str:
    blocks = ["## Where these figures come from", "`python benchmarks/tags_page.py` made this page from the records in `results/`."]
    for part, records in found.items():
        if not records:
            blocks.append(f"- {PARTS[part]}: no record of the settings that are chosen now; `python benchmarks/tags.py {part}` makes them")
            continue
        seconds = sum(record["seconds"] for record in records)
        blocks.append(
            f"- {PARTS[part]}: `python benchmarks/tags.py {part}`, {len(records)} records in `results/tags-{part}.jsonl`, "
            f"{seconds_words(seconds)} of processor time, commits {each(records, 'commit')}, torch {each(records, 'torch')}"
        )
    return "\n\n".join([*blocks[:2], "\n".join(blocks[2:])])


def of_now(found: Mapping[str, Sequence[Record]]) -> dict[str, list[Record]]:
    """The records of settings as they are chosen now; those of others are left out."""
    best = chosen(found["choose"])
    settings = {label: row[1] for label, row in best.items()}
    linear = settings["KDGAN, linear"]

    def counts(part: str, record: Record) -> bool:
        own = record["settings"]
        if part == "compare":
            return bool(own == settings.get(record["label"]))
        if part == "curves":
            return bool(own == of_courses(best, own["epochs"]).get(record["label"], (None, None))[1])
        if part == "sweeps":
            return bool(own == linear | {record["weight"]: record["value"], "estimator": record["estimator"]})
        return part == "choose" or bool(own == linear | {"epochs": own["epochs"]})

    return {part: [record for record in records if counts(part, record)] for part, records in found.items()}


def page(found: Mapping[str, Sequence[Record]], text: str) -> Made:
    """Of a part without records nothing is shown: when other settings are chosen, all of KDGAN's are to be measured again."""
    variance = gradients.section(found["variance"], "photographs") if found["variance"] else None
    parts = [differences(found["compare"]), courses(found["curves"]), swept(found["sweeps"]), variance, settled(found["choose"])]
    sections = [*compared(found["compare"]), *(part for part in parts if part is not None)]
    return Made("tags", "Taggers on captioned photographs", text, [("", sections)], origins(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/results"))
    given = parser.parse_args()
    found: dict[str, list[Record]] = {part: read(given.results / f"tags-{part}.jsonl") for part in PARTS}
    text = (Path(__file__).parent / "tags.md").read_text(encoding="utf-8")
    for path in write(page(of_now(found), text), given.output):
        print(path)


if __name__ == "__main__":
    main()
