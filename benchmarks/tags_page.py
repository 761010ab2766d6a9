"""The page of the taggers, docs/results/tags.md, and its plots, from the records that benchmarks/tags.py left. Nothing is trained.

python benchmarks/tags_page.py [--results results] [-o docs/results]
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tags_grid as grid
from tags_found import CLASSIFIERS, KINDS, PAIRS, Values, convergence, gaps, peaks, signed, spread, statements

from novelette.bench.cells import Record, markdown
from novelette.bench.figures import Line, Lines
from novelette.bench.origins import each
from novelette.bench.page import Made, write
from novelette.bench.printed import published
from novelette.bench.sections import Section
from novelette.bench.stamps import read
from novelette.classify import gradients
from novelette.words import counted, seconds_words, shown

PARTS = {
    "choose": "settings, on photographs that no test has",
    "compare": "the comparison",
    "curves": "courses of training",
    "sweeps": "weights of Eq. 3",
    "variance": "variance of gradients",
}
ESTIMATORS = {"concrete": "Gumbel-Max", "categorical": "plain draws"}
BANDS = "bands, which may leave a panel, are standard deviations"
WEIGHTS = {"alpha": "α", "beta": "β", "gamma": "γ"}
NAMED = {"beta": (0.001, 0.1, 10.0, 1000.0), "gamma": (1e-4, 0.01, 1.0, 100.0)}  # on a logarithmic axis; α's is plain, as in the paper


def cell(values: Values) -> str:
    """Mean ± standard deviation, the mean alone of one value."""
    mean, deviation = spread(values)
    return f"{mean:.3f} ± {deviation:.3f}" if len(values) > 1 else f"{mean:.3f}"


def compared(records: Sequence[Record]) -> list[Section]:
    """Table 2, ours; then the printed one; then who is above whom at the same split."""
    paper, sections = published("kdgan-tags"), []
    heads = [*paper["measures"], "F@3 (kdgan)", "F@5 (kdgan)"]
    labels = list(dict.fromkeys(record["label"] for record in records))
    for kind, title in KINDS.items():
        of = {label: [r for r in records if (r["label"], r["vocabulary"]) == (label, kind)] for label in labels}
        rows = [[label, *(cell([r[m] for r in own]) for m in heads)] for label, own in of.items() if own]
        some = [record for own in of.values() for record in own]
        if not some:
            continue
        counts = sorted({len(own) for own in of.values() if own})
        splits = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else counts[0]
        text = (
            f"100 tags; {each(some, 'training')} photographs train and {each(some, 'test')} are tested, which have "
            f"{each(some, 'tags a photograph')} of the tags each: mean ± standard deviation over {splits} splits, "
            "whose tests are drawn from the same 400 photographs."
        )
        sections.append(Section(f"By {title}", f"{text}\n\n{markdown(['method', *heads], rows)}"))
    for kind, title in KINDS.items():
        rows = [[name, *(f"{value:.4f}" for value in own)] for name, own in paper[kind].items()]
        text = f"Printed ({paper['source']}): another data set, YFCC100M, with 20,000 photographs for training and 200 tags."
        sections.append(Section(f"The paper, by {title}", f"{text}\n\n{markdown(['method', *paper['measures']], rows)}"))
    return sections


def differences(records: Sequence[Record]) -> Section | None:
    """What a game, its text and its discriminator are worth, at the same split."""
    rows = []
    for kind, title in KINDS.items():
        for classifier in CLASSIFIERS:
            for _, own, other in PAIRS:
                both = [gaps(records, f"{own}, {classifier}", f"{other}, {classifier}", kind, m) for m in ("P@3", "MAP", "MRR")]
                if both[0]:
                    above = f"{sum(value > 0 for value in both[1])} of {len(both[1])}"
                    rows.append([f"{own} less {other}", classifier, title, *map(signed, both), above])
    if not rows:
        return None
    text = (
        "Mean difference at the same split ± standard deviation over splits. The teacher of KDGAN without text reads one word, always the "
        "same. KDGAN without its discriminator is text-taught distillation: players, schedules and the teacher's start are KDGAN's, and "
        "the classifier then learns from the teacher by KL, with or without the tags (DISTN's form), while the teacher stands still."
    )
    heads = ["difference", "classifier", "vocabulary", "P@3", "MAP", "MRR", "splits on which its MAP is above"]
    return Section("What a game and its text are worth", f"{text}\n\n{markdown(heads, rows, left=3)}")


def banded(label: str, points: Mapping[float, Values], colour: int) -> Line:
    """A line through means of values, by x."""
    means, spreads = zip(*map(spread, points.values()), strict=True)
    return Line(label, list(points), means, colour, spread=spreads)


def courses(records: Sequence[Record]) -> Section | None:
    if not records:
        return None
    panels: dict[str, list[Line]] = {"P@3": [], "MAP": []}
    rows, labels = [], list(dict.fromkeys(record["label"] for record in records))
    for colour, label in enumerate(labels):
        own = [record for record in records if record["label"] == label]
        for measure, lines in panels.items():
            columns = zip(*(record[measure] for record in own), strict=True)
            lines.append(banded(label, dict(zip(own[0]["epoch"], columns, strict=True)), colour))
        of = own[0]["config"]
        schedule = f"{of['learning_rate']:g}, {of['pretraining']}"
        rows.append([label, schedule, *(cell([record[m][at] for record in own]) for m in panels for at in (0, -1))])
    alt = f"P@3 and MAP on the test photographs after each epoch of the game, the linear classifier; {BANDS} over splits"
    text = (
        f"Epoch 0 is the end of pretraining, by tags alone; the game has {counted(grid.COURSE, 'epoch')} here, τ falling over all of them. "
        f"{counted(len({record['split'] for record in records}), 'split')}, the most popular tags; as in the paper's Figure 3b, where "
        "KDGAN takes about 100 epochs, KDGAN-WO-GM about 150 and NaGAN about 220. KDGAN and NaGAN have the settings chosen for each, "
        "learning rates and pretraining among them; the fourth course is NaGAN by KDGAN's."
    )
    heads = ["method", "learning rate, passes of pretraining", "P@3 before", "P@3 after", "MAP before", "MAP after"]
    tables = [
        f"The epoch at which the course of a row is first as good, in {measure}, as that of a column is at its end: mean ± standard "
        "deviation over the splits on which it ever is, and on how many it never is. 0 is before the game.\n\n"
        + markdown([measure, *(f"end of {label}" for label in labels)], convergence(records, measure))
        for measure in panels
    ]
    plot = Lines("courses", alt, panels, "epoch of the game", "")
    return Section("Courses of training", "\n\n".join([text, markdown(heads, rows, left=2), *tables]), (plot,))


def swept(records: Sequence[Record]) -> Section | None:
    if not records:
        return None
    plots, rows = [], []
    for name, letter in WEIGHTS.items():
        values = sorted({record["value"] for record in records if record["weight"] == name})
        if not values:
            continue
        panels: dict[str, list[Line]] = {"P@3": [], "F@3": [], "MAP": [], "MRR": [], "entropy, nats": []}
        for colour, (estimator, label) in enumerate(ESTIMATORS.items()):
            own = [record for record in records if (record["weight"], record["estimator"]) == (name, estimator)]
            by_value = {value: at for value in values if (at := [r for r in own if r["value"] == value])}
            for title, lines in panels.items() if own else ():
                measure = title.partition(",")[0]
                lines.append(banded(label, {value: [r[measure] for r in at] for value, at in by_value.items()}, colour))
            for value, at in by_value.items():
                rows.append([letter, label, f"{value:g}", *(cell([r[m] for r in at]) for m in ("P@3", "F@3", "MAP", "MRR", "entropy"))])
        alt = f"Measures and the entropy of the classifier by {letter}, the others as chosen; {BANDS} over two parts"
        plots.append(Lines(name, alt, panels, letter, "", at=NAMED.get(name, ())))
    text = (
        "One weight of Eq. 3 at a time, the others as chosen, the linear classifier, on two validation parts of the 600 photographs that "
        "no test has; as in the paper's Figure 5, β and γ over the range that the paper searched. Entropy is that of p_c, a mean over "
        f"photographs. {' '.join(peaks(records, WEIGHTS))}"
    )
    heads = ["weight", "labels drawn by", "value", "P@3", "F@3", "MAP", "MRR", "entropy"]
    return Section("Effects of α, β and γ", f"{text}\n\n{markdown(heads, rows, left=2)}", tuple(plots))


def settled(records: Sequence[Record]) -> Section:
    """What was chosen, and among how many."""
    rows = []
    for label, (method, every) in grid.GRID.items():
        maps = {}
        for settings in every:
            config = grid.resolved(method, settings)
            own = [record["MAP"] for record in records if grid.known(record, label, method, config)]
            if own:
                maps[words(settings)] = float(np.mean(own))
        rows += [[label, said, f"{value:.3f}"] for said, value in sorted(maps.items(), key=lambda item: -item[1])]
    text = (
        "Mean MAP on two validation parts of the 600 photographs that no test has, by the most popular tags. The highest of a method is "
        "taken, for both vocabularies. Every method that is trained by steps is tried by the same pairs of learning rate and passes of "
        "pretraining. What is not said is as `novelette tag fit` has it."
    )
    return Section("How settings were chosen", f"{text}\n\n{markdown(['method', 'settings', 'MAP'], rows, left=2)}")


def words(settings: Mapping[str, object]) -> str:
    """Settings as the page has them, the classifier's layers aside, which its label tells."""
    return ", ".join(f"{name} {shown(value)}" for name, value in settings.items() if name != "hidden")


