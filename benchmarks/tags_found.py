"""What the taggers' records say, in sentences: nothing on the page quotes a figure that is not worked out here from the records."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from tags_grid import HIDDEN, LINEAR

from novelette.bench.cells import Record
from novelette.bench.printed import published
from novelette.classify import gradients
from novelette.words import counted

KINDS = {"popular": "the most popular tags", "random": "randomly sampled tags"}
CLASSIFIERS = {LINEAR: "a linear classifier", HIDDEN: "a hidden layer"}
PAIRS = (  # what is asked, whose figures, less whose
    ("Is KDGAN worth more than the same classifier alone?", "KDGAN", "plain"),
    ("Is it the text that teaches?", "KDGAN", "KDGAN without text"),
    ("Is its discriminator worth anything?", "KDGAN", "KDGAN without its discriminator"),
    ("Is NaGAN worth more than the same classifier alone?", "NaGAN", "plain"),
)
Values = Sequence[float]


def spread(values: Values) -> tuple[float, float]:
    """Mean and standard deviation of a sample, 0 of one value."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def signed(values: Values) -> str:
    """Mean, with its sign, ± standard deviation, the mean alone of one value."""
    mean, deviation = spread(values)
    said = f"{round(mean, 3) + 0.0:+.3f}"  # 0 is no -0
    return f"{said} ± {deviation:.3f}" if len(values) > 1 else said


def gaps(records: Sequence[Record], own: str, other: str, kind: str, measure: str = "MAP") -> list[float]:
    """One label's figure less another's at the same split, by split."""
    of = [{r["split"]: r[measure] for r in records if (r["label"], r["vocabulary"]) == (label, kind)} for label in (own, other)]
    return [of[0][split] - of[1][split] for split in sorted(of[0].keys() & of[1].keys())]


def verdict(every: Sequence[Values]) -> str:
    """Of differences by split, of each vocabulary."""
    values = [value for values in every for value in values]
    return "yes" if all(v > 0 for v in values) else "no, less" if all(v < 0 for v in values) else "not told"


def answers(records: Sequence[Record]) -> list[str]:
    """A line a question of PAIRS."""
    lines = []
    for question, own, other in PAIRS:
        parts = []
        for classifier, words in CLASSIFIERS.items():
            found = {kind: gaps(records, f"{own}, {classifier}", f"{other}, {classifier}", kind) for kind in KINDS}
            found = {kind: values for kind, values in found.items() if values}
            if found:
                figures = "; ".join(
                    f"{signed(values)} by {KINDS[kind]}, above on {sum(v > 0 for v in values)} of {counted(len(values), 'split')}"
                    for kind, values in found.items()
                )
                parts.append(f"With {words} **{verdict(list(found.values()))}** (MAP {figures}).")
        if parts:
            lines.append(f"{question} {' '.join(parts)}")
    return lines


def order(records: Sequence[Record]) -> list[str]:
    """The paper's six methods by MAP, ours and printed; NaGAN and KDGAN with the paper's classifier, which has a hidden layer."""
    paper, lines = published("kdgan-tags"), []
    place = paper["measures"].index("MAP")
    for kind, title in KINDS.items():
        labels = {name: f"{name}, {HIDDEN}" if name in ("NaGAN", "KDGAN") else name for name in paper[kind]}
        ours = {n: [r["MAP"] for r in records if (r["label"], r["vocabulary"]) == (label, kind)] for n, label in labels.items()}
        if all(ours.values()):
            first = sorted(ours, key=lambda name: -float(np.mean(ours[name])))
            printed = sorted(paper[kind], key=lambda name: -paper[kind][name][place])
            said = "the same" if first == printed else ", ".join(printed)
            lines.append(f"The order by MAP, {title}: {', '.join(f'{n} {np.mean(ours[n]):.3f}' for n in first)}. Printed: {said}.")
    return lines


def reached(own: Values, end: float) -> int | None:
    """The first epoch at which a course is as good as an end; None where it never is."""
    return next((epoch for epoch, value in enumerate(own) if value >= end), None)


def convergence(records: Sequence[Record], measure: str) -> list[list[str]]:
    """Who reaches whose end when: a row a course, its label, then a cell for each course's end."""
    courses: dict[str, dict[int, Values]] = {}
    for record in records:
        courses.setdefault(record["label"], {})[record["split"]] = record[measure]
    return [[label, *(_epochs(own, other) for other in courses.values())] for label, own in courses.items()]


def _epochs(own: Mapping[int, Values], other: Mapping[int, Values]) -> str:
    """The epochs at which courses reach others' ends at the same split, of those that do, and how many never do."""
    found = [reached(own[split], other[split][-1]) for split in sorted(own.keys() & other.keys())]
    epochs, never = [epoch for epoch in found if epoch is not None], found.count(None)
    words = "{:.1f} ± {:.1f}".format(*spread(epochs)) if len(epochs) > 1 else f"{epochs[0]:.1f}" if epochs else ""
    return f"{words} ({never} never)".strip() if never else words or "-"


