"""A comparison: methods one after another on the same pictures, each in a process of its own, and each told of, whatever became of it."""

import multiprocessing
import re
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from novelette import metrics
from novelette.compare.trial import Material, Outcome, Task, attempt
from novelette.data.images import Loaded, Preprocessing, load
from novelette.data.select import Selection, Where, describe, is_named, labelled_pictures, normal_pictures, unchosen
from novelette.data.sources import FolderSource, Source
from novelette.errors import InputError
from novelette.fitting import Gathered, Recipe, check_numbers, choose_preprocessing, gather
from novelette.progress import progress
from novelette.words import seconds_words

GRACE = 5  # times its minutes, and one more: as long as a method may take in all


@dataclass(frozen=True)
class Entrant:
    """A method with its settings.   Attributes: label: as a person types it.   paced: whether its steps follow from the minutes."""

    label: str
    recipe: Recipe
    paced: bool

    @property
    def file(self) -> str:
        """What its detector is called on disk."""
        return re.sub(r"[^a-z0-9.]+", "-", self.label.lower()) + ".det"


@dataclass(frozen=True, eq=False)
class Row:
    """A fitted entrant, and what its scores come to.

    Attributes:
        auroc, low, high: with its 95 % interval; None without labelled pictures.
        false_alarms, misses: shares at its threshold; None without one.
    """

    entrant: Entrant
    outcome: Outcome
    auroc: float | None = None
    low: float | None = None
    high: float | None = None
    false_alarms: float | None = None
    misses: float | None = None


@dataclass(frozen=True)
class Failure:
    """An entrant that came to nothing, and why."""

    entrant: Entrant
    reason: str


@dataclass(frozen=True, eq=False)
class Test:
    """Labelled pictures.   Attributes: labels: of the readable ones, (n,), of both kinds.   seen: how many are normal pictures too."""

    title: str
    source: Source
    loaded: Loaded
    labels: NDArray[np.int64]
    seen: int


@dataclass(frozen=True, eq=False)
class Comparison:
    """What several methods came to on the same pictures.

    Attributes:
        rows: best AUROC first; in the order of the entrants without labelled pictures.   failures: in their order.
        normal: the normal pictures.   minutes: for training, each.   seconds: of it all.
    """

    rows: list[Row]
    failures: list[Failure]
    normal: Gathered
    preprocessing: Preprocessing
    test: Test | None
    minutes: float
    seconds: float

    def as_good(self) -> list[Row]:
        """The rows whose AUROC is behind the best one's by no more than sampling error (95 %), the best among them."""
        if self.test is None:
            return []
        best, good = self.rows[0], []
        for row in self.rows:
            gap, error = metrics.auroc_difference(best.outcome.scores, row.outcome.scores, self.test.labels)
            if not gap > metrics.Z_95 * error:
                good.append(row)
        return good

    def agreement(self) -> list[float]:
        """Of each row, the mean rank correlation of its scores of the normal pictures with each other row's; NaN of one alone."""
        if len(self.rows) < 2:
            return [float("nan")] * len(self.rows)
        r = np.array([[metrics.rank_correlation(a.outcome.normal, b.outcome.normal) for b in self.rows] for a in self.rows])
        np.fill_diagonal(r, 0)
        out: list[float] = (r.sum(1) / (len(r) - 1)).tolist()
        return out

    def strangest(self, most: int) -> list[int]:
        """The normal pictures that the rows together find strangest, by mean rank: numbers in their source, strangest first."""
        ranks = np.mean([np.argsort(np.argsort(row.outcome.normal, kind="stable")) for row in self.rows], axis=0)
        return [int(self.normal.loaded.indices[i]) for i in np.argsort(-ranks, kind="stable")[:most]]

    def unreadable(self) -> dict[str, str]:
        """Name -> why, of all pictures that were left out."""
        of_normal, names = self.normal.loaded.unreadable, self.normal.chosen.source.names
        out = {names[i]: why for i, why in of_normal.items()}
        return out if self.test is None else out | {self.test.source.names[i]: why for i, why in self.test.loaded.unreadable.items()}