def origins(found: Mapping[str, Sequence[Record]]) -> str:
    blocks = ["## Where these figures come from", "`python benchmarks/tags_page.py` made this page from the records in `results/`."]
    for part, records in found.items():
        if not records:
            blocks.append(f"- {PARTS[part]}: no record of the settings that are chosen now; `python benchmarks/tags.py {part}` makes them")
            continue
        seconds = sum(record["seconds"] for record in records)
        blocks.append(
            f"- {PARTS[part]}: `python benchmarks/tags.py {part}`, {counted(len(records), 'record')} in `results/tags-{part}.jsonl`, "
            f"{seconds_words(seconds)} of processor time, commits {each(records, 'commit')}, torch {each(records, 'torch')}"
        )
    return "\n\n".join([*blocks[:2], "\n".join(blocks[2:])])


def of_now(found: Mapping[str, Sequence[Record]]) -> dict[str, list[Record]]:
    """The records of the grid, and of what is chosen from it now; those of other configurations are left out."""
    best = grid.chosen(found["choose"])
    rows = {
        "choose": grid.tried(),
        "compare": [(label, *row) for label, row in best.items()],
        "curves": [(label, *row) for label, row in grid.of_courses(best).items()],
    }
    sweeps = grid.of_sweeps(best)

    def counts(part: str, record: Record) -> bool:
        if record.get("seen") != grid.seen():
            return False
        if part in rows:
            return any(grid.known(record, *row) for row in rows[part])
        if part == "sweeps":
            return (record["weight"], record["estimator"], record["value"], record["config"]) in sweeps
        return bool(record["config"] == grid.of_variance(best))

    return {part: [record for record in records if counts(part, record)] for part, records in found.items()}


def page(found: Mapping[str, Sequence[Record]], text: str) -> Made:
    """Of a part without records nothing is shown: when other settings are chosen, all of KDGAN's are to be measured again."""
    variance = gradients.section(found["variance"], "photographs") if found["variance"] else None
    parts = [differences(found["compare"]), courses(found["curves"]), swept(found["sweeps"]), variance, settled(found["choose"])]
    sections = [*compared(found["compare"]), *(part for part in parts if part is not None)]
    text = "\n\n".join(part for part in (text.strip(), statements(found)) if part)
    return Made("tags", "Taggers on captioned photographs", text, [("", sections)], origins(found))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/results"))
    given = parser.parse_args(arguments)
    of = {part: given.results / f"tags-{part}.jsonl" for part in PARTS}
    found: dict[str, list[Record]] = {part: read(path) for part, path in of.items()}
    if why := grid.incomplete(found["choose"], of["choose"]):
        parser.exit(2, f"{why}\n")
    text = (Path(__file__).parent / "tags.md").read_text(encoding="utf-8")
    for path in write(page(of_now(found), text), given.output):
        print(path)


if __name__ == "__main__":
    main()
