"""The figures of a classifier on pictures whose classes are known, with its teacher beside it."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from novelette import accounting
from novelette.classify.classifier import Classifier
from novelette.data.select import UNKNOWN, Labelled
from novelette.errors import InputError
from novelette.info import ratios
from novelette.metrics import auroc, auroc_interval, false_alarms_by_chance, mean_interval, share_interval
from novelette.predictions import without_rank
from novelette.verdict import Finding, percent
from novelette.words import counted

SECONDS = 0.8  # for latencies, and again for batches


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a classifier says of labelled pictures.

    Attributes:
        classes: names, K.   names, indices: of the n readable pictures, and positions in the source.
        true: the class of each, (n,), -1 where it belongs to none.   said: the most probable one, (n,).   probability: of that, (n,).
        score: how uncertain, (n,).   unknown: whether each is called unknown, (n,); None without a threshold.
        false_alarm_rate, n_calibration: that is stated, and the calibration pictures that the threshold comes from.
        seen: how many of them training saw.   unreadable: name -> why, of the pictures that were left out.
        costs: of the classifier, then of its teacher where there is one: parameters, operations, speed.
        teacher_said: the class that it says of each, (n,); None without one.
    """

    classes: tuple[str, ...]
    names: list[str]
    indices: NDArray[np.int64]
    true: NDArray[np.int64]
    said: NDArray[np.int64]
    probability: NDArray[np.float32]
    score: NDArray[np.float32]
    unknown: NDArray[np.bool_] | None
    false_alarm_rate: float
    n_calibration: int
    seen: int
    unreadable: dict[str, str]
    costs: tuple[dict[str, Any], ...]
    teacher_said: NDArray[np.int64] | None = None

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Which pictures belong to a class, (n,)."""
        return self.true >= 0

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """How many pictures of class i were said to be of class j, (K, K)."""
        k = len(self.classes)
        return np.bincount(k * self.true[self.known] + self.said[self.known], minlength=k * k).reshape(k, k)

    @property
    def accuracy(self) -> float:
        """The part of pictures of a class whose class is found."""
        return float(self.confusion.trace() / self.confusion.sum())

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, 95 %, of the accuracy."""
        return share_interval(int(self.confusion.trace()), int(self.confusion.sum()))

    @property
    def majority(self) -> float:
        """The accuracy of always saying the class that most of these pictures belong to."""
        return float(self.confusion.sum(1).max() / self.confusion.sum())

    @property
    def teacher_accuracy(self) -> float | None:
        """The teacher's, on the same pictures."""
        return None if self.teacher_said is None else float((self.teacher_said == self.true)[self.known].mean())

    def ahead_of_teacher(self) -> tuple[float, float] | tuple[None, None]:
        """95 %, of the accuracy less the teacher's: percentiles of 1,000 bootstrap samples of the pictures, the same for both."""
        if self.teacher_said is None:
            return None, None
        right, its = ((said == self.true)[self.known].astype(np.int64) for said in (self.said, self.teacher_said))
        return mean_interval(right - its, seed=0)

    def of_class(self, k: int) -> tuple[float | None, float | None]:
        """Recall and precision of class k; None where no picture is of it, or was said to be."""
        right, true, said = self.confusion[k, k], self.confusion[k].sum(), self.confusion[:, k].sum()
        return float(right / true) if true else None, float(right / said) if said else None

    @cached_property
    def mistakes(self) -> NDArray[np.int64]:
        """Pictures of a class that were said to be of another, (m,), the most certain first."""
        wrong = np.flatnonzero(self.known & (self.true != self.said))
        return wrong[np.argsort(-self.probability[wrong], kind="stable")]

    def rates(self) -> tuple[float | None, float | None]:
        """The part of pictures of a class, and of those of none, that are called unknown; None where there are none, or no threshold."""
        if self.unknown is None:
            return None, None
        alarms, caught = (float(self.unknown[which].mean()) if which.any() else None for which in (self.known, ~self.known))
        return alarms, caught

    def unknown_auroc(self) -> float | None:
        """How well uncertainty tells pictures of no class from the others; None where one kind is missing."""
        return None if self.known.all() else auroc(self.score, (~self.known).astype(np.int64))

    def unknown_interval(self) -> tuple[float, float] | tuple[None, None]:
        """95 %, of the AUROC of pictures of no class: percentiles of 1,000 bootstrap samples."""
        return (None, None) if self.known.all() else auroc_interval(self.score, (~self.known).astype(np.int64), seed=0)

    def to_json(self) -> dict[str, Any]:
        """The figures in JSON's types, null for what could not be computed."""
        low, high = self.interval
        unknown_low, unknown_high = self.unknown_interval()
        alarms, caught = self.rates()
        per_class = {}
        for k, name in enumerate(self.classes):
            recall, precision = self.of_class(k)
            per_class[name] = {"recall": recall, "precision": precision, "pictures": int(self.confusion[k].sum())}
        return {
            "accuracy": self.accuracy,
            "accuracy_low": low,
            "accuracy_high": high,
            "majority": self.majority,
            "n": int(self.known.sum()),
            "classes": per_class,
            "confusion": self.confusion.tolist(),
            "n_unknown": int((~self.known).sum()),
            "unknown_auroc": self.unknown_auroc(),
            "unknown_auroc_low": unknown_low,
            "unknown_auroc_high": unknown_high,
            "unknown_caught": caught,
            "false_alarm_rate": alarms,
            "cost": self.costs[0],
            "teacher": None if self.teacher_said is None else self._teacher(),
            "ratios": None if self.teacher_said is None else ratios(*self.costs),
            "seen_in_training": self.seen,
            "unreadable": len(self.unreadable),
        }

    def _teacher(self) -> dict[str, Any]:
        low, high = self.ahead_of_teacher()
        return {"accuracy": self.teacher_accuracy, "ahead_low": low, "ahead_high": high, "cost": self.costs[1]}


