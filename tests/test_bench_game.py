"""The course of an adversarial game in a bench: what a record holds of it, by hand, and what a page shows."""

import numpy as np
import pytest
from test_table import HEAD, Place

from novelette import training
from novelette.bench.engine import run_bench
from novelette.bench.found import find
from novelette.bench.game import accuracies, variances
from novelette.bench.measures import Exam
from novelette.bench.runs import Bench

D = '[[detectors]]\nlabel = "D"\nmethod = "discriminator"\n'


def test_a_record_has_the_mean_answers_to_data_and_novelties_at_each_point_and_the_variance_of_the_log(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "LOG_EVERY", 3)
    row = {"label": "D", "method": "discriminator", "config": {"width": 2, "latent": 4, "steps": 6, "batch_size": 4}}
    more = {"protocol": "leave-one-out", "classes": ("4",), "curve": 2, "curve_every": 3, "measures": ("accuracy", "variance")}
    kept, original = [], Exam.scores

    def scores(self, scorer, which, *moved):
        kept.append((which, original(self, scorer, which, *moved), self.novel[which]))
        return kept[-1][1]

    monkeypatch.setattr(Exam, "scores", scores)
    (record,) = run_bench(Bench(name="g", title="g", data="digits", detectors=(row,), **more), tmp_path)
    assert [line[0] for line in record["accuracy"]] == [3, 6]
    for (step, data, novel), (which, of_it, is_novel) in zip(record["accuracy"], kept[-2:], strict=True):
        assert len(which) == len(range(0, record["split"]["test"], 3)), step
        normal = [1 - s for s, new in zip(of_it.tolist(), is_novel, strict=True) if not new]
        others = [s for s, new in zip(of_it.tolist(), is_novel, strict=True) if new]
        assert (data, novel) == (pytest.approx(np.mean(normal), abs=1e-5), pytest.approx(np.mean(others), abs=1e-5))
    assert [step for step, _ in record["variance"]] == [3, 6]
    assert all(value > 0 for _, value in record["variance"])


@pytest.fixture
def found(tmp_path):
    place = Place(tmp_path)
    path = place.bench(HEAD.replace('classes = ["0", "1"]', 'classes = ["0"]\nseeds = [0, 1]') + D)
    by_seed = {0: [(10, 0.2, 0.9), (20, 0.4, 0.7)], 1: [(10, 0.4, 0.5), (20, 0.8, 0.3)]}
    spread = {0: [(10, 0.5), (20, 0.1)], 1: [(10, 0.3), (20, 0.2)]}
    given = {"accuracy": lambda run: by_seed[run.seed], "variance": lambda run: spread[run.seed]}
    place.records(path, {("D", "0", 0): 0.5, ("D", "0", 1): 0.6}, **given)
    return find(path, place.results)


def test_the_page_has_the_last_accuracies_over_seeds_and_draws_their_mean_courses(found):
    section = accuracies(found)
    assert "| D | 0.6000 ± 0.2828 (2) | 0.5000 ± 0.2828 (2) |" in section.text
    (plot,) = section.plots
    data, novel = plot.panels["D"]
    assert (list(data.x), list(data.y)) == ([10, 20], pytest.approx([0.3, 0.6]))
    assert list(novel.y) == pytest.approx([0.7, 0.5])


def test_the_page_has_the_last_and_the_least_variance(found):
    section = variances(found)
    assert "| D | 0.1500 ± 0.0707 (2) | 0.1500 ± 0.0707 (2) |" in section.text
    (line,) = section.plots[0].panels[""]
    assert list(line.y) == pytest.approx([0.4, 0.15])


def test_benches_of_other_methods_have_neither(tmp_path):
    place = Place(tmp_path)
    path = place.bench(HEAD + '[[detectors]]\nlabel = "kNN"\nmethod = "knn"\n')
    place.records(path, {("kNN", "0", 0): 0.5})
    found = find(path, place.results)
    assert accuracies(found) is None
    assert variances(found) is None
