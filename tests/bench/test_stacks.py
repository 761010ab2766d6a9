"""Runs trained together, in stacks and on several processes, have the records of runs one by one."""

import pytest
from bench.made_benches import DIGITS, GAN, KNN, bench
from pydantic import ValidationError

from novelette import watch
from novelette.bench import engine
from novelette.bench.runs import Entry, expand, stacks


def aurocs(records):
    return {(r["label"], r["normal"], r["seed"]): r["auroc"] for r in records}


def test_stacks_hold_runs_of_one_detector_alone():
    b = bench(KNN.model_copy(update={"stack": 2}), Entry(label="other", method="knn", config={"k": 1}))
    groups = stacks(b, expand(b, DIGITS))
    assert [[run.entry.label for run in group] for group in groups] == [["kNN"] * 2, ["kNN"], ["other"], ["other"], ["other"]]


@pytest.mark.heavy
def test_two_jobs_give_the_records_of_one(tmp_path):
    b = bench(Entry(label="GAN", method="ede-gan", config=GAN), classes=("1", "3"))
    one, two = engine.run_bench(b, tmp_path / "one"), engine.run_bench(b, tmp_path / "two", jobs=2)
    assert aurocs(two) == aurocs(one)


def test_stack_of_three_gives_what_one_by_one_gives(tmp_path):
    alone = engine.run_bench(bench(Entry(label="GAN", method="ede-gan", config=GAN)), tmp_path / "alone")
    stacked = engine.run_bench(bench(Entry(label="GAN", method="ede-gan", config=GAN, stack=3)), tmp_path / "stacked")
    assert [r["stacked"] for r in stacked] == [3, 3, 3]
    # grouped convolutions add in another order: after five steps a few neighbouring ranks of ~700 test pictures may have changed places
    assert aurocs(stacked) == pytest.approx(aurocs(alone), abs=2e-3)


@pytest.mark.parametrize("diverging", [{1}, {0, 2}, {0, 1, 2}])
def test_of_a_stack_only_the_classes_that_diverge_have_an_error(diverging, tmp_path, monkeypatch):
    b = bench(Entry(label="GAN", method="ede-gan", config=GAN, stack=3))
    well = engine.run_bench(b, tmp_path / "well")
    monkeypatch.setattr(watch.Watch, "_nonsense", lambda self, step, losses, m: f"g of {m} is nan" if m in diverging else None)
    records = engine.run_bench(b, tmp_path / "ill")
    assert [r["normal"] for r in records] == ["1", "3", "7"]
    for m, (record, alike) in enumerate(zip(records, well, strict=True)):
        if m in diverging:
            assert record["error"].startswith(f"Diverged: g of {m} is nan; try")
            assert "auroc" not in record
        else:
            assert record["auroc"] == alike["auroc"]


def test_measures_of_the_log_are_refused_of_a_stack():
    for name in ("losses", "variance"):
        with pytest.raises(ValidationError, match=f"'GAN' is stacked, and {name} need runs one by one"):
            bench(Entry(label="GAN", method="ede-gan", stack=2), measures=(name,))
