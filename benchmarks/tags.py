"""Taggers on the captioned photographs: Table 2, Figures 3b, 5 and 7 of the KDGAN paper on 1,000 photographs of Flickr8k.

    python benchmarks/tags.py choose|compare|curves|sweeps|variance|all [--data-root DIR] [--results results] [--work DIR]

What is tried is in benchmarks/tags_grid.py. Settings are chosen on 600 photographs; the tests of all five splits are drawn from the other
400, 200 each, and the rest of the 1,000 trains. So no photograph that settings were chosen on is ever tested on. Each part appends to
results/tags-PART.jsonl, and leaves out what has a line there.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tags_grid as grid
import torch
from numpy.typing import NDArray
from tags_grid import TAGGERS, Best, Resolved

from novelette.bench.stamps import append, commit, stamp
from novelette.bench.stamps import read as read_lines
from novelette.classify import algorithm, gradients
from novelette.classify.game import Turns
from novelette.tags import kdgan
from novelette.tags.examples import Examples
from novelette.tags.features import Look, loaded, see
from novelette.tags.players import Sights
from novelette.tags.ranking import measures
from novelette.tags.readers import read
from novelette.tags.vocabulary import choose, incidence
from novelette.training import Run

CPU = torch.device("cpu")
SPLITS = 5
BATCHES = 40  # whose gradients vary
PARTS = ("choose", "compare", "curves", "sweeps", "variance")


class Photographs:
    """Vectors, tags and texts of all photographs, in the order of their names."""

    def __init__(self, data_roots: tuple[Path, ...], work: Path | None) -> None:
        tagged = read(grid.SOURCE, data_roots)
        order = np.argsort(tagged.source.names)
        look = Look()
        seen = see(tagged.source, look, *loaded(look), work=work, bar=True)
        self.vectors = seen.vectors[torch.from_numpy(order)]
        self.tags, self.texts = [tagged.tags[i] for i in order], [tagged.texts[i] for i in order]

    def developing(self, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """To choose on: four fifths to train, a fifth to validate."""
        free = np.random.default_rng(0).permutation(len(self.tags))[grid.FOR_TESTS :]
        order = np.random.default_rng(seed).permutation(free)
        return order[len(free) // 5 :], order[: len(free) // 5]

    def split(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """To compare by: training and test."""
        for_tests = np.random.default_rng(0).permutation(len(self.tags))[: grid.FOR_TESTS]
        test = np.random.default_rng(1000 + number).permutation(for_tests)[: grid.TESTED]
        return np.setdiff1d(np.arange(len(self.tags)), test), test

    def shown(self, training: NDArray[np.int64], test: NDArray[np.int64], kind: str, seed: int) -> "Task":
        vocabulary = choose([self.tags[i] for i in training], kind, grid.TAGS, seed)  # type: ignore[arg-type]
        has = incidence(self.tags, vocabulary)
        training, test = training[has[training].any(1)], test[has[test].any(1)]
        examples = Examples(self.vectors[training], torch.from_numpy(has[training]), tuple(self.texts[i] for i in training))
        return Task(examples, self.vectors[test], has[test], seed)


class Task:
    """What a tagger learns from, and what it is judged by."""

    def __init__(self, examples: Examples, vectors: torch.Tensor, truth: NDArray[np.bool_], seed: int) -> None:
        self.examples, self.vectors, self.truth, self.seed = examples, vectors, truth, seed

    def blind(self) -> "Task":
        """The same, every text being one word: a teacher that reads it learns nothing."""
        return Task(replace(self.examples, texts=("nothing",) * len(self.examples)), self.vectors, self.truth, self.seed)

    def judged(self, scorer: Any) -> dict[str, float]:
        scores = scorer.scores(self.vectors).double().numpy()
        found = measures(scores, self.truth)
        theirs = measures(scores, self.truth, "kdgan")
        return {name: round(value, 5) for name, value in (found | {f"{n} (kdgan)": theirs[n] for n in ("F@3", "F@5")}).items()}

    def trained(self, method: str, config: Resolved, run: Run | None = None) -> Any:
        module = TAGGERS[method]
        return module.fit(self.examples, module.Config(**config), seed=self.seed, device=CPU, run=run or Run())


class Lines:
    """results/tags-PART.jsonl: a line a measurement, known by its label, its whole configuration and what all methods are shown."""

    def __init__(self, results: Path, part: str, commit: str | None) -> None:
        self.path, self.commit = results / f"tags-{part}.jsonl", commit

    def read(self) -> list[dict[str, Any]]:
        return read_lines(self.path)

    def add(self, key: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> None:
        """Measure and write a line, unless there is one of this key."""
        key = key | {"seen": grid.seen()}
        if any(all(line.get(name) == value for name, value in key.items()) for line in self.read()):
            return
        line, began = stamp(self.commit) | key, time.process_time()
        line |= measure()
        line["seconds"] = round(time.process_time() - began, 1)
        append(self.path, [line])
        print(json.dumps(line), flush=True)


def choosing(photographs: Photographs, lines: Lines) -> None:
    """Every configuration of the grid, twice, on the photographs that no test has."""
    for label, method, config in grid.tried():
        for seed in grid.SEEDS:
            key = {"label": label, "method": method, "config": config, "seed": seed}
            task = photographs.shown(*photographs.developing(seed), "popular", seed)
            lines.add(key, partial(result, task, label, method, config))


def result(task: Task, label: str, method: str, config: Resolved) -> dict[str, float]:
    """How good a row's tagger is."""
    task = task.blind() if label in grid.BLIND else task
    return task.judged(task.trained(method, config))