def evaluate(
    classifier: Classifier, teacher: Classifier | None, labelled: Labelled, *, show: Callable[[int], None] | None = None
) -> Evaluation:
    """Say the class of every picture and compare with what is known; a teacher then says it too.

    Raises: InputError for a class that the classifier was not trained on (pictures of none of its classes belong into a folder `unknown`),
        or where how unsure it is of a picture is no finite number.
    """
    position = {name: k for k, name in enumerate(classifier.classes)}
    strange = [name for name in labelled.names if name not in position and name != UNKNOWN]
    if strange:
        raise InputError(
            f"{labelled.title} has pictures of the class {strange[0]}, which the classifier was not trained on: it knows "
            f"{', '.join(classifier.classes)}; put pictures of none of these classes into a folder {UNKNOWN}"
        )
    read = classifier.read(labelled.source, show=show)
    names = [labelled.source.names[i] for i in read.indices]
    if wrong := without_rank(read.score, names):
        raise InputError(f"{wrong}: leave the picture out, or fit the classifier again")
    known = np.array([position.get(name, -1) for name in labelled.names])
    true = known[labelled.classes[read.indices]]
    if not (true >= 0).any():
        raise InputError(
            f"{labelled.title} holds no picture of a class that the classifier knows: give some of {', '.join(classifier.classes)}"
        )
    said = read.probability.argmax(1)
    teacher_said = None if teacher is None else teacher.read(labelled.source).probability.argmax(1)  # before `costs` moves it to the CPU
    return Evaluation(
        classes=classifier.classes,
        names=names,
        indices=read.indices,
        true=true,
        said=said,
        probability=read.probability.max(1),
        score=read.score,
        unknown=classifier.detector.judge(read.score)[1],
        false_alarm_rate=classifier.detector.false_alarm_rate,
        n_calibration=len(classifier.detector.calibration),
        seen=int(classifier.detector.saw(read.hashes).sum()),
        unreadable={labelled.source.names[i]: why for i, why in read.unreadable.items()},
        costs=costs([classifier] if teacher is None else [classifier, teacher]),
        teacher_said=teacher_said,
    )


def costs(classifiers: list[Classifier]) -> tuple[dict[str, Any], ...]:
    """What telling the class of one image takes, of each: parameters, operations, bytes, and speed on the CPU, measured in turns."""
    how, cpu = classifiers[0].detector.preprocessing, torch.device("cpu")
    counts = [one.to(cpu).cost() for one in classifiers]
    speeds = accounting.measure(
        [one.scores for one in classifiers], (how.channels, how.size, how.size), [cost.macs for cost in counts], seconds=SECONDS
    )
    return tuple(asdict(cost) | {"speed": asdict(speed)} for cost, speed in zip(counts, speeds, strict=True))


