"""The scripts of the taggers' page: who is tested on what, what is tried and chosen, measured once, said, and left out of the page."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tags.made import hit_rate, made

from novelette.bench.page import text_of
from novelette.training import Run

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = ("tags_taught", "tags_grid", "tags_found", "tags", "tags_page")  # each imports some before it
QUICK = {"hidden": 0, "learning_rate": 1e-2, "pretraining": 2, "epochs": 2, "batch_size": 10}
PLAYED = QUICK | {"width": 8, "passes_d": 1}
GRID = {
    "KNN": ("knn", [{"k": 3}, {"k": 5}]),
    "plain, linear": ("plain", [QUICK]),
    "NaGAN, linear": ("nagan", [PLAYED | {"learning_rate": 2e-2}]),
    "KDGAN, linear": ("kdgan", [PLAYED, PLAYED | {"beta": 9.0}, PLAYED | {"distance": "l2"}]),
    "KDGAN without text, linear": ("kdgan", [PLAYED]),
    "KDGAN without its discriminator, linear": ("taught", [QUICK | {"width": 8}]),
}
SMALL = {"GRID": GRID, "SWEEPS": {("gamma", "concrete"): (0.001, 1.0)}, "TAGS": 6, "COURSE": 2, "LOOKS": 2}
POPULAR = {"vocabulary": "popular"}


def loaded(name, patch):
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    patch.setitem(sys.modules, name, module)  # as where a script lies beside another; the tests' own package tags is put back
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def whole():
    """The scripts as they are, by name."""
    with pytest.MonkeyPatch.context() as patch:
        return SimpleNamespace(**{name: loaded(name, patch) for name in SCRIPTS})


@pytest.fixture(scope="module")
def scripts():
    """The same with a small grid, for made pictures."""
    with pytest.MonkeyPatch.context() as patch:
        found = SimpleNamespace(**{name: loaded(name, patch) for name in SCRIPTS})
    for name, value in SMALL.items():
        setattr(found.tags_grid, name, value)
    found.tags_grid.FOR_TESTS, found.tags_grid.TESTED, found.tags.SPLITS, found.tags.BATCHES = 40, 20, 2, 3
    found.tags_page.WEIGHTS = {"gamma": "γ"}
    return found


@pytest.fixture(scope="module")
def script(scripts):
    return scripts.tags


@pytest.fixture(scope="module")
def photographs(script):
    examples, self = made(100), script.Photographs.__new__(script.Photographs)
    self.vectors, self.texts = examples.vectors, list(examples.texts)
    self.tags = [[f"tag{k}" for k in np.flatnonzero(row)] for row in examples.tags.numpy()]
    return self


@pytest.fixture(scope="module")
def records(scripts, script, photographs, tmp_path_factory):
    """Lines of every part, as `tags.py all` leaves them."""
    folder = tmp_path_factory.mktemp("results")
    of = {part: script.Lines(folder, part, "c0ffee") for part in script.PARTS}
    script.choosing(photographs, of["choose"])
    best = scripts.tags_grid.chosen(of["choose"].read())
    script.comparing(photographs, best, of["compare"])
    script.courses(photographs, best, of["curves"])
    script.sweeping(photographs, best, of["sweeps"])
    script.varying(photographs, best, of["variance"])
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


def test_every_row_of_the_grid_is_one_configuration_and_no_two_are_the_same(whole):
    rows = [json.dumps(row) for row in whole.tags_grid.tried()]
    assert len(rows) == len(set(rows)) > 100
    assert whole.tags_grid.resolved("kdgan", {}) == whole.tags_grid.resolved("kdgan", {"beta": 3})


@pytest.mark.parametrize("classifier", ["linear", "hidden layer"])
def test_all_that_are_trained_by_steps_are_tried_by_the_same_schedules(whole, classifier):
    grid = whole.tags_grid.GRID
    names = ("plain", "NaGAN", "KDGAN", "KDGAN without text", "KDGAN without its discriminator")
    schedules = [
        {tuple(own[name] for name in ("hidden", "learning_rate", "pretraining", "epochs")) for own in grid[f"{name}, {classifier}"][1]}
        for name in names
    ]
    assert all(own == schedules[0] for own in schedules)
    assert grid[f"KDGAN, {classifier}"] == grid[f"KDGAN without text, {classifier}"]


def test_sweeps_go_over_the_range_that_the_paper_searched(whole):
    values = {name: [v for (own, _), every in whole.tags_grid.SWEEPS.items() if own == name for v in every] for name in ("beta", "gamma")}
    assert (min(values["beta"]), max(values["beta"]), min(values["gamma"]), max(values["gamma"])) == (0.001, 1000, 0.0001, 100)


def line(scripts, label, settings, **more):
    method, grid = GRID[label][0], scripts.tags_grid
    return {"label": label, "method": method, "config": grid.resolved(method, settings), "seen": grid.seen()} | more


def test_what_is_chosen_has_the_highest_mean_of_what_has_been_tried(scripts):
    grid, maps = scripts.tags_grid, ((3, 0.4), (3, 0.6), (5, 0.45), (5, 0.5))
    lines = [line(scripts, "KNN", {"k": k}, MAP=m) for k, m in maps]
    assert grid.chosen(lines) == {"KNN": ("knn", {"k": 3})}
    assert grid.chosen(lines[2:]) == {"KNN": ("knn", {"k": 5})}


def test_a_record_is_known_by_defaults_too_and_by_what_is_shown(scripts, monkeypatch):
    grid, own = scripts.tags_grid, line(scripts, "plain, linear", QUICK, MAP=0.5)
    row = ("plain, linear", "plain", grid.resolved("plain", QUICK))
    assert grid.known(own, *row)
    assert "passes_c" not in QUICK
    assert not grid.known(own | {"config": own["config"] | {"passes_c": 3}}, *row)  # as by another default
    monkeypatch.setattr(grid, "TAGS", 7)
    assert not grid.known(own, *row)
    assert grid.chosen([own]) == {}


def test_what_has_a_line_is_not_measured_again(script, tmp_path):
    lines = script.Lines(tmp_path, "part", None)
    lines.add({"split": 0}, lambda: {"MAP": 0.5})
    lines.add({"split": 0}, lambda: pytest.fail("again"))
    assert [line["MAP"] for line in lines.read()] == [0.5]


@pytest.mark.parametrize("part", ["compare", "curves", "sweeps", "variance"])
def test_a_part_without_what_it_is_chosen_by_says_what_to_run(script, part, tmp_path, capsys):
    refused(lambda: script.main([part, "--results", str(tmp_path)]), capsys, "lacks 18 measurements")


def test_so_does_the_page_and_half_a_grid_is_none(scripts, tmp_path, capsys):
    refused(lambda: scripts.tags_page.main(["--results", str(tmp_path), "-o", str(tmp_path / "out")]), capsys, "lacks 18 measurements")
    one = line(scripts, "KNN", {"k": 3}, MAP=0.4, seed=0)
    (tmp_path / "tags-choose.jsonl").write_text(json.dumps(one) + "\n" + json.dumps({"settings": {}}) + "\n", encoding="utf-8")
    refused(lambda: scripts.tags_page.main(["--results", str(tmp_path), "-o", str(tmp_path / "out")]), capsys, "lacks 17 measurements")
    assert not (tmp_path / "out").exists()


def refused(call, capsys, words):
    with pytest.raises(SystemExit) as ended:
        call()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert words in said
    assert said.endswith("run `python benchmarks/tags.py choose` first\n")
    assert said.count("\n") == 1


def test_nagan_by_kdgans_schedule_keeps_its_own_estimator(scripts):
    grid = scripts.tags_grid
    best = {"KDGAN, linear": ("kdgan", grid.resolved("kdgan", PLAYED)), "NaGAN, linear": ("nagan", grid.resolved("nagan", {}))}
    courses = grid.of_courses(best)
    assert all(config["epochs"] == 2 for _, config in courses.values())
    alike = courses["NaGAN by KDGAN's schedule"][1]
    assert (alike["learning_rate"], alike["estimator"]) == (PLAYED["learning_rate"], "categorical")
    assert courses["KDGAN-WO-GM"][1] == courses["KDGAN"][1] | {"estimator": "categorical"}


def taught(scripts, examples=None, **settings):
    """Scores of the made pictures, learnt from a teacher."""
    own, module = {"pretraining": 10, "epochs": 5, "width": 8} | settings, scripts.tags_taught
    config = module.Config(**QUICK | own)
    return module.fit(examples or made(), config, seed=0, device=torch.device("cpu"), run=Run()).scores(made().vectors)


def test_without_discriminator_a_classifier_learns_from_tags_teacher_or_both(whole):
    at_once = {"pretraining": 0}  # a teacher that has learnt nothing
    by_tags, by_teacher = at_once | {"soft_weight": 0.0}, at_once | {"soft_weight": 1.0}
    assert torch.equal(taught(whole, **by_tags), taught(whole, **by_tags, width=16))  # whatever the teacher is
    assert not torch.equal(taught(whole, **by_teacher), taught(whole, **by_teacher, width=16))
    others = replace(made(), tags=made().tags.roll(1, 1))
    assert torch.equal(taught(whole, **by_teacher), taught(whole, others, **by_teacher))  # whatever the tags are
    assert not torch.equal(taught(whole, **by_tags), taught(whole, others, **by_tags))


def test_a_teacher_that_has_read_teaches_what_it_knows(whole):
    assert hit_rate(taught(whole, epochs=20, pretraining=30, reading_rate=1e-2), made().tags) > 0.9


def test_the_epoch_at_which_a_course_is_first_as_good_as_an_end_is_per_split(whole):
    found = whole.tags_found
    assert found.reached([0.1, 0.3, 0.2], 0.3) == 1
    assert found.reached([0.3, 0.1], 0.2) == 0
    assert found.reached([0.1, 0.2], 0.3) is None
    courses = {"A": ([0.1, 0.5, 0.6], [0.1, 0.2, 0.9]), "B": ([0.2, 0.3, 0.5], [0.3, 0.8, 0.95])}
    lines = [{"label": label, "split": s, "MAP": own} for label, every in courses.items() for s, own in enumerate(every)]
    assert found.convergence(lines, "MAP") == [
        ["A", "2.0 ± 0.0", "1.0 (1 never)"],  # B's ends: 0.5 at epoch 1 of split 0, and 0.95 never
        ["B", "2.0 (1 never)", "2.0 ± 0.0"],  # A's ends: 0.6 never, and 0.9 at epoch 2 of split 1
    ]
    with_ends = found.speed([line | {"label": {"A": "KDGAN", "B": "NaGAN"}[line["label"]]} for line in lines])
    assert with_ends == [
        "KDGAN is first as good as NaGAN is at its end at epoch 1.0 (1 never) of the game, NaGAN itself at epoch 2.0 ± 0.0. At the "
        "end the difference of their MAP is +0.025 ± 0.106, above 0 on 1 of 2 splits."
    ]


@pytest.mark.parametrize(("maps", "answer"), [((0.5, 0.6), "yes"), ((0.3, 0.2), "no, less"), ((0.5, 0.3), "not told")])
def test_an_answer_is_yes_where_every_split_says_so(whole, maps, answer):
    lines = [POPULAR | {"label": "plain, linear", "split": s, "MAP": 0.4} for s in (0, 1)]
    lines += [POPULAR | {"label": "KDGAN, linear", "split": s, "MAP": m} for s, m in enumerate(maps)]
    (said,) = whole.tags_found.answers(lines)
    assert said.startswith("Is KDGAN worth more than the same classifier alone? With a linear classifier **" + answer)
    mean, spread = np.mean(maps) - 0.4, np.std(maps, ddof=1)
    assert f"(MAP {mean:+.3f} ± {spread:.3f} by the most popular tags, above on {sum(m > 0.4 for m in maps)} of 2 splits)" in said


def test_l2_is_held_against_what_differs_in_nothing_else(whole):
    def own(distance, beta, seed, value):
        return {"label": "KDGAN, linear", "seed": seed, "config": {"beta": beta, "distance": distance}, "MAP": value}

    lines = [own("l2", 10, 0, 0.5), own("kl", 10, 0, 0.4), own("kl", 3, 0, 0.1), own("l2", 10, 1, 0.3), own("kl", 10, 1, 0.4)]
    (said,) = whole.tags_found.distances(lines)
    assert said.endswith("where settings were chosen: KDGAN, linear +0.000 ± 0.141 (2 pairs).")
    assert whole.tags_found.distances(lines[1:3]) == []


def test_half_a_sweep_has_a_page_and_one_value_no_spread(whole):
    measures = ("P@3", "F@3", "MAP", "MRR", "entropy")
    lines = [
        {"weight": "alpha", "estimator": "concrete", "value": value, "seed": seed} | dict.fromkeys(measures, value + seed)
        for value, seed in ((0.1, 0), (0.1, 1), (0.3, 0))
    ]
    section = whole.tags_page.swept(lines)
    assert "| α | Gumbel-Max | 0.3 | 0.300 | 0.300 |" in section.text
    assert "| α | Gumbel-Max | 0.1 | 0.600 ± 0.707 |" in section.text
    assert whole.tags_found.signed([0.01]) == "+0.010"


def test_a_peak_at_an_end_of_what_was_tried_is_said(whole):
    lines = [{"weight": "beta", "estimator": "concrete", "value": v, "MAP": m} for v, m in ((0.1, 0.2), (1.0, 0.3), (10.0, 0.4))]
    (said,) = whole.tags_found.peaks(lines, {"beta": "β", "gamma": "γ"})
    assert said == "By β MAP is highest at 10 (0.400, at an end of what was tried) and lowest at 0.1 (0.200)."
    (said,) = whole.tags_found.peaks([*lines, lines[0] | {"value": 100.0}], {"beta": "β"})
    assert "highest at 10 (0.400) and" in said


def test_the_order_stands_beside_the_printed_one(whole):
    labels = ("KNN", "TPROP", "TFEAT", "REXMP", "NaGAN, hidden layer", "KDGAN, hidden layer")
    lines = [POPULAR | {"label": label, "split": 0, "MAP": m} for label, m in zip(labels, (1, 6, 5, 4, 3, 2), strict=True)]
    (said,) = whole.tags_found.order(lines)
    assert said.startswith("The order by MAP, the most popular tags: TPROP 6.000, TFEAT 5.000, REXMP")
    assert said.endswith("Printed: KDGAN, NaGAN, REXMP, TFEAT, TPROP, KNN.")
    assert whole.tags_found.order(lines[1:]) == []


def page_of(scripts, records):
    return text_of(scripts.tags_page.page(scripts.tags_page.of_now(records), ""), figures=False)


@pytest.mark.heavy
def test_the_page_is_of_what_is_chosen_now(scripts, records):
    text = page_of(scripts, records)
    k = next(line["config"]["k"] for line in records["compare"] if line["label"] == "KNN")
    own = [line["MAP"] for line in records["compare"] if line["label"] == "KNN" and line["vocabulary"] == "popular"]
    assert f" {np.mean(own):.3f} ± {np.std(own, ddof=1):.3f} " in next(line for line in text.splitlines() if line.startswith("| KNN |"))
    for part in ("| KDGAN without text, linear |", "| KDGAN less KDGAN without its discriminator |", "| NaGAN by KDGAN's schedule |"):
        assert part in text
    for part in ("| plain draws, mixed with distillation |", "| γ |", "| end of KDGAN |", "- Is it the text that teaches? With a linear"):
        assert part in text
    assert "KDGAN, linear" in next(line for line in text.splitlines() if line.startswith("- L2 against the Kullback-Leibler divergence"))
    changed = json.loads(json.dumps(records))
    for line in changed["choose"]:
        line["MAP"] += line["config"] == {"k": 8 - k}  # the other k is better now
    assert "| KNN | k" in page_of(scripts, changed)
    first = page_of(scripts, changed).split("## The paper")[0]
    assert "| KNN |" not in first


@pytest.mark.heavy
def test_what_has_no_record_of_the_settings_chosen_now_is_left_out_of_the_page(scripts, records):
    changed = json.loads(json.dumps(records))
    for line in changed["choose"]:
        line["MAP"] += line["label"] == "KDGAN, linear" and line["config"] not in [r["config"] for r in records["compare"]]
    text = page_of(scripts, changed)
    assert "| KDGAN, linear |" in page_of(scripts, records).split("## The paper")[0]
    assert "| KDGAN, linear |" not in text.split("## The paper")[0]
    for part, heading in (("sweeps", "## Effects of α, β and γ"), ("variance", "## Variance of gradients")):
        assert heading in page_of(scripts, records)
        assert heading not in text
        assert f"`python benchmarks/tags.py {part}` makes them" in text
    nothing = page_of(scripts, changed | {"compare": [], "curves": []})
    assert "## How settings were chosen" in nothing
    assert "## Courses of training" not in nothing


@pytest.mark.heavy
def test_alpha_has_a_plain_axis_and_each_weight_the_papers_four_measures(scripts, records):
    own = [line | {"weight": weight, "value": 0.5} for weight in ("alpha", "beta") for line in records["sweeps"]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scripts.tags_page, "WEIGHTS", {"alpha": "α", "beta": "β"})
        alpha, beta = scripts.tags_page.swept(own).plots
    assert (alpha.at, beta.at) == ((), (0.001, 0.1, 10.0, 1000.0))
    assert list(alpha.panels)[:4] == ["P@3", "F@3", "MAP", "MRR"]
