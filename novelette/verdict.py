"""What an evaluation found, as sentences for a person: the last lines of a command and the head of a report."""

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from novelette.evaluate import Evaluation, Kind
from novelette.metrics import false_alarms_by_chance
from novelette.words import counted


@dataclass(frozen=True)
class Finding:
    """One sentence, or two, and whether it is good news."""

    tone: Literal["good", "bad", "plain"]
    text: str


class Calibrated(Protocol):
    """The part of a Detector that the sentences need."""

    @property
    def method(self) -> str: ...
    @property
    def false_alarm_rate(self) -> float: ...
    @property
    def calibration(self) -> NDArray[np.float64]: ...


KINDS = ("by kind", "pictures", "called novel", "AUROC")  # heads of `kind_rows`


def verdict(detector: Calibrated, evaluation: Evaluation) -> list[Finding]:
    """The findings, most important first: how well it ranks, what it catches, whether its stated rate holds, whether kNN beats it."""
    found = [_ranking(evaluation), _caught(evaluation), _stated_rate(detector, evaluation), _beside_knn(evaluation)]
    notes = [Finding("plain", note) for note in evaluation.notes]
    if evaluation.unreadable:
        n = len(evaluation.unreadable)
        notes.append(Finding("plain", f"{counted(n, 'picture')} could not be read and {'was' if n == 1 else 'were'} left out."))
    return [finding for finding in found if finding is not None] + notes


def percent(share: float, n: int = 1000) -> str:
    """A share of n pictures in per cent, with a decimal only where so many pictures give it a meaning."""
    return f"{100 * share:.{1 if n >= 200 else 0}f} %"


def kind_rows(e: Evaluation) -> list[list[str]]:
    """A line for each kind of novel pictures: its name, how many, how many are called novel, AUROC; what is not known is empty."""
    return [[kind.name, f"{kind.pictures:,}", _called(kind), "" if kind.auroc is None else f"{kind.auroc:.3f}"] for kind in e.kinds]


def _called(kind: Kind) -> str:
    return "" if kind.called_novel is None else f"{kind.called_novel:,} ({percent(kind.called_novel / kind.pictures, kind.pictures)})"


def _ranking(e: Evaluation) -> Finding | None:
    if e.auroc is None or e.auroc_low is None or e.auroc_high is None:
        return None
    interval = f"AUROC {e.auroc:.3f}, 95 % interval {e.auroc_low:.3f} to {e.auroc_high:.3f}"
    if e.auroc_high < 0.5:
        return Finding(
            "bad",
            f"The detector is worse than chance: it gives normal pictures higher scores than novel ones ({interval}).",
        )
    if e.auroc_low <= 0.5:
        return Finding("bad", f"The detector does not tell novel from normal better than chance on these pictures ({interval}).")
    times = f"{100 * e.auroc:.1f}".removesuffix(".0")
    text = f"Given a novel and a normal picture, the detector finds the novel one {times} times out of 100 ({interval})."
    return Finding("good" if e.auroc >= 0.9 else "plain", text)


def _caught(e: Evaluation) -> Finding | None:
    parts = []
    if e.miss_rate is not None:
        caught = round(e.n_novel * (1 - e.miss_rate))
        parts.append(f"catches {caught:,} of {counted(e.n_novel, 'novel picture')} ({percent(1 - e.miss_rate, e.n_novel)})")
    if e.false_alarm_rate is not None:
        alarms = round(e.n_normal * e.false_alarm_rate)
        share = percent(e.false_alarm_rate, e.n_normal)
        parts.append(f"raises {counted(alarms, 'false alarm')} on {counted(e.n_normal, 'normal picture')} ({share})")
    return Finding("plain", f"At its threshold it {' and '.join(parts)}.") if parts else None


def _stated_rate(detector: Calibrated, e: Evaluation) -> Finding | None:
    """Compares the false alarms with what the calibration's own sampling error and that of these pictures allow."""
    if e.false_alarm_rate is None:
        return None
    low, high = false_alarms_by_chance(detector.false_alarm_rate, len(detector.calibration), e.n_normal)
    alarms, stated = round(e.n_normal * e.false_alarm_rate), f"{100 * detector.false_alarm_rate:g} %"
    if alarms > high:
        return Finding(
            "bad",
            f"Its stated false-alarm rate of {stated} does not hold here: chance explains at most {high:,} of {e.n_normal:,}, so these "
            "normal pictures differ from those that calibrated it. `novelette calibrate` with pictures like these corrects it.",
        )
    if alarms < low:
        return Finding(
            "plain",
            f"Its stated false-alarm rate of {stated} is more than kept: {low:,} to {high:,} of {e.n_normal:,} were expected. "
            "Recalibrated on pictures like these, it would miss fewer novel ones.",
        )
    return Finding(
        "good",
        f"Its stated false-alarm rate of {stated} holds: {low:,} to {high:,} of {e.n_normal:,} are within chance.",
    )


def _beside_knn(e: Evaluation) -> Finding | None:
    """Against the better kNN, by the error of a difference on the same pictures, as `novelette compare` ranks its methods."""
    if not e.beside:
        return None
    best = max(e.beside, key=lambda knn: knn.auroc)
    listed = ", ".join(f"{knn.auroc:.3f} {knn.name}" for knn in e.beside)
    if math.isclose(best.difference, 0, abs_tol=5e-7):
        return Finding("plain", f"It ranks these pictures exactly as well as plain k-nearest-neighbours (AUROC {listed}).")
    if best.difference > best.sampling:
        return Finding("good", f"It beats plain k-nearest-neighbours on the same pictures (AUROC {listed}).")
    if best.difference < -best.sampling:
        return Finding("bad", f"It loses to plain k-nearest-neighbours on the same pictures (AUROC {listed}).")
    side = "behind" if best.difference < 0 else "ahead of"
    return Finding("plain", f"It is {side} plain k-nearest-neighbours (AUROC {listed}), but by no more than sampling error.")
