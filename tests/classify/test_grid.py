"""Benches of classifiers: which pictures train, what is looked at, what is kept, and the page beside the printed figures."""

import json
from pathlib import Path

import numpy as np
import pytest

from novelette.classify import METHODS, pages
from novelette.classify.drawing import drawn
from novelette.classify.game import Turns
from novelette.classify.grid import Grid, expand, is_grid, read_grid, run_grid
from novelette.classify.left import left
from novelette.classify.trial import points, split
from novelette.cli import main
from novelette.errors import InputError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
QUICK = "divide_widths = 32, pretraining = 3, epochs = 2, passes_c = 1, passes_d = 1, passes_t = 1, learning_rate = 0.005"
FILE = f"""
name = "small"
title = "Digits"
data = "digits"
seeds = [0, 1]
pictures = 30
validation = 100
size = 16
config = {{ {QUICK} }}
curve = 3
published = "MNIST, 100"
[[classifiers]]
label = "KDGAN"
method = "kdgan"
paper = "KDGAN"
[[classifiers]]
label = "alone"
method = "plain"
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A bench that has run: its folder, the file in it and the records."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "small.toml").write_text(FILE)
    return folder, run_grid(read_grid(folder / "small.toml"), folder / "results")


def grid(**changes):
    return Grid(
        **({"name": "g", "title": "G", "data": "digits", "pictures": 10, "classifiers": [{"label": "a", "method": "plain"}]} | changes)
    )


def test_a_negative_seed_is_refused(tmp_path):
    (tmp_path / "small.toml").write_text(FILE.replace("seeds = [0, 1]", "seeds = [0, -1]"))
    with pytest.raises(InputError, match="seeds"):
        read_grid(tmp_path / "small.toml")


def test_pictures_are_drawn_in_turns_of_one_a_class():
    labels = np.array([0] * 50 + [1] * 50 + [2] * 3)
    taken = drawn(labels, 12, np.random.default_rng(0))
    assert len(set(taken.tolist())) == 12
    assert sorted(np.bincount(labels[taken]).tolist()) == [3, 4, 5]  # the third class has no more than three
    assert drawn(labels, 5, np.random.default_rng(0)).tolist() == taken[:5].tolist()
    assert drawn(labels, 12, np.random.default_rng(1)).tolist() != taken.tolist()
    assert len(drawn(labels, len(labels), np.random.default_rng(0))) == len(labels)


def test_held_out_pictures_never_train_and_are_the_same_for_every_seed():
    labels, is_train = np.arange(200) % 10, np.arange(200) < 150
    one, two = (split(grid(validation=50, pictures=40), labels, is_train, seed) for seed in (0, 1))
    assert one.validation.tolist() == two.validation.tolist()
    assert one.train.tolist() != two.train.tolist()
    for parts in (one, two):
        every = np.concatenate(parts)
        assert len(np.unique(every)) == len(every) == 140
        assert is_train[parts.train].all()
        assert is_train[parts.validation].all()
        assert not is_train[parts.test].any()
        assert set(np.bincount(labels[parts.train])) == {4}


def test_points_of_a_course_are_ends_of_epochs():
    config = METHODS["kdgan"].Config(batch_size=5, pretraining=2, epochs=4, passes_d=1, passes_t=1, passes_c=1)
    turns = Turns(10, config, 0)  # two moves a pass, three passes an epoch
    assert points(turns, 5) == {4: 0, 10: 1, 16: 2, 22: 3, 28: 4}
    assert points(turns, 2) == {4: 0, 28: 4}
    assert points(turns, 0) == {}


def test_a_run_leaves_accuracies_of_both_networks_and_a_course(ran):
    _, records = ran
    assert [(r["label"], r["seed"]) for r in records] == [("KDGAN", 0), ("KDGAN", 1), ("alone", 0), ("alone", 1)]
    first, alone = records[0], records[2]
    assert first["split"] == {"train": 30, "validation": 100, "test": 599}
    assert 0 <= first["accuracy"] <= 1
    assert first["teacher"]["accuracy"] is not None
    assert alone["teacher"] == {"accuracy": None, "validation": None}
    assert [epoch for epoch, _ in first["curve"]] == [0, 1, 2]
    assert first["curve"][-1][1] == first["validation"]  # the last point is the network that is kept


def test_what_has_a_record_is_not_run_again(ran, monkeypatch):
    folder, records = ran
    monkeypatch.setattr("novelette.classify.grid.train", lambda *args: pytest.fail("it ran again"))
    assert run_grid(read_grid(folder / "small.toml"), folder / "results") == records


def test_a_row_may_keep_the_test_images_shut(tmp_path):
    (record,) = run_grid(grid(validation=100, tested=False, size=16, classifiers=[row("nagan")]), tmp_path)
    assert record["accuracy"] is None
    assert record["validation"] is not None


def row(method, **config):
    quick = METHODS[method].TINY.model_copy(update={"divide_widths": 32, "pretraining": 2, "epochs": 1}).model_dump(exclude_defaults=True)
    return {"label": method, "method": method, "config": quick | config}


def test_a_run_that_fails_says_why_and_is_tried_again(tmp_path):
    bad = grid(validation=100, size=18, classifiers=[row("mimic")])
    (record,) = run_grid(bad, tmp_path)
    assert "multiples of 4 px" in record["error"]
    assert left_of(bad, tmp_path).failures == [f"mimic, seed 0: {record['error']}"]
    assert len((tmp_path / "g.jsonl").read_text().splitlines()) == 1
    run_grid(bad, tmp_path)
    assert len((tmp_path / "g.jsonl").read_text().splitlines()) == 2


def left_of(bench, results):
    path = results / f"{bench.name}.toml"
    values = json.loads(bench.model_dump_json(exclude_none=True, exclude={"classifiers"}))
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items() if value != {}]
    for entry in bench.classifiers:
        config = ", ".join(f"{name} = {json.dumps(value)}" for name, value in entry.config.items())
        lines += ["[[classifiers]]", f'label = "{entry.label}"', f'method = "{entry.method}"', f"config = {{ {config} }}"]
    path.write_text("\n".join(lines))
    return left(path, results)


def test_a_key_holds_what_changes_the_result():
    base = grid()
    keys = {expand(g)[0].key(g, "digits") for g in (base, base.model_copy(update={"title": "other", "curve": 9, "threads": 2}))}
    assert len(keys) == 1
    for change in ({"pictures": 11}, {"validation": 3}, {"size": 32}, {"seeds": (1,)}, {"config": {"epochs": 3}}, {"tested": False}):
        other = base.model_copy(update=change)
        keys.add(expand(other)[0].key(other, "digits"))
    assert len(keys) == 7


def test_the_table_stands_beside_the_printed_accuracies(ran):
    folder, records = ran
    lines = pages.table(read_grid(folder / "small.toml"), records).splitlines()
    cells = [cell.strip() for cell in lines[2].strip("|").split(" | ")]
    ours = 100 * np.mean([r["accuracy"] for r in records[:2]])
    assert cells[0] == "KDGAN"
    assert cells[1].startswith(f"{ours:.2f} ± ")
    assert cells[2] == "77.95 ± 0.05"
    assert cells[3] == f"{ours - 77.95:+.2f}"
    gaps = 100 * np.array([a["accuracy"] - b["accuracy"] for a, b in zip(records[:2], records[2:], strict=True)])
    assert f"{gaps.mean():.2f} ± {gaps.std(ddof=1) / np.sqrt(2):.2f}" in lines[3]


def test_a_page_has_the_course_and_where_its_figures_come_from(ran, capsys):
    folder, _ = ran
    argv = ["table", "small", "--benchmarks", str(folder), "--results", str(folder / "results")]
    assert main(argv) == 0
    text = capsys.readouterr().out
    assert "as good as alone" in text
    assert "runs: 4 of 4" in text
    assert main([*argv, "-o", str(folder / "docs")]) == 0
    assert (folder / "docs" / "small-course.svg").stat().st_size > 1000


def swept(tmp_path, name="gamma", values=(0.0, 0.01, 1.0)):
    """A sweep that has run, as it is left: its teachers learn from the classifier with weight γ."""
    rows = [row("kdgan", gamma=value) | {"label": f"{name} = {value}"} for value in values]
    bench = grid(name=name, title=name, validation=100, tested=False, size=16, seeds=(0, 1), sweep="gamma", classifiers=rows)
    run_grid(bench, tmp_path)
    return left_of(bench, tmp_path)


def test_a_sweep_shows_what_0_is_and_the_teachers_at_the_same_seeds(tmp_path):
    found = swept(tmp_path)
    section = pages.sweep(found)
    at_zero = [100 * record["teacher"]["validation"] for record in found.of("gamma = 0.0")]
    (across,) = [line for line in section.plots[0].panels["gamma"] if line.dashed and line.label == "teacher"]
    assert across.x == [0.01, 1.0]
    assert across.y == pytest.approx([np.mean(at_zero)] * 2)
    at_one = [100 * record["teacher"]["validation"] for record in found.of("gamma = 1.0")]
    gaps = np.subtract(at_zero, at_one)
    last = pages.table(found.grid, found.records).splitlines()[-1]
    said = f"{gaps.mean():.2f} ± {gaps.std(ddof=1) / np.sqrt(2):.2f}"
    assert last.strip("|").split("|")[-1].strip() == said


def test_a_sweep_over_more_than_a_decade_alone_stands_on_a_logarithmic_axis(tmp_path):
    (wide,) = pages.sweep(swept(tmp_path, "wide", (0.01, 1.0))).plots
    (narrow,) = pages.sweep(swept(tmp_path, "narrow", (0.1, 0.9))).plots
    assert (wide.at, narrow.at) == ([0.01, 1.0], ())


def test_a_tie_is_no_missing_cell():
    row_itself, other = {0: 0.5}, {0: 0.5}
    assert pages._behind(row_itself, row_itself) == ""
    assert pages._behind(row_itself, other) == "0.00"
    assert pages._behind(row_itself, {1: 0.5}) == ""


def test_a_page_says_no_more_than_its_records_do(ran, tmp_path):
    tested, held_out = left(ran[0] / "small.toml", ran[0] / "results"), swept(tmp_path, values=(0.01,))
    assert "The printed spread is over initial weights alone." in pages.accuracies(tested).text
    assert "printed" not in pages.accuracies(held_out).text
    assert "30 train, 100 are held out, " in pages.origins([tested], "b", "small")
    assert "10 train, 100 are held out\n" in pages.origins([held_out], "b", "gamma")


def test_records_of_other_settings_are_counted_where_there_is_nothing_to_show(ran, capsys):
    (ran[0] / "other").mkdir(exist_ok=True)
    (ran[0] / "other" / "small.toml").write_text(FILE.replace("pictures = 30", "pictures = 20"))
    assert main(["table", "small", "--benchmarks", str(ran[0] / "other"), "--results", str(ran[0] / "results")]) == 2
    assert "only 4 of other settings: run `novelette bench other/small.toml`" in capsys.readouterr().err


def test_one_look_at_a_course_is_refused(tmp_path):
    (tmp_path / "small.toml").write_text(FILE.replace("curve = 3", "curve = 1"))
    with pytest.raises(InputError, match="a curve of 1 point would show only the end of pretraining"):
        read_grid(tmp_path / "small.toml")


def test_a_sweep_that_has_only_its_row_at_0_yet_is_left_out(tmp_path):
    found = swept(tmp_path, values=(0.0,))
    assert pages.sweep(found) is None
    assert len(pages.sections(found)) == 1


def test_benches_stand_beside_each_other_where_they_share_a_row_alone(ran, tmp_path):
    one = left(ran[0] / "small.toml", ran[0] / "results")
    other = swept(tmp_path, values=(0.01,))
    assert pages.beside([one, other]) == []
    (section,) = pages.beside([one, other, one])
    assert "gamma" not in section.text
    assert section.text.count("| printed |") == 2
    heads = pages.beside([other, other])[0].text.splitlines()[2]
    assert "printed" not in heads.replace("Printed", "")
    assert heads.count("gamma") == 2


def test_a_course_is_a_mean_over_seeds_with_its_spread():
    records = [{"curve": [[0, 0.5], [1, 0.7], [2, 0.6]]}, {"curve": [[0, 0.3], [1, 0.5]]}]
    course = pages.mean_curve(records)
    assert list(course) == [0, 1]  # what both have
    assert course[0] == pytest.approx((40, 14.1421), rel=1e-4)
    assert course[1] == pytest.approx((60, 14.1421), rel=1e-4)


def test_an_epoch_that_is_as_good_is_found_in_every_run_by_itself():
    curves = [[[0, 0.5], [1, 0.7], [2, 0.6]], [[0, 0.3], [1, 0.5], [2, 0.75]], [[0, 0.3], [1, 0.4], [2, 0.5]]]
    records = [{"curve": curve} for curve in curves]
    assert pages._reached(records, 70.0) == "1.5 ± 0.7 (2 of 3)"  # in epochs 1 and 2, and never
    assert pages._reached(records[:1], 50.0) == "0.0 (1 of 1)"
    assert pages._reached(records, 90.0) == "never"


def test_every_bench_of_classifiers_can_be_run_and_names_what_is_printed():
    files = [path for path in sorted(BENCHMARKS.glob("*.toml")) if is_grid(path)]
    assert len(files) >= 10
    for path in files:
        found = left(path, Path("nowhere"))
        assert found.grid.name == path.stem
        for entry in found.grid.classifiers:
            assert entry.paper is None or pages.printed(found.grid, entry)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"pictures": 5000}, "more than the 1198 training images"),
        ({"classifiers": [{"label": "a", "method": "gan"}]}, "no method 'gan'"),
        ({"config": {"patience": 3}}, "no row has the setting 'patience'"),
        ({"config": {"epochs": 0}}, "--epochs"),
        (
            {"published": "MNIST, 99", "classifiers": [{"label": "a", "method": "plain", "paper": "KDGAN"}]},
            "no printed accuracy of 'KDGAN'",
        ),
        ({"sweep": "nonsense"}, "a has no number 'nonsense'"),
        ({"sweep": "classifier"}, "a has no number 'classifier'"),
    ],
)
def test_what_cannot_be_run_is_told_in_a_sentence(tmp_path, changes, says):
    with pytest.raises(InputError) as caught:
        run_grid(grid(validation=100, **changes), tmp_path)
    assert says in str(caught.value).replace(",", "") or says in str(caught.value)


def test_a_course_of_no_held_out_images_is_refused(tmp_path):
    (tmp_path / "small.toml").write_text(FILE.replace("validation = 100", "validation = 0"))
    with pytest.raises(InputError, match="the curve is measured on held-out images, and none are held out"):
        read_grid(tmp_path / "small.toml")


def test_a_record_that_lacks_something_is_named(ran, tmp_path):
    folder, records = ran
    broken = dict(records[0])
    del broken["split"]
    (tmp_path / "small.jsonl").write_text(json.dumps(broken) + "\n")
    with pytest.raises(InputError, match="KDGAN, seed 0 is damaged at 'split'"):
        left(folder / "small.toml", tmp_path)
