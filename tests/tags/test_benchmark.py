"""The scripts of the taggers' page: who is tested on what, what is chosen, measured once, and left out of the page."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from tags.made import made

from novelette.bench.page import text_of

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
QUICK = {"hidden": 0, "learning_rate": 1e-2, "pretraining": 2, "epochs": 2, "batch_size": 10}
PLAYED = QUICK | {"width": 8, "passes_d": 1}
GRID = {
    "KNN": ("knn", [{"k": 3}, {"k": 5}]),
    "plain, linear": ("plain", [QUICK]),
    "NaGAN, linear": ("nagan", [PLAYED | {"learning_rate": 2e-2}]),
    "KDGAN, linear": ("kdgan", [PLAYED, PLAYED | {"beta": 9.0}]),
    "KDGAN without text, linear": ("kdgan", [PLAYED]),
}


def loaded(name, patch):
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    patch.setitem(sys.modules, name, module)  # as where a script lies beside another; the tests' own package tags is put back
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def script():
    """benchmarks/tags.py with a small grid, for made pictures; its page is script.page."""
    with pytest.MonkeyPatch.context() as patch:
        script = loaded("tags", patch)
        script.page = loaded("tags_page", patch)
    script.FOR_TESTS, script.TESTED, script.TAGS, script.SPLITS, script.BATCHES = 40, 20, 6, 2, 3
    script.GRID, script.SWEEPS, script.page.WEIGHTS = GRID, {("gamma", "concrete"): (0.001, 1.0)}, {"gamma": "γ"}
    return script


@pytest.fixture(scope="module")
def photographs(script):
    examples, self = made(100), script.Photographs.__new__(script.Photographs)
    self.vectors, self.texts = examples.vectors, list(examples.texts)
    self.tags = [[f"tag{k}" for k in np.flatnonzero(row)] for row in examples.tags.numpy()]
    return self


@pytest.fixture(scope="module")
def records(script, photographs, tmp_path_factory):
    """Lines of every part, as `tags.py all` leaves them."""
    folder = tmp_path_factory.mktemp("results")
    of = {part: script.Lines(folder, part, "c0ffee") for part in script.page.PARTS}
    script.choosing(photographs, of["choose"])
    best = script.chosen(of["choose"].read())
    script.comparing(photographs, best, of["compare"])
    script.courses(photographs, best, of["curves"], 2)
    script.sweeping(photographs, best, of["sweeps"])
    script.varying(photographs, best, of["variance"], 2)
    return {part: lines.read() for part, lines in of.items()}


def test_no_photograph_that_settings_are_chosen_on_is_tested_on(photographs):
    tested = set(np.concatenate([photographs.split(number)[1] for number in range(5)]).tolist())
    for seed in (0, 1):
        training, validation = (set(part.tolist()) for part in photographs.developing(seed))
        assert not (training | validation) & tested
        assert not training & validation
    assert len(tested) <= 40
    for number in range(5):
        training, test = photographs.split(number)
        assert sorted([*training, *test]) == list(range(100))


def test_without_text_a_teacher_reads_one_word(script, photographs):
    task = photographs.shown(*photographs.split(0), "popular", 0)
    assert len(set(task.blind().examples.texts)) == 1 < len(set(task.examples.texts))
    assert script.result(task, "KDGAN, linear", "kdgan", PLAYED) != script.result(task, "KDGAN without text, linear", "kdgan", PLAYED)


def test_what_is_chosen_has_the_highest_mean_of_what_has_been_tried(script):
    lines = [{"label": "KNN", "settings": {"k": k}, "MAP": m} for k, m in ((3, 0.4), (3, 0.6), (5, 0.45), (5, 0.5))]
    assert script.chosen(lines) == {"KNN": ("knn", {"k": 3})}
    assert script.chosen(lines[2:]) == {"KNN": ("knn", {"k": 5})}


def test_what_has_a_line_is_not_measured_again(script, tmp_path):
    lines = script.Lines(tmp_path, "part", None)
    lines.add({"split": 0}, lambda: {"MAP": 0.5})
    lines.add({"split": 0}, lambda: pytest.fail("again"))
    assert [line["MAP"] for line in lines.read()] == [0.5]


def page_of(script, records):
    return text_of(script.page.page(script.page.of_now(records), ""), figures=False)


@pytest.mark.heavy
def test_the_page_is_of_what_is_chosen_now(script, records):
    text = page_of(script, records)
    k = next(line["settings"]["k"] for line in records["compare"] if line["label"] == "KNN")
    own = [line["MAP"] for line in records["compare"] if line["label"] == "KNN" and line["vocabulary"] == "popular"]
    assert f" {np.mean(own):.3f} ± {np.std(own, ddof=1):.3f} " in next(line for line in text.splitlines() if line.startswith("| KNN |"))
    for part in ("| KDGAN without text, linear |", "| NaGAN, KDGAN's schedule |", "| plain draws, mixed with distillation |", "| γ |"):
        assert part in text
    changed = json.loads(json.dumps(records))
    for line in changed["choose"]:
        line["MAP"] += line["settings"] == {"k": 8 - k}  # the other k is better now
    assert "| KNN | k" in page_of(script, changed)
    first = page_of(script, changed).split("## The paper")[0]
    assert "| KNN |" not in first


@pytest.mark.heavy
def test_what_has_no_record_of_the_settings_chosen_now_is_left_out_of_the_page(script, records):
    changed = json.loads(json.dumps(records))
    for line in changed["choose"]:
        line["MAP"] += line["label"] == "KDGAN, linear" and line["settings"] not in [r["settings"] for r in records["compare"]]
    text = page_of(script, changed)
    assert "| KDGAN, linear |" in page_of(script, records).split("## The paper")[0]
    assert "| KDGAN, linear |" not in text.split("## The paper")[0]
    for part, heading in (("sweeps", "## Effects of α, β and γ"), ("variance", "## Variance of gradients")):
        assert heading in page_of(script, records)
        assert heading not in text
        assert f"`python benchmarks/tags.py {part}` makes them" in text
    nothing = page_of(script, changed | {"compare": [], "curves": []})
    assert "## How settings were chosen" in nothing
    assert "## Courses of training" not in nothing