def compare(
    entrants: Sequence[Entrant],
    source: Any,
    where: Where,
    test: Any,
    *,
    minutes: float,
    output: Path | None = None,
    seed: int = 0,
    bar: bool = False,
    told: Callable[[Row | Failure], None] = lambda found: None,
) -> Comparison:
    """Fit each entrant on normal pictures, and score labelled ones where there are any.

    Args:
        entrants: their recipes agree but for method and configuration.   test: as `labelled_pictures` takes it, or None.
        minutes: for training, each.   output: a folder for the detectors.   seed: of the intervals.   told: called as each one ends.
    Raises: InputError for pictures that cannot be used; what goes wrong within a method is a Failure.
    """
    began, recipe = time.monotonic(), entrants[0].recipe
    check_numbers(recipe.false_alarm_rate, recipe.seed)
    chosen = normal_pictures(source, where)
    its = replace(where if is_named(test) else unchosen(where), group_by_inherited=True)  # its names may be of another kind
    labelled = None if test is None else labelled_pictures(test, its)
    preprocessing = choose_preprocessing(recipe, chosen)
    normal = gather(chosen, preprocessing, bar=bar)
    tested = None if labelled is None else read(labelled, preprocessing, normal, bar=bar)
    rows: list[Row] = []
    failures: list[Failure] = []
    with tempfile.TemporaryDirectory(prefix="novelette-compare-") as temporary:
        material, folder = Path(temporary) / "material", output or Path(temporary)
        names = replace(chosen, source=FolderSource(files=list(chosen.source.names)))  # the processes read no picture again
        pixels = None if tested is None else tested.loaded.pixels
        joblib.dump(Material(replace(normal, chosen=names), preprocessing, describe(source, where), pixels), material)
        with progress("methods", len(entrants), shown=bar) as show:
            for done, entrant in enumerate(entrants):
                show(done, entrant.label)
                task = Task(entrant.recipe, material, 60 * minutes if entrant.paced else None, folder / entrant.file)
                found = judged(entrant, answered(task, 60 * (GRACE * minutes + 1)), tested, seed)
                told(found)
                if isinstance(found, Row):
                    rows.append(found)
                else:
                    failures.append(found)
    rows.sort(key=lambda row: -(row.auroc or 0))
    return Comparison(rows, failures, normal, preprocessing, tested, minutes, time.monotonic() - began)


def read(labelled: Selection, preprocessing: Preprocessing, normal: Gathered, *, bar: bool) -> Test:
    """The labelled pictures, prepared. Raises: InputError when of one of the two kinds none can be read."""
    assert labelled.labels is not None
    with progress("read", len(labelled.source), shown=bar) as show:
        loaded = load(labelled.source, preprocessing, progress=show)
    labels = labelled.labels[loaded.indices]
    if len(np.unique(labels)) < 2:
        raise InputError(f"{labelled.title}: none of its {'novel' if not labels.any() else 'normal'} pictures can be read: check the files")
    return Test(labelled.title, labelled.source, loaded, labels, int(np.isin(loaded.hashes, normal.loaded.hashes).sum()))


def answered(task: Task, limit_s: float) -> Outcome | str:
    """What a process answers, or why it gave no answer. It ends with this function, whatever happens."""
    spawn = multiprocessing.get_context("spawn")  # nothing of this process's memory and threads
    mine, its = spawn.Pipe(duplex=False)
    process = spawn.Process(target=attempt, args=(task, its), daemon=True)
    process.start()
    its.close()
    try:
        if not mine.poll(limit_s):
            return f"stopped because it was not done after {seconds_words(limit_s)}; a larger --minutes-each gives it longer"
        answer: Outcome | str = mine.recv()
        return answer
    except EOFError:
        process.join()
        return died(process.exitcode)
    finally:
        process.kill()
        process.join()


def died(exitcode: int | None) -> str:
    """Why a process gave no answer."""
    if exitcode == -signal.SIGKILL:
        return "its process was killed, as happens when memory runs out"
    return f"its process crashed (exit code {exitcode})"


def judged(entrant: Entrant, answer: Outcome | str, test: Test | None, seed: int) -> Row | Failure:
    """What a process's answer comes to."""
    if isinstance(answer, str):
        return Failure(entrant, answer)
    strange = sum(int((~np.isfinite(scores)).sum()) for scores in (answer.scores, answer.normal))
    if strange:
        return Failure(entrant, f"{strange:,} of its scores {'is not a finite number' if strange == 1 else 'are not finite numbers'}")
    if test is None:
        return Row(entrant, answer)
    low, high = metrics.auroc_interval(answer.scores, test.labels, seed=seed)
    row = Row(entrant, answer, metrics.auroc(answer.scores, test.labels), low, high)
    if answer.threshold is None:
        return row
    alarms, misses = metrics.rates_at(answer.scores, test.labels, answer.threshold)
    return replace(row, false_alarms=alarms, misses=misses)
