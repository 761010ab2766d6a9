"""Taggers on the captioned photographs: Table 2, Figures 3b, 5 and 7 of the KDGAN paper on 1,000 photographs of Flickr8k.

    python benchmarks/tags.py choose|compare|curves|sweeps|variance|all [--data-root DIR] [--results results] [--work DIR]

Settings are chosen on 600 photographs; the tests of all five splits are drawn from the other 400, 200 each, and the rest of the 1,000
trains. So no photograph that settings were chosen on is ever tested on. Each part appends to results/tags-PART.jsonl, and leaves out what
has a line there.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from novelette.bench.stamps import append, commit, stamp
from novelette.bench.stamps import read as read_lines
from novelette.classify import algorithm, gradients
from novelette.classify.game import Turns
from novelette.tags import METHODS, kdgan
from novelette.tags.examples import Examples
from novelette.tags.features import Look, loaded, see
from novelette.tags.players import Sights
from novelette.tags.ranking import measures
from novelette.tags.readers import read
from novelette.tags.vocabulary import choose, incidence
from novelette.training import Run

CPU = torch.device("cpu")
SOURCE, TAGS = "flickr8k-1000", 100
SWEEPS: dict[tuple[str, str], tuple[float, ...]] = {  # by weight and estimator
    ("alpha", "concrete"): (0.01, 0.1, 0.3, 0.6, 0.9),
    ("alpha", "categorical"): (0.01, 0.1, 0.3, 0.6, 0.9),
    ("beta", "concrete"): (0.001, 0.1, 1, 10),
    ("gamma", "concrete"): (1e-4, 1e-2, 1, 100),
}
SPLITS, FOR_TESTS, TESTED = 5, 400, 200
BATCHES = 40  # whose gradients vary

Settings = dict[str, Any]
LINEAR: Settings = {"hidden": 0, "learning_rate": 3e-3, "pretraining": 20, "epochs": 10}
SLOWLY: Settings = {"hidden": 0, "learning_rate": 1e-3, "pretraining": 60, "epochs": 30}
HIDDEN: Settings = {"hidden": 256, "learning_rate": 3e-4, "pretraining": 20, "epochs": 10}
LONGER: Settings = HIDDEN | {"pretraining": 40}
LONGEST: Settings = HIDDEN | {"pretraining": 80}
STILL_LONGER_LINEAR: list[Settings] = [SLOWLY | {"pretraining": passes} for passes in (120, 240, 480)]
STILL_LONGER_HIDDEN: list[Settings] = [HIDDEN | {"pretraining": passes} for passes in (160, 320)]
READS: Settings = {"reading_rate": 1e-3, "passes_d": 1}
OF_KDGAN: list[Settings] = [{}, {"beta": 0.3}, {"beta": 3.0}, {"beta": 10.0}, {"reading_rate": 3e-4}, {"distance": "l2"}]
KDGAN_LINEAR: list[Settings] = [
    *(LINEAR | READS | more for more in OF_KDGAN),
    SLOWLY | READS | {"beta": 3.0},
    LINEAR | READS | {"beta": 30.0},
    *(SLOWLY | READS | {"beta": 10.0, "pretraining": passes} for passes in (120, 240)),
]
KDGAN_HIDDEN: list[Settings] = [
    HIDDEN | READS,
    *(LONGER | READS | more for more in OF_KDGAN),
    LONGEST | READS | {"beta": 3.0},
    *(longer | READS | {"beta": 3.0} for longer in STILL_LONGER_HIDDEN),
]


GRID: dict[str, tuple[str, list[Settings]]] = {  # by label: the method, and what is tried
    "KNN": ("knn", [{"k": k} for k in (10, 20, 40)]),
    "TPROP": ("tprop", [{"by": "rank", "sigmoids": False}, {"by": "rank"}, {"by": "distance"}]),
    "TFEAT": ("tfeat", [{"c": c} for c in (0.03, 0.1, 0.3)]),
    "REXMP": ("rexmp", [{"c": c} for c in (0.03, 0.1, 0.3)]),
    "plain, linear": ("plain", [LINEAR, SLOWLY, *STILL_LONGER_LINEAR]),
    "NaGAN, linear": (
        "nagan",
        [LINEAR | READS, LINEAR | READS | {"reading_rate": 3e-4}, *(longer | READS for longer in (SLOWLY, *STILL_LONGER_LINEAR[:2]))],
    ),
    "KDGAN, linear": ("kdgan", KDGAN_LINEAR),
    "KDGAN without text, linear": ("kdgan", KDGAN_LINEAR),
    "plain, hidden layer": ("plain", [HIDDEN, LONGER, LONGEST, *STILL_LONGER_HIDDEN]),
    "NaGAN, hidden layer": ("nagan", [longer | READS for longer in (HIDDEN, LONGER, LONGEST, *STILL_LONGER_HIDDEN)]),
    "KDGAN, hidden layer": ("kdgan", KDGAN_HIDDEN),
    "KDGAN without text, hidden layer": ("kdgan", KDGAN_HIDDEN),
}
BLIND = {"KDGAN without text, linear", "KDGAN without text, hidden layer"}  # whose texts are one word, always the same


class Photographs:
    """Vectors, tags and texts of all photographs, in the order of their names."""

    def __init__(self, data_roots: tuple[Path, ...], work: Path | None) -> None:
        tagged = read(SOURCE, data_roots)
        order = np.argsort(tagged.source.names)
        look = Look()
        seen = see(tagged.source, look, *loaded(look), work=work, bar=True)
        self.vectors = seen.vectors[torch.from_numpy(order)]
        self.tags, self.texts = [tagged.tags[i] for i in order], [tagged.texts[i] for i in order]

    def developing(self, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """To choose on: four fifths to train, a fifth to validate."""
        free = np.random.default_rng(0).permutation(len(self.tags))[FOR_TESTS:]
        order = np.random.default_rng(seed).permutation(free)
        return order[len(free) // 5 :], order[: len(free) // 5]

    def split(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """To compare by: training and test."""
        for_tests = np.random.default_rng(0).permutation(len(self.tags))[:FOR_TESTS]
        test = np.random.default_rng(1000 + number).permutation(for_tests)[:TESTED]
        return np.setdiff1d(np.arange(len(self.tags)), test), test

    def shown(self, training: NDArray[np.int64], test: NDArray[np.int64], kind: str, seed: int) -> "Task":
        vocabulary = choose([self.tags[i] for i in training], kind, TAGS, seed)  # type: ignore[arg-type]
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

    def trained(self, method: str, settings: Settings, run: Run | None = None) -> Any:
        module = METHODS[method]
        return module.fit(self.examples, module.Config(**settings), seed=self.seed, device=CPU, run=run or Run())


class Lines:
    """results/tags-PART.jsonl: a line a measurement, known by some of its fields."""

    def __init__(self, results: Path, part: str, commit: str | None) -> None:
        self.path, self.commit = results / f"tags-{part}.jsonl", commit

    def read(self) -> list[dict[str, Any]]:
        return read_lines(self.path)

    def add(self, key: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> None:
        """Measure and write a line, unless there is one of this key."""
        if any(all(line.get(name) == value for name, value in key.items()) for line in self.read()):
            return
        line, began = stamp(self.commit) | key, time.process_time()
        line |= measure()
        line["seconds"] = round(time.process_time() - began, 1)
        append(self.path, [line])
        print(json.dumps(line), flush=True)


def choosing(photographs: Photographs, lines: Lines) -> None:
    """Every setting of the grid, twice, on the photographs that no test has."""
    for label, (method, tried) in GRID.items():
        for settings in tried:
            for seed in (0, 1):
                key = {"label": label, "method": method, "settings": settings, "seed": seed}
                task = photographs.shown(*photographs.developing(seed), "popular", seed)
                lines.add(key, lambda task=task, label=label, m=method, s=settings: result(task, label, m, s))  # type: ignore[misc]


def result(task: Task, label: str, method: str, settings: Settings) -> dict[str, float]:
    """How good a row's tagger is."""
    task = task.blind() if label in BLIND else task
    return task.judged(task.trained(method, settings))


