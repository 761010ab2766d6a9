"""The grid of a bench: its runs, what tells them apart, and the pictures of each."""

import json
from dataclasses import replace

import numpy as np
import pytest
from bench.made_benches import DIGITS, KNN, bench

from novelette.bench import engine
from novelette.bench.runs import Entry, expand
from novelette.data.protocol import PARTING
from novelette.errors import InputError
from novelette.methods import ede_gan


def test_grid_is_every_combination_detector_by_detector():
    b = bench(KNN, Entry(label="other", method="knn", config={"k": 1}), classes=("1", "2"), seeds=(0, 5))
    cells = [(run.entry.label, run.seed, run.normal) for run in expand(b, DIGITS)]
    assert cells[:5] == [("kNN", 0, "1"), ("kNN", 0, "2"), ("kNN", 5, "1"), ("kNN", 5, "2"), ("other", 0, "1")]
    assert len(cells) == 8
    assert len(expand(bench(classes=()), DIGITS)) == 10


def test_key_tells_runs_apart_by_what_changes_the_result_and_by_nothing_else():
    def key(b, normal="1", seed=0, title="digits"):
        return next(run.key(b, title) for run in expand(b, DIGITS) if (run.normal, run.seed) == (normal, seed))

    def knn_with(**changes):
        return bench(KNN.model_copy(update=changes))

    same = [bench(), bench(title="T", threads=2, published="pkdgan-mnist"), knn_with(label="x", stack=3)]
    same += [knn_with(config={"k": 5}), knn_with(recipe="paper", config={"metric": "cosine", "reduce": "mean"})]  # our recipe, spelled out
    assert len({key(b) for b in same}) == 1
    other = [bench(protocol="gpnd"), bench(size=28), knn_with(config={"k": 1}), knn_with(recipe="paper")]
    keys = {key(b) for b in [*same, *other]} | {key(bench(), "3"), key(bench(seeds=(1,)), seed=1), key(bench(), title="digits (other)")}
    assert len(keys) == 8


def test_fewer_test_images_are_as_many_of_either_kind_drawn_by_the_seed_and_another_run(tmp_path):
    few = bench(classes=("3",), seeds=(0, 1), test_at_most=40)
    runs = expand(few, DIGITS)
    known = engine.Known("digits", DIGITS.labels, DIGITS.is_train, None, None, tmp_path)
    (first, again, other), whole = (known.split(few, run) for run in (runs[0], runs[0], runs[1])), known.split(bench(), runs[0])
    assert np.array_equal(first.train, whole.train)
    assert np.array_equal(first.test, again.test)
    assert not np.array_equal(first.test, other.test)
    assert set(first.test) < set(whole.test)
    assert ((DIGITS.labels[first.test] == 3).sum(), len(first.test)) == (20, 40)
    assert len(known.split(few.model_copy(update={"protocol": "held-out"}), runs[0]).validation) == 40
    assert len(known.split(few.model_copy(update={"test_at_most": 10_000}), runs[0]).test) == len(whole.test)
    assert runs[0].key(few, "digits") != runs[0].key(bench(), "digits")
    (record, _) = engine.run_bench(few, tmp_path)
    assert record["split"]["test"] == 40


def test_key_holds_every_setting_of_the_method():
    """So that another default, in another version, is another run."""
    (run,) = expand(bench(Entry(label="GAN", method="ede-gan"), classes=("3",)), DIGITS)
    assert json.loads(run.key(bench(), "digits"))[-2:] == ["ede-gan", ede_gan.Config().model_dump(mode="json")]


def test_class_by_its_number_or_in_other_capitals_is_the_class_by_its_own_name():
    named = replace(DIGITS, classes=("T-shirt/top", "Ankle boot", *map(str, range(2, 10))))
    runs = expand(bench(classes=("0", "ANKLE-boot", "t_shirt/TOP")), named)
    assert [(run.normal, run.number) for run in runs] == [("T-shirt/top", 0), ("Ankle boot", 1), ("T-shirt/top", 0)]
    assert runs[0].key(bench(), "x") == runs[2].key(bench(), "x")
    with pytest.raises(InputError, match="no class boot"):
        expand(bench(classes=("boot",)), named)


def test_recipe_by_steps_takes_the_place_of_the_papers_epochs():
    (run,) = expand(bench(Entry(label="a", method="ede-gan", recipe="paper", config={"steps": 7}), classes=("3",)), DIGITS)
    assert (run.config.steps, run.config.epochs, run.config.batch_size) == (7, 0, 1)


def grouped_digits(name, **kwargs):
    return replace(DIGITS, groups=np.arange(len(DIGITS.labels)) // 4)


def test_protocols_that_would_part_groups_are_refused_and_held_out_keeps_them_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "load_named", grouped_digits)
    for protocol in PARTING:
        with pytest.raises(InputError, match=f"b: {protocol} would put pictures of the same thing into both training and test in digits"):
            engine.run_bench(bench(protocol=protocol), tmp_path / "none")
    assert not (tmp_path / "none").exists()
    groups = grouped_digits("digits").groups
    (run,) = expand(bench(classes=("3",)), DIGITS)
    known = engine.Known("digits", DIGITS.labels, DIGITS.is_train, groups, None, tmp_path)
    split = known.split(bench(protocol="held-out"), run)
    assert not set(groups[split.train]) & set(groups[split.validation])
    assert 0.5 < engine.run_bench(bench(protocol="held-out", classes=("3",)), tmp_path)[0]["auroc"] <= 1