def comparing(photographs: Photographs, best: Best, lines: Lines) -> None:
    """Table 2: every method on five splits by both vocabularies."""
    for kind in ("popular", "random"):
        for split in range(SPLITS):
            task = photographs.shown(*photographs.split(split), kind, split)
            for label, (method, config) in best.items():
                key = {"vocabulary": kind, "split": split, "label": label, "method": method, "config": config}
                lines.add(key, partial(compared, task, label, method, config))


def compared(task: Task, label: str, method: str, config: Resolved) -> dict[str, float]:
    """What a split is, and how good a row's tagger is on it."""
    tags = round(float(task.truth.sum(1).mean()), 2)
    counts = {"training": len(task.examples), "test": len(task.truth), "tags a photograph": tags}
    return counts | result(task, label, method, config)


def courses(photographs: Photographs, best: Best, lines: Lines) -> None:
    """Figure 3b: P@3 and MAP on the test photographs after each epoch of the game."""
    for split in range(SPLITS):
        task = photographs.shown(*photographs.split(split), "popular", split)
        for label, (method, config) in grid.of_courses(best).items():
            key = {"label": label, "split": split, "method": method, "config": config}
            lines.add(key, partial(course, task, method, config))


def course(task: Task, method: str, config: Resolved) -> dict[str, Any]:
    module = TAGGERS[method]
    a = module.Config(**config)
    ends = Turns(len(task.examples), a, task.seed).ends()[a.pretraining - 1 :]
    run = Run(snapshot_steps=frozenset(ends))
    task.trained(method, config, run)
    values = []
    for step in ends:
        state = {f"net.{name}": value for name, value in run.snapshots[step][0].items()}
        values.append(task.judged(module.Scorer(a, state)))
    return {"epoch": list(range(len(ends))), "P@3": [value["P@3"] for value in values], "MAP": [value["MAP"] for value in values]}


def sweeping(photographs: Photographs, best: Best, lines: Lines) -> None:
    """Figure 5: one weight of Eq. 3 at a time, on two validation parts; that of the game by plain draws as well."""
    for name, estimator, value, config in grid.of_sweeps(best):
        for seed in grid.SEEDS:
            task = photographs.shown(*photographs.developing(seed), "popular", seed)
            key = {"weight": name, "value": value, "estimator": estimator, "seed": seed, "config": config}
            lines.add(key, partial(swept, task, config))


def swept(task: Task, config: Resolved) -> dict[str, float]:
    """The measures, and the mean entropy of the classifier's distributions: how far it is from being certain, in nats."""
    scorer = task.trained("kdgan", config)
    log_p = scorer.scores(task.vectors).log_softmax(1)
    return task.judged(scorer) | {"entropy": round(float(-(log_p.exp() * log_p).sum(1).mean()), 4)}


def varying(photographs: Photographs, best: Best, lines: Lines) -> None:
    """Figure 7: how far the gradients of a batch lie apart, those of the teacher's and of the discriminator's losses."""
    config = grid.of_variance(best)
    for split in range(3):
        task = photographs.shown(*photographs.split(split), "popular", split)
        lines.add({"split": split, "config": config, "draws": BATCHES}, partial(variances, task, config))


def variances(task: Task, config: Resolved) -> dict[str, Any]:
    """What is seen before each epoch of the game."""
    a, examples = kdgan.Config(**config), task.examples
    turns, sights = Turns(len(examples), a, task.seed), Sights(examples, CPU, texts=True)
    playing = kdgan.players(examples, sights, a, task.seed)

    def look(epoch: int) -> dict[str, Any]:
        tau = turns.temperature(a.pretraining + epoch, a.temperature, a.last_temperature)
        seen = gradients.look([p.net for p in playing], sights.x, a, a.batch_size, tau, BATCHES)
        return {"tau": round(tau, 4), "gradients": seen}

    looking = gradients.Looking(sights, a.pretraining, range(a.epochs), look)
    algorithm.kdgan(*playing, looking, sights.truth, turns, a, Run(), seed=task.seed)
    return {"looks": looking.looks}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*PARTS, "all"])
    parser.add_argument("--data-root", type=Path, action="append", default=[])
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--work", type=Path, help="keeps what the network sees between runs")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    began_at = commit()
    of = {part: Lines(given.results, part, began_at) for part in PARTS}
    wanted = PARTS if given.part == "all" else (given.part,)
    if "choose" not in wanted and (why := grid.incomplete(of["choose"].read(), of["choose"].path)):
        parser.exit(2, f"{why}\n")
    photographs = Photographs(tuple(given.data_root), given.work)
    if "choose" in wanted:
        choosing(photographs, of["choose"])
    best = grid.chosen(of["choose"].read())
    measuring = {"compare": comparing, "curves": courses, "sweeps": sweeping, "variance": varying}
    for part, measure in measuring.items():
        if part in wanted:
            measure(photographs, best, of[part])


if __name__ == "__main__":
    main()