def chosen(records: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, Settings]]:
    """By label the method and the settings of highest mean MAP, of those that have been tried."""
    found = {}
    for label, (method, tried) in GRID.items():
        maps = [[line["MAP"] for line in records if line["label"] == label and line["settings"] == settings] for settings in tried]
        if any(maps):
            found[label] = method, tried[int(np.argmax([np.mean(own) if own else -1 for own in maps]))]
    return found


def comparing(photographs: Photographs, best: Mapping[str, tuple[str, Settings]], lines: Lines) -> None:
    """Table 2: every method on five splits by both vocabularies."""
    for kind in ("popular", "random"):
        for split in range(SPLITS):
            task = photographs.shown(*photographs.split(split), kind, split)
            counts = {
                "training": len(task.examples),
                "test": len(task.truth),
                "tags a photograph": round(float(task.truth.sum(1).mean()), 2),
            }
            for label, (method, settings) in best.items():
                key = {"vocabulary": kind, "split": split, "label": label, "method": method, "settings": settings}
                lines.add(key, lambda task=task, label=label, m=method, s=settings, c=counts: c | result(task, label, m, s))  # type: ignore[misc]


def courses(photographs: Photographs, best: Mapping[str, tuple[str, Settings]], lines: Lines, epochs: int) -> None:
    """Figure 3b: P@3 on the test photographs after each epoch of the game."""
    for split in range(SPLITS):
        task = photographs.shown(*photographs.split(split), "popular", split)
        for label, (method, settings) in of_courses(best, epochs).items():
            lines.add({"label": label, "split": split, "settings": settings}, lambda t=task, m=method, s=settings: course(t, m, s))  # type: ignore[misc]


