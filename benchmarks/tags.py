"""Taggers on the captioned photographs: Table 2, Figures 3b, 5 and 7 of the KDGAN paper on 1,000 photographs of Flickr8k.

    python benchmarks/tags.py choose|compare|curves|sweeps|variance|all [--data-root DIR] [--results results] [--work DIR]

Settings are chosen on 600 photographs; the tests of all five splits are drawn from the other 400, 200 each, and the rest of the 1,000
trains. So no photograph that settings were chosen on is ever tested on. Each part appends to results/tags-PART.jsonl, and leaves out what
has a line there.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from novelette.bench.engine import commit
from novelette.classify.game import HasState, Turns, persuasion
from novelette.classify.losses import distillation
from novelette.tags import METHODS
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
READS: Settings = {"reading_rate": 1e-3, "passes_d": 1}
OF_KDGAN: list[Settings] = [{}, {"beta": 0.3}, {"beta": 3.0}, {"beta": 10.0}, {"reading_rate": 3e-4}, {"distance": "l2"}]
GRID: dict[str, tuple[str, list[Settings]]] = {  # by label: the method, and what is tried
    "KNN": ("knn", [{"k": k} for k in (10, 20, 40)]),
    "TPROP": ("tprop", [{"by": "rank", "sigmoids": False}, {"by": "rank"}, {"by": "distance"}]),
    "TFEAT": ("tfeat", [{"c": c} for c in (0.03, 0.1, 0.3)]),
    "REXMP": ("rexmp", [{"c": c} for c in (0.03, 0.1, 0.3)]),
    "plain, linear": ("plain", [LINEAR, SLOWLY]),
    "NaGAN, linear": ("nagan", [LINEAR | READS, LINEAR | READS | {"reading_rate": 3e-4}, SLOWLY | READS]),
    "KDGAN, linear": ("kdgan", [*(LINEAR | READS | more for more in OF_KDGAN), SLOWLY | READS | {"beta": 3.0}]),
    "plain, hidden layer": ("plain", [HIDDEN, LONGER, LONGEST]),
    "NaGAN, hidden layer": ("nagan", [HIDDEN | READS, LONGER | READS, LONGEST | READS]),
    "KDGAN, hidden layer": ("kdgan", [HIDDEN | READS, *(LONGER | READS | more for more in OF_KDGAN), LONGEST | READS | {"beta": 3.0}]),
}


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

    def __init__(self, results: Path, part: str, stamp: str | None) -> None:
        self.path, self.stamp = results / f"tags-{part}.jsonl", stamp
        self.path.parent.mkdir(exist_ok=True)

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def add(self, key: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> None:
        """Measure and write a line, unless there is one of this key."""
        if any(all(line.get(name) == value for name, value in key.items()) for line in self.read()):
            return
        began = time.process_time()
        line = key | measure()
        line |= {"seconds": round(time.process_time() - began, 1), "load": round(os.getloadavg()[0], 1), "commit": self.stamp}
        line |= {"torch": torch.__version__, "created": datetime.now(UTC).isoformat(timespec="seconds")}
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


def choosing(photographs: Photographs, lines: Lines) -> None:
    """Every setting of the grid, twice, on the photographs that no test has."""
    for label, (method, tried) in GRID.items():
        for settings in tried:
            for seed in (0, 1):
                key = {"label": label, "method": method, "settings": settings, "seed": seed}
                task = photographs.shown(*photographs.developing(seed), "popular", seed)
                lines.add(key, lambda task=task, method=method, settings=settings: task.judged(task.trained(method, settings)))  # type: ignore[misc]


def chosen(lines: Lines) -> dict[str, tuple[str, Settings]]:
    """By label the method and the settings of highest mean MAP."""
    found = {}
    for label, (method, tried) in GRID.items():
        maps = [[line["MAP"] for line in lines.read() if line["label"] == label and line["settings"] == settings] for settings in tried]
        found[label] = method, tried[int(np.argmax([np.mean(own) for own in maps]))]
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
                lines.add(key, lambda task=task, m=method, s=settings, c=counts: c | task.judged(task.trained(m, s)))  # type: ignore[misc]


def courses(photographs: Photographs, best: Mapping[str, tuple[str, Settings]], lines: Lines, epochs: int) -> None:
    """Figure 3b: P@3 on the test photographs after each epoch of the game."""
    of_kdgan = best["KDGAN, linear"][1] | {"epochs": epochs}
    shown = {"KDGAN": ("kdgan", of_kdgan), "KDGAN-WO-GM": ("kdgan", of_kdgan | {"estimator": "categorical"})}
    shown |= {"NaGAN": ("nagan", best["NaGAN, linear"][1] | {"epochs": epochs})}
    for split in range(SPLITS):
        task = photographs.shown(*photographs.split(split), "popular", split)
        for label, (method, settings) in shown.items():
            lines.add({"label": label, "split": split, "settings": settings}, lambda t=task, m=method, s=settings: course(t, m, s))  # type: ignore[misc]


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


class Watched(Run):
    """A run that looks at the players before some of its steps."""

    def __init__(self, steps: dict[int, int], look: Callable[[int, Mapping[str, HasState]], None]) -> None:
        super().__init__()
        self.watched, self.look = steps, look

    def steps(self, total: int, parts: Mapping[str, HasState], *, seed: int, images: int = 1) -> Iterator[int]:
        for step in super().steps(total, parts, seed=seed, images=images):
            if step in self.watched:
                self.look(self.watched[step], parts)
                torch.manual_seed(step)
            yield step


def varying(photographs: Photographs, best: Mapping[str, tuple[str, Settings]], lines: Lines, epochs: int) -> None:
    """Figure 7: how far the gradients of a batch lie apart, those of the teacher's and of the discriminator's losses by two estimators."""
    settings = best["KDGAN, linear"][1] | {"epochs": epochs}
    for split in range(3):
        task = photographs.shown(*photographs.split(split), "popular", split)
        key = {"split": split, "settings": settings}
        lines.add(key, lambda task=task: {"epochs": variances(task, settings)})  # type: ignore[misc]


def variances(task: Task, settings: Settings) -> list[dict[str, float]]:
    """By epoch of the game and kind of gradient: its total variance over batches and draws, and the square of its mean's length."""
    config = METHODS["kdgan"].Config(**settings)
    turns, sights, found = Turns(len(task.examples), config, task.seed), Sights(task.examples, CPU, texts=True), []
    starts = {step: epoch for epoch, step in enumerate(turns.ends()[config.pretraining - 1 : -1])}

    def look(epoch: int, parts: Mapping[str, Any]) -> None:
        c, t, d = (parts[name] for name in "ctd")
        tau, rng = turns.temperature(config.pretraining + epoch, config.temperature, config.last_temperature), np.random.default_rng(epoch)
        given: dict[str, Any] = {"temperature": tau, "samples": config.samples, "baseline": config.baseline}
        gradients: dict[str, list[torch.Tensor]] = {}
        for _ in range(BATCHES):
            x = sights.x[torch.from_numpy(rng.permutation(len(sights.x))[: config.batch_size])]
            h, f, g = c(x), t.eval()(x), d.eval()(x)
            losses = {"distillation": distillation(h, f, config.distance)}
            for name, estimator in (("Gumbel-Max", "concrete"), ("plain draws", "categorical")):
                losses[name] = persuasion(h, g, estimator=estimator, **given)  # type: ignore[arg-type]
            for name, l in losses.items():
                own = torch.autograd.grad(l.mean(), list(c.parameters()), retain_graph=True)
                gradients.setdefault(name, []).append(torch.cat([part.flatten() for part in own]))
            mixed = [config.alpha * gradients["Gumbel-Max"][-1] + config.beta * gradients["distillation"][-1]]
            gradients.setdefault("both, as weighed", []).extend(mixed)
        t.train(), d.train()
        line: dict[str, float] = {"epoch": epoch, "temperature": round(tau, 4)}
        for name, all_of_them in gradients.items():
            many = torch.stack(all_of_them)
            line |= {name: float(many.var(0).sum()), f"{name}, mean": float(many.mean(0).square().sum())}
        found.append(line)

    task.trained("kdgan", settings, Watched(starts, look))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["choose", "compare", "curves", "sweeps", "variance", "all"])
    parser.add_argument("--data-root", type=Path, action="append", default=[])
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--work", type=Path, help="keeps what the network sees between runs")
    parser.add_argument("--epochs", type=int, default=20, help="of the game, for curves and variance")
    given = parser.parse_args()
    torch.set_num_threads(1)
    photographs, stamp = Photographs(tuple(given.data_root), given.work), commit()
    of = {part: Lines(given.results, part, stamp) for part in ("choose", "compare", "curves", "sweeps", "variance")}
    wanted = list(of) if given.part == "all" else [given.part]
    if "choose" in wanted:
        choosing(photographs, of["choose"])
    best = chosen(of["choose"])
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
