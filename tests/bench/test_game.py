"""The course of an adversarial game in a bench: what a record holds of it, by hand, and what a page shows."""

import math

import numpy as np
import pytest
from table.made_records import HEAD, Place

from novelette import training
from novelette.bench.engine import logged, run_bench
from novelette.bench.found import find
from novelette.bench.game import _together, accuracies, losses, variances
from novelette.bench.measures import Exam
from novelette.bench.runs import Bench

D = '[[detectors]]\nlabel = "D"\nmethod = "discriminator"\n'


def test_a_record_has_the_mean_answers_to_data_and_novelties_at_each_point_and_the_variance_of_the_log(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "LOG_EVERY", 3)
    row = {"label": "D", "method": "discriminator", "config": {"width": 2, "latent": 4, "steps": 6, "batch_size": 4}}
    more = {"protocol": "leave-one-out", "classes": ("4",), "curve": 2, "curve_every": 3, "measures": ("accuracy", "losses", "variance")}
    kept, original = [], Exam.scores

    def scores(self, scorer, which, *moved):
        kept.append((which, original(self, scorer, which, *moved), self.novel[which]))
        return kept[-1][1]

    monkeypatch.setattr(Exam, "scores", scores)
    (record,) = run_bench(Bench(name="g", title="g", data="digits", detectors=(row,), **more), tmp_path)
    assert [line[0] for line in record["accuracy"]] == [3, 6]
    for (step, data, novel), (which, of_it, is_novel) in zip(record["accuracy"], kept[-2:], strict=True):
        assert len(which) == len(range(0, record["split"]["test"], 3)), step
        normal = [math.exp(-s) for s, new in zip(of_it.tolist(), is_novel, strict=True) if not new]
        others = [1 - math.exp(-s) for s, new in zip(of_it.tolist(), is_novel, strict=True) if new]
        assert (data, novel) == (pytest.approx(np.mean(normal), abs=1e-5), pytest.approx(np.mean(others), abs=1e-5))
    assert [step for step, _ in record["variance"]] == [3, 6]
    assert all(value > 0 for _, value in record["variance"])
    assert [step for step, _, _ in record["losses"]] == [3, 6]
    assert all(g > 0 and d > 0 for _, g, d in record["losses"])


def test_a_records_course_is_the_lines_of_the_log_that_have_all_it_asks_for():
    log = [{"step": 3, "forger": 2.0, "curator": 1.0}, {"step": 6, "ae": 0.5}, {"step": 9, "curator": 4.0, "forger": 3.0}]
    assert logged(log, ("forger", "curator")) == [(3, 2.0, 1.0), (9, 3.0, 4.0)]


@pytest.fixture
def found(tmp_path):
    place = Place(tmp_path)
    path = place.bench(HEAD.replace('classes = ["0", "1"]', 'classes = ["0"]\nseeds = [0, 1]') + D)
    by_seed = {0: [(10, 0.2, 0.9), (20, 0.4, 0.7)], 1: [(10, 0.4, 0.5), (20, 0.8, 0.3)]}
    spread = {0: [(10, 0.5), (20, 0.1)], 1: [(10, 0.3), (20, 0.2)]}
    game = {0: [(10, 5.0, 1.0), (20, 2.0, 1.0), (30, 4.0, 3.0)], 1: [(10, 9.0, 1.0), (20, 2.0, 2.0), (30, 2.0, 2.0)]}
    given = {"accuracy": lambda run: by_seed[run.seed], "variance": lambda run: spread[run.seed], "losses": lambda run: game[run.seed]}
    place.records(path, {("D", "0", 0): 0.5, ("D", "0", 1): 0.6}, **given)
    return find(path, place.results)


def test_the_page_has_the_last_accuracies_over_seeds_and_draws_their_mean_courses(found):
    section = accuracies(found)
    assert "| D | 0.6000 ± 0.2828 (2) | 0.5000 ± 0.2828 (2) | -1.0000 ± 0.0000 (2) |" in section.text
    assert "negative in 2 of 2 courses, and below -0.5 in 2" in section.text
    (plot,) = section.plots
    data, novel = plot.panels["D"]
    assert (list(data.x), list(data.y)) == ([10, 20], pytest.approx([0.3, 0.6]))
    assert list(novel.y) == pytest.approx([0.7, 0.5])


def test_accuracies_that_do_not_move_or_have_one_point_have_no_correlation():
    assert _together({"accuracy": [(1, 0.5, 0.5)]}) is None
    assert _together({"accuracy": [(1, 0.5, 0.2), (2, 0.5, 0.4)]}) is None
    assert _together({"accuracy": [(1, 0.1, 0.2), (2, 0.3, 0.4)]}) == pytest.approx(1)


def test_the_page_has_the_last_and_the_least_variance(found):
    section = variances(found)
    assert "| D | 0.1500 ± 0.0707 (2) | 0.1500 ± 0.0707 (2) |" in section.text
    (line,) = section.plots[0].panels[""]
    assert list(line.y) == pytest.approx([0.4, 0.15])


def test_the_page_has_each_players_last_loss_and_how_far_it_swings_in_the_second_half_and_draws_every_seed(found):
    section = losses(found)
    assert "| D | 3.0000 ± 1.4142 (2) | 2.5000 ± 0.7071 (2) | 0.5000 ± 0.7071 (2) | 0.5000 ± 0.7071 (2) |" in section.text
    drawn = [(line.label, tuple(line.x), tuple(line.y)) for line in section.plots[0].panels["D"]]
    assert drawn[:2] == [("generator", (10, 20, 30), (5, 2, 4)), ("generator", (10, 20, 30), (9, 2, 2))]
    assert drawn[2:] == [("discriminator", (10, 20, 30), (1, 1, 3)), ("discriminator", (10, 20, 30), (1, 2, 2))]


def test_benches_of_other_methods_have_none_of_it(tmp_path):
    place = Place(tmp_path)
    path = place.bench(HEAD + '[[detectors]]\nlabel = "kNN"\nmethod = "knn"\n')
    place.records(path, {("kNN", "0", 0): 0.5})
    found = find(path, place.results)
    assert accuracies(found) is None
    assert variances(found) is None
    assert losses(found) is None