def of_courses(best: Mapping[str, tuple[str, Settings]], epochs: int) -> dict[str, tuple[str, Settings]]:
    """The courses: KDGAN, NaGAN at its own best settings, and at KDGAN's schedule."""
    of_kdgan = best["KDGAN, linear"][1] | {"epochs": epochs}
    alike = {name: value for name, value in of_kdgan.items() if name in METHODS["nagan"].Config.model_fields}
    return {
        "KDGAN": ("kdgan", of_kdgan),
        "KDGAN-WO-GM": ("kdgan", of_kdgan | {"estimator": "categorical"}),
        "NaGAN": ("nagan", best["NaGAN, linear"][1] | {"epochs": epochs}),
        "NaGAN, KDGAN's schedule": ("nagan", alike),
    }


def course(task: Task, method: str, settings: Settings) -> dict[str, Any]:
    module = METHODS[method]
    config = module.Config(**settings)
    ends = Turns(len(task.examples), config, task.seed).ends()[config.pretraining - 1 :]
    run = Run(snapshot_steps=frozenset(ends))
    task.trained(method, settings, run)
    values = []
    for step in ends:
        state = {f"net.{name}": value for name, value in run.snapshots[step][0].items()}
        values.append(task.judged(module.Scorer(config, state)))
    return {"epoch": list(range(len(ends))), "P@3": [value["P@3"] for value in values], "MAP": [value["MAP"] for value in values]}


def sweeping(photographs: Photographs, best: Mapping[str, tuple[str, Settings]], lines: Lines) -> None:
    """Figure 5: one weight of Eq. 3 at a time, on two validation parts; that of the game by plain draws as well."""
    for (name, estimator), values in SWEEPS.items():
        for value in values:
            for seed in range(2):
                task = photographs.shown(*photographs.developing(seed), "popular", seed)
                settings = best["KDGAN, linear"][1] | {name: value, "estimator": estimator}
                key = {"weight": name, "value": value, "estimator": estimator, "seed": seed, "settings": settings}
                lines.add(key, lambda task=task, settings=settings: swept(task, settings))  # type: ignore[misc]


def swept(task: Task, settings: Settings) -> dict[str, float]:
    """The measures, and the mean entropy of the classifier's distributions: how far it is from being certain, in nats."""
    scorer = task.trained("kdgan", settings)
    log_p = scorer.scores(task.vectors).log_softmax(1)
    return task.judged(scorer) | {"entropy": round(float(-(log_p.exp() * log_p).sum(1).mean()), 4)}


def varying(photographs: Photographs, best: Mapping[str, tuple[str, Settings]], lines: Lines, epochs: int) -> None:
    """Figure 7: how far the gradients of a batch lie apart, those of the teacher's and of the discriminator's losses."""
    settings = best["KDGAN, linear"][1] | {"epochs": epochs}
    for split in range(3):
        task = photographs.shown(*photographs.split(split), "popular", split)
        lines.add({"split": split, "settings": settings}, lambda task=task: variances(task, settings))  # type: ignore[misc]


def variances(task: Task, settings: Settings) -> dict[str, Any]:
    """What is seen before each epoch of the game."""
    config, examples = kdgan.Config(**settings), task.examples
    turns, sights = Turns(len(examples), config, task.seed), Sights(examples, CPU, texts=True)
    playing = kdgan.players(examples, sights, config, task.seed)

    def look(epoch: int) -> dict[str, Any]:
        tau = turns.temperature(config.pretraining + epoch, config.temperature, config.last_temperature)
        seen = gradients.look([p.net for p in playing], sights.x, config, config.batch_size, tau, BATCHES)
        return {"tau": round(tau, 4), "gradients": seen}

    looking = gradients.Looking(sights, config.pretraining, range(config.epochs), look)
    algorithm.kdgan(*playing, looking, sights.truth, turns, config, Run(), seed=task.seed)
    return {"draws": BATCHES, "config": config.model_dump(mode="json"), "looks": looking.looks}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["choose", "compare", "curves", "sweeps", "variance", "all"])
    parser.add_argument("--data-root", type=Path, action="append", default=[])
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--work", type=Path, help="keeps what the network sees between runs")
    parser.add_argument("--epochs", type=int, default=20, help="of the game, for curves and variance")
    given = parser.parse_args()
    torch.set_num_threads(1)
    photographs, began_at = Photographs(tuple(given.data_root), given.work), commit()
    of = {part: Lines(given.results, part, began_at) for part in ("choose", "compare", "curves", "sweeps", "variance")}
    wanted = list(of) if given.part == "all" else [given.part]
    if "choose" in wanted:
        choosing(photographs, of["choose"])
    best = chosen(of["choose"].read())
    if "compare" in wanted:
        comparing(photographs, best, of["compare"])
    if "curves" in wanted:
        courses(photographs, best, of["curves"], given.epochs)
    if "sweeps" in wanted:
        sweeping(photographs, best, of["sweeps"])
    if "variance" in wanted:
        varying(photographs, best, of["variance"], given.epochs)


if __name__ == "__main__":
    main()