def findings(e: Evaluation) -> Iterator[Finding]:
    """What was found, most important first."""
    yield _accuracy(e)
    yield from _beside_teacher(e)
    recalls = [(recall, name) for k, name in enumerate(e.classes) if (recall := e.of_class(k)[0]) is not None]
    if min(recalls)[0] < max(recalls)[0]:
        worst = min(recalls)
        yield Finding("plain", f"It finds {worst[1]} least often, {percent(worst[0])} of its pictures.")
    yield from _of_unknown(e)
    if e.seen:
        yield Finding("bad", f"{e.seen:,} of these pictures are also among those that trained it: the figures flatter it.")
    if e.unreadable:
        n = len(e.unreadable)
        yield Finding("plain", f"{counted(n, 'picture')} could not be read and {'was' if n == 1 else 'were'} left out.")


def _accuracy(e: Evaluation) -> Finding:
    """Beside always saying one class, which is told from it where it lies outside the accuracy's interval."""
    n, right, (low, high) = int(e.known.sum()), int(e.confusion.trace()), e.interval
    interval = f"{percent(e.accuracy)} (95 % interval {percent(low)} to {percent(high)})"
    text = f"It finds the class of {right:,} of {counted(n, 'picture')}: {interval}."
    most = e.classes[e.confusion.sum(1).argmax()]
    if e.majority == 1:
        return Finding("plain", f"{text} All of them are of the class {most}, so they do not show whether it tells classes apart.")
    always = f"always saying {most}, the most frequent class here, which finds {percent(e.majority)}"
    if low > e.majority:
        return Finding("plain", f"{text} That is better than {always}.")
    how = "worse" if high < e.majority else "no better"
    return Finding("bad", f"{text} It tells classes apart {how} than {always}.")


def _beside_teacher(e: Evaluation) -> Iterator[Finding]:
    """Ahead or behind only where the interval of the difference says so."""
    low, high = e.ahead_of_teacher()
    if low is None or high is None or e.teacher_accuracy is None:
        return
    times = ratios(*e.costs)
    size = f"a network of {times['params']:.1f} times its parameters and {times['macs']:.1f} times its multiply-adds"
    how = "better than" if low > 0 else "worse than" if high < 0 else "not distinguishable from"
    interval = f"{100 * (e.accuracy - e.teacher_accuracy):+.2f} points, 95 % interval {100 * low:+.2f} to {100 * high:+.2f}"
    text = f"Its teacher finds {percent(e.teacher_accuracy)}: it is {how} {size} ({interval})."
    yield Finding("plain" if high < 0 else "good", text)


def _of_unknown(e: Evaluation) -> Iterator[Finding]:
    alarms, caught = e.rates()
    if alarms is None:
        yield Finding("plain", "It has no threshold, so it calls nothing unknown.")
    else:
        n = int(e.known.sum())
        low, high = false_alarms_by_chance(e.false_alarm_rate, e.n_calibration, n)
        flagged = round(n * alarms)
        how = "does not hold here" if flagged > high else "is more than kept" if flagged < low else "holds"
        text = (
            f"Of {counted(n, 'picture')} of its own classes it calls {percent(alarms)} unknown: its stated rate of "
            f"{100 * e.false_alarm_rate:g} % {how} ({low:,} to {high:,} of them are within chance)."
        )
        if caught is not None:
            text += f" Of {counted(int((~e.known).sum()), 'picture')} of none of its classes it calls {percent(caught)} unknown."
        yield Finding("bad" if flagged > high else "plain", text)
    worst, best = e.unknown_interval()
    if worst is None or best is None:
        return
    interval = f"AUROC {e.unknown_auroc():.3f}, 95 % interval {worst:.3f} to {best:.3f}"
    if best < 0.5:
        yield Finding("bad", f"It is surer of pictures of none of its classes than of the others ({interval}).")
    elif worst <= 0.5:
        yield Finding("bad", f"Its uncertainty tells pictures of none of its classes from the others no better than chance ({interval}).")
    else:
        yield Finding("plain", f"It is less sure of pictures of none of its classes than of the others ({interval}).")
