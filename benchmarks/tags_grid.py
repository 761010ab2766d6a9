"""What benchmarks/tags.py measures: which settings are tried, what is chosen of them, and what curves, sweeps and variances are of.

A setting is known by all fields of the method's configuration, defaults among them: a default that changes makes a record of another one.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import tags_taught

from novelette.tags import METHODS, words
from novelette.tags.features import Look
from novelette.tags.recipe import Game
from novelette.words import counted

Settings = dict[str, Any]  # some fields of a configuration
Resolved = dict[str, Any]  # all of them, in JSON's types
Best = Mapping[str, tuple[str, Resolved]]  # by label the method and what was chosen

TAGGERS: dict[str, ModuleType] = METHODS | {"taught": tags_taught}
SOURCE, TAGS = "flickr8k-1000", 100
FOR_TESTS, TESTED = 400, 200  # photographs of which tests are drawn, and of a test
SEEDS = (0, 1)  # of the two parts that settings are chosen on
COURSE, LOOKS = 60, 20  # epochs of the game, of curves and of variances

LINEAR, HIDDEN = "linear", "hidden layer"
PASSES: dict[str, dict[float, tuple[int, ...]]] = {  # of pretraining, by the classifier's learning rate; the same for every method
    LINEAR: {3e-4: (60,), 1e-3: (20, 60, 180), 3e-3: (7, 20, 60), 1e-2: (7, 20)},
    HIDDEN: {1e-4: (80,), 3e-4: (40, 80, 160), 1e-3: (20, 80)},
}
CENTRE = {LINEAR: (3e-3, 20), HIDDEN: (3e-4, 80)}  # schedules at which other settings are varied
LONGER = {LINEAR: (3e-3, 60), HIDDEN: (3e-4, 160)}
READS: Settings = {"reading_rate": 1e-3}
SLOWER: Settings = {"reading_rate": 3e-4}


def schedules(classifier: str) -> list[Settings]:
    """Every learning rate with its passes."""
    return [at(classifier, rate, passes) for rate, every in PASSES[classifier].items() for passes in every]


def at(classifier: str, learning_rate: float, pretraining: int) -> Settings:
    """A schedule; the game is of ten epochs for every method."""
    hidden = 0 if classifier == LINEAR else 256
    return {"hidden": hidden, "learning_rate": learning_rate, "pretraining": pretraining, "epochs": 10}


def of_kdgan(classifier: str) -> list[Settings]:
    """β = 10 by every schedule; by one of them other β, a slower teacher, and L2; by a longer one β = 30 and L2."""
    centre, longer = (at(classifier, *pairs[classifier]) | READS for pairs in (CENTRE, LONGER))
    return [
        *(own | READS | {"beta": 10.0} for own in schedules(classifier)),
        *(centre | {"beta": beta} for beta in (3.0, 30.0, 100.0)),
        centre | SLOWER | {"beta": 10.0},
        centre | {"beta": 10.0, "distance": "l2"},
        longer | {"beta": 30.0},
        longer | {"beta": 10.0, "distance": "l2"},
    ]


def both(every: list[Settings]) -> list[Settings]:
    """Each with and without Adam forgetting pretraining."""
    return [own | {"forget": forget} for own in every for forget in (False, True)]


def games(classifier: str) -> dict[str, tuple[str, list[Settings]]]:
    """The rows of a classifier that is trained by steps."""
    plain, centre = schedules(classifier), at(classifier, *CENTRE[classifier])
    kdgan = both(of_kdgan(classifier))
    return {
        f"plain, {classifier}": ("plain", plain),
        f"NaGAN, {classifier}": ("nagan", both([*(own | READS for own in plain), centre | SLOWER])),
        f"KDGAN, {classifier}": ("kdgan", kdgan),
        f"KDGAN without text, {classifier}": ("kdgan", kdgan),
        f"KDGAN without its discriminator, {classifier}": (
            "taught",
            both([*(own | READS for own in plain), centre | SLOWER, centre | READS | {"soft_weight": 0.5}]),
        ),
    }


GRID: dict[str, tuple[str, list[Settings]]] = {  # by label: the method, and what is tried
    "KNN": ("knn", [{"k": k} for k in (10, 20, 40)]),
    "TPROP": ("tprop", [{"by": "rank", "sigmoids": False}, {"by": "rank"}, {"by": "distance"}]),
    "TFEAT": ("tfeat", [{"c": c} for c in (0.03, 0.1, 0.3, 1.0)]),
    "REXMP": ("rexmp", [{"c": c} for c in (0.03, 0.1, 0.3)]),
    **games(LINEAR),
    **games(HIDDEN),
}
BLIND = {f"KDGAN without text, {classifier}" for classifier in (LINEAR, HIDDEN)}  # whose texts are one word, always the same
SWEEPS: dict[tuple[str, str], tuple[float, ...]] = {  # by weight and estimator; β and γ over the range that the paper searched
    ("alpha", "concrete"): (0.01, 0.1, 0.3, 0.6, 0.9),
    ("alpha", "categorical"): (0.01, 0.1, 0.3, 0.6, 0.9),
    ("beta", "concrete"): (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0),
    ("gamma", "concrete"): (1e-4, 1e-2, 1.0, 100.0),
}


def resolved(method: str, settings: Mapping[str, Any]) -> Resolved:
    """A configuration with its defaults, as a record has it."""
    found: Resolved = TAGGERS[method].Config(**settings).model_dump(mode="json")
    return found


def seen() -> dict[str, Any]:
    """What all methods are shown, as a record has it; the words are those that captions are read by."""
    lists = [sorted(words.FUNCTION_WORDS), sorted(words.QUALITIES), sorted(words.IRREGULAR.items())]
    read_by = hashlib.sha256(json.dumps(lists).encode()).hexdigest()[:16]
    counts = {"tags": TAGS, "for_tests": FOR_TESTS, "tested": TESTED}
    return {"source": SOURCE, "look": Look().model_dump(mode="json"), "words": read_by} | counts


def tried() -> list[tuple[str, str, Resolved]]:
    """Label, method and configuration of every row of the grid."""
    return [(label, method, resolved(method, settings)) for label, (method, every) in GRID.items() for settings in every]


def missing(records: Sequence[Mapping[str, Any]]) -> int:
    """How many measurements of the grid have no record. Of a part of them nothing is chosen."""
    return sum(not any(known(r, *row) and r["seed"] == seed for r in records) for row in tried() for seed in SEEDS)


def known(record: Mapping[str, Any], label: str, method: str, config: Resolved) -> bool:
    """Whether a record is of this row, and of what methods are shown now."""
    key = {"label": label, "method": method, "config": config, "seen": seen()}
    return all(record.get(name) == value for name, value in key.items())


def incomplete(records: Sequence[Mapping[str, Any]], path: Path) -> str:
    """One sentence where something of the grid has no record; else nothing."""
    left = missing(records)
    words = f"{path} lacks {counted(left, 'measurement')} that settings are chosen by: run `python benchmarks/tags.py choose` first"
    return words if left else ""


def chosen(records: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, Resolved]]:
    """By label the method and the configuration of highest mean MAP, of those of the grid that have records."""
    found: dict[str, tuple[float, str, Resolved]] = {}
    for label, method, config in tried():
        maps = [r["MAP"] for r in records if known(r, label, method, config)]
        if maps and (label not in found or np.mean(maps) > found[label][0]):
            found[label] = float(np.mean(maps)), method, config
    return {label: (method, config) for label, (_, method, config) in found.items()}


def of_courses(best: Best) -> dict[str, tuple[str, Resolved]]:
    """The courses: KDGAN, NaGAN at its own best settings, and at KDGAN's schedule."""
    long = {"epochs": COURSE}
    kdgan = best["KDGAN, linear"][1] | long
    alike = {name: kdgan[name] for name in Game.model_fields}
    return {
        "KDGAN": ("kdgan", kdgan),
        "KDGAN-WO-GM": ("kdgan", kdgan | {"estimator": "categorical"}),
        "NaGAN": ("nagan", best["NaGAN, linear"][1] | long),
        "NaGAN by KDGAN's schedule": ("nagan", resolved("nagan", alike)),
    }


def of_sweeps(best: Best) -> list[tuple[str, str, float, Resolved]]:
    """Weight, estimator, value and configuration."""
    linear = best["KDGAN, linear"][1]
    return [(name, by, v, linear | {name: v, "estimator": by}) for (name, by), values in SWEEPS.items() for v in values]


def of_variance(best: Best) -> Resolved:
    return best["KDGAN, linear"][1] | {"epochs": LOOKS}
