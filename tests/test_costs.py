"""The threshold of least cost: by hand, and against every threshold there is."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import assert_refused, checks, fitted, stripes, write, write_labelled

from novelette import calibrate, store
from novelette.cli import main
from novelette.costs import expected_costs

SCORES = st.lists(st.integers(0, 8).map(float), min_size=1, max_size=12)


def cost_of(threshold, normal, novel, w, prior):
    """R(t) by counting. A rate is what calibrate promises of the threshold: (1 + those above) / (n + 1); of no threshold at all it is 0."""
    alarms = 0.0 if threshold == np.inf else (1 + sum(s > threshold for s in normal)) / (len(normal) + 1)
    return (1 - prior) * alarms + w * prior * sum(s <= threshold for s in novel) / len(novel)


@given(SCORES, SCORES, st.sampled_from([0.1, 1.0, 3.0, 50.0]), st.sampled_from([0.01, 0.3, 0.5, 0.9]))
@settings(max_examples=150, deadline=None)
def test_no_threshold_at_all_costs_less_than_the_best_of_the_calibration_scores(normal, novel, w, prior):
    costs = expected_costs(np.sort(normal), np.array(novel), miss_cost=w, novel_prior=prior)
    everywhere = [-np.inf, np.inf, *np.arange(-0.5, 9, 0.25)]
    best = min(cost_of(t, normal, novel, w, prior) for t in everywhere)
    assert costs.min() == pytest.approx(best, abs=1e-12)
    k = int(costs.argmin())
    threshold = np.inf if k == 0 else -np.inf if k == len(normal) + 1 else np.sort(normal)[-k]
    assert cost_of(threshold, normal, novel, w, prior) == pytest.approx(best, abs=1e-12)
    if 0 < k <= len(normal):
        assert calibrate.threshold(np.sort(normal), k / (len(normal) + 1)) == threshold


def test_costs_by_hand():
    """Four normal scores and two novel ones; a tenth is novel, and a miss is as bad as five false alarms."""
    costs = expected_costs(np.array([1.0, 2, 3, 4]), np.array([2.5, 9]), miss_cost=5, novel_prior=0.1)
    assert costs == pytest.approx([0.5, 0.9 / 5 + 0.25, 0.9 * 2 / 5 + 0.25, 0.9 * 3 / 5, 0.9 * 4 / 5, 0.9])
    assert costs.argmin() == 1  # above 4: one of the two is missed


def test_a_miss_that_weighs_more_never_raises_the_threshold():
    rng = np.random.default_rng(0)
    normal, novel = np.sort(rng.normal(0, 1, 200)), rng.normal(1.5, 1, 80)
    ranks = [int(expected_costs(normal, novel, miss_cost=w, novel_prior=0.05).argmin()) for w in (1, 5, 20, 100, 1000)]
    assert ranks == sorted(ranks)
    assert ranks[0] < ranks[-1]


def test_for_two_normal_distributions_the_threshold_is_where_their_likelihoods_weigh_alike():
    """R′(t) = 0 where (1 - π) f₀(t) = w π f₁(t): for N(0, 1) and N(d, 1) at t = d / 2 + log((1 - π) / (w π)) / d."""
    rng = np.random.default_rng(1)
    normal, novel = np.sort(rng.normal(0, 1, 40_000)), rng.normal(2, 1, 40_000)
    k = int(expected_costs(normal, novel, miss_cost=10, novel_prior=0.02).argmin())
    assert normal[-k] == pytest.approx(1 + np.log(0.98 / 0.2) / 2, abs=0.15)  # a flat minimum, of empirical distributions


def test_the_command_sets_the_threshold_and_keeps_what_it_rests_on(tmp_path, capsys):
    det = fitted(tmp_path / "a.det", write(tmp_path / "good", stripes(40)))
    labelled = write_labelled(tmp_path / "labelled", 20)
    capsys.readouterr()
    assert main(["calibrate", str(det), str(labelled), "--miss-cost", "20", "--novel-prior", "0.02"]) == 0
    out = capsys.readouterr().out
    assert "calibrated on 20 normal pictures and 20 novel" in out
    assert "0 of 20 novel pictures missed (0 to 16 % with 95 % confidence)" in out
    assert "calling nothing novel costs 0.4, calling everything novel 0.98" in out
    loaded, card = store.load(det), json.loads((det / store.CARD).read_text())
    assert loaded.false_alarm_rate == pytest.approx(1 / 21)  # boards lie far from waves: one rank is enough
    assert loaded.threshold == loaded.calibration[-1]
    assert card["provenance"]["cost"] == {
        "miss_cost": 20.0, "novel_prior": 0.02, "normal": 20, "novel": 20, "missed": 0, "expected_cost": pytest.approx(0.98 / 21, abs=1e-6)
    }  # fmt: skip
    assert main(["calibrate", str(det), str(labelled / "normal"), "--false-alarm-rate", "0.1"]) == 0
    assert "cost" not in json.loads((det / store.CARD).read_text())["provenance"]


def test_what_cannot_be_weighed_is_refused_in_one_sentence(tmp_path, capsys):
    det = fitted(tmp_path / "a.det", write(tmp_path / "good", stripes(40)))
    labelled = write_labelled(tmp_path / "labelled", 12)
    weigh = ["calibrate", str(det), str(labelled), "--miss-cost", "20", "--novel-prior"]
    assert_refused([*weigh, "1.5"], tmp_path, capsys, "--novel-prior 1.5 between 0 and 1")
    assert_refused(weigh[:-1], tmp_path, capsys, "--miss-cost and --novel-prior must be given together")
    assert_refused([*weigh, "0.1", "--false-alarm-rate", "0.1"], tmp_path, capsys, "without --false-alarm-rate, whose place they take")
    assert_refused([*weigh, "0.0001"], tmp_path, capsys, "it costs least to call nothing novel, 0.002 a picture")
    write(tmp_path / "mixed" / "normal", stripes(6, seed=1))
    write(tmp_path / "mixed" / "novel", stripes(6, seed=2))  # no different from the normal ones
    mixed = ["calibrate", str(det), str(tmp_path / "mixed"), "--miss-cost", "1e6", "--novel-prior", "0.5"]
    assert_refused(mixed, tmp_path, capsys, "it costs least to call every picture novel")
    write(tmp_path / "seen" / "normal", stripes(40))
    write(tmp_path / "seen" / "novel", checks(3))
    whole = fitted(tmp_path / "whole.det", write(tmp_path / "seen" / "normal", stripes(40)))
    held = store.load(whole).calibration
    assert len(held)  # the held-out fifth was not seen by training, and calibrates
    assert main(["calibrate", str(whole), str(tmp_path / "seen"), "--miss-cost", "20", "--novel-prior", "0.1"]) == 0
    assert store.load(whole).calibration == pytest.approx(held)