def speed(records: Sequence[Record]) -> list[str]:
    """Figure 3b in sentences."""
    courses = {
        label: {r["split"]: r["MAP"] for r in records if r["label"] == label} for label in dict.fromkeys(r["label"] for r in records)
    }
    lines = []
    for other in ("NaGAN", "NaGAN by KDGAN's schedule", "KDGAN-WO-GM"):
        if {"KDGAN", other} <= courses.keys():
            own, its = courses["KDGAN"], courses[other]
            ends = [own[s][-1] - its[s][-1] for s in sorted(own.keys() & its.keys())]
            lines.append(
                f"KDGAN is first as good as {other} is at its end at epoch {_epochs(own, its)} of the game, {other} itself at epoch "
                f"{_epochs(its, its)}. At the end the difference of their MAP is {signed(ends)}, above 0 on {sum(e > 0 for e in ends)} of "
                f"{counted(len(ends), 'split')}."
            )
    return lines


def distances(records: Sequence[Record]) -> list[str]:
    """L2 against KL, of the records by which settings were chosen: pairs that differ in nothing else."""
    found: dict[str, list[float]] = {}
    for record in records:
        if record["config"].get("distance") == "l2" and "beta" in record["config"]:
            wanted = (record["label"], record["seed"], record["config"] | {"distance": "kl"})
            for twin in records:
                if (twin["label"], twin["seed"], twin["config"]) == wanted:
                    found.setdefault(record["label"], []).append(record["MAP"] - twin["MAP"])
    if not found:
        return []
    each = "; ".join(f"{label} {signed(values)} ({counted(len(values), 'pair')})" for label, values in found.items())
    return [
        f"L2 against the Kullback-Leibler divergence, which the paper finds comparable: the MAP of L2 less that of KL, all else alike, "
        f"where settings were chosen: {each}."
    ]


def varied(records: Sequence[Record]) -> list[str]:
    """Figure 7 in sentences."""
    looks: list[dict[str, Any]] = [seen["gradients"] for record in records for seen in record["looks"]]
    if not looks:
        return []

    def below(one: str, other: str) -> str:
        return f"{sum(seen[one]['variance'] < seen[other]['variance'] for seen in looks)} of {len(looks)}"

    gumbel, plain, gumbel_as_it_is, plain_as_it_is = gradients.ADVERSARIAL
    ours = gradients.DISTILLATION
    return [
        "The distillation loss's gradient varies less than the adversarial one, with the paper's rewards, at "
        f"{below(ours, gumbel_as_it_is)} looks by Gumbel-Max and {below(ours, plain_as_it_is)} by plain draws; with a baseline at "
        f"{below(ours, gumbel)} and {below(ours, plain)}.",
        "Gumbel-Max's adversarial gradient varies less than that of plain draws, with the paper's rewards, at "
        f"{below(gumbel_as_it_is, plain_as_it_is)} looks; with a baseline at {below(gumbel, plain)}.",
    ]


def peaks(records: Sequence[Record], letters: Mapping[str, str]) -> list[str]:
    """Figure 5 in sentences: where MAP is highest and lowest, by Gumbel-Max."""
    lines = []
    for name, letter in letters.items():
        own = [r for r in records if (r["weight"], r["estimator"]) == (name, "concrete")]
        by_value = {value: float(np.mean([r["MAP"] for r in own if r["value"] == value])) for value in sorted({r["value"] for r in own})}
        if by_value:
            best, worst = max(by_value, key=by_value.__getitem__), min(by_value, key=by_value.__getitem__)
            end = ", at an end of what was tried" if best in (min(by_value), max(by_value)) else ""
            lines.append(
                f"By {letter} MAP is highest at {best:g} ({by_value[best]:.3f}{end}) and lowest at {worst:g} ({by_value[worst]:.3f})."
            )
    return lines


HEAD = (
    "What was found. An answer is *yes* where MAP is above on every split by either vocabulary, *no, less* where it is below on every one, "
    "and *not told* otherwise; differences are means over splits ± standard deviation."
)
STATEMENTS: tuple[tuple[str, Callable[[Sequence[Record]], list[str]]], ...] = (
    ("compare", answers),
    ("compare", order),
    ("curves", speed),
    ("choose", distances),
    ("variance", varied),
)


def statements(found: Mapping[str, Sequence[Record]]) -> str:
    """All that can be said, as a list; nothing where there is nothing."""
    lines = [line for part, say in STATEMENTS for line in say(found[part])]
    return "\n\n".join([HEAD, "\n".join(f"- {line}" for line in lines)]) if lines else ""
