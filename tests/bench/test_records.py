"""Grids of runs: what is run, what is kept, and the table beside the published figures."""

import json
import re
import signal
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from named.made_sets import write_celeba
from pydantic import ValidationError

from novelette import metrics, watch
from novelette.bench import engine, stamps
from novelette.bench.measures import asked
from novelette.bench.printed import printed, published
from novelette.bench.runs import Bench, Entry, Records, current, expand, read_bench, stacks
from novelette.bench.table import table
from novelette.cli import main
from novelette.data.named import load_named, outline
from novelette.data.protocol import PARTING
from novelette.errors import InputError
from novelette.methods import ede_gan, knn

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
DIGITS = load_named("digits")
KNN = Entry(label="kNN", method="knn")
GAN = {"widths": "2", "latent": 8, "steps": 5}
CONFIG = 'config = { widths = "2", latent = 8, steps = 5 }\n'


def bench(*detectors, **changes):
    values = {"name": "b", "title": "B", "data": "digits", "classes": ("1", "3", "7"), "size": 32, "detectors": detectors or (KNN,)}
    return Bench(**(values | changes))


def aurocs(records):
    return {(r["label"], r["normal"], r["seed"]): r["auroc"] for r in records}


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
        with pytest.raises(InputError, match=f"b: {protocol} would part pictures of one thing in digits"):
            engine.run_bench(bench(protocol=protocol), tmp_path / "none")
    assert not (tmp_path / "none").exists()
    groups = grouped_digits("digits").groups
    (run,) = expand(bench(classes=("3",)), DIGITS)
    known = engine.Known("digits", DIGITS.labels, DIGITS.is_train, groups, None, tmp_path)
    split = known.split(bench(protocol="held-out"), run)
    assert not set(groups[split.train]) & set(groups[split.validation])
    assert 0.5 < engine.run_bench(bench(protocol="held-out", classes=("3",)), tmp_path)[0]["auroc"] <= 1


def test_commit_is_marked_where_any_part_of_the_program_differs(tmp_path, monkeypatch):
    package = tmp_path / "novelette"
    (package / "bench").mkdir(parents=True)
    (package / "nets.py").write_text("a = 1\n")
    (tmp_path / "README.md").write_text("a\n")
    monkeypatch.setattr(stamps, "__file__", str(package / "bench" / "stamps.py"))
    assert stamps.commit() is None  # outside of a checkout
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "a"]):
        subprocess.run([*git, *words], check=True)
    commit = stamps.commit()
    assert re.fullmatch("[0-9a-f]{7,}", commit)
    (tmp_path / "README.md").write_text("b\n")
    assert stamps.commit() == commit
    (package / "nets.py").write_text("a = 2\n")
    assert stamps.commit() == commit + "+"


def test_stacks_hold_runs_of_one_detector_alone():
    b = bench(KNN.model_copy(update={"stack": 2}), Entry(label="other", method="knn", config={"k": 1}))
    groups = stacks(b, expand(b, DIGITS))
    assert [[run.entry.label for run in group] for group in groups] == [["kNN"] * 2, ["kNN"], ["other"], ["other"], ["other"]]


def test_records_say_what_was_run_and_a_second_run_does_nothing(tmp_path, monkeypatch):
    records = engine.run_bench(bench(), tmp_path)
    assert [r["normal"] for r in records] == ["1", "3", "7"]
    for record in records:
        assert {"data", "protocol", "method", "config", "epoch", "split", "auroc", "commit", "versions", "device", "created"} <= set(record)
        assert 0.9 < record["auroc"] <= 1  # far above chance: digits are easy for kNN
    content = (tmp_path / "b.jsonl").read_bytes()
    monkeypatch.setattr(engine, "run_stack", None)
    assert engine.run_bench(bench(), tmp_path) == records
    assert (tmp_path / "b.jsonl").read_bytes() == content


def test_killed_grid_goes_on_where_it_was(tmp_path, monkeypatch):
    fit, fitted = knn.fit, []

    def killed_at_the_second(images, *args, **kwargs):
        fitted.append(len(images))
        if len(fitted) == 2:
            raise KeyboardInterrupt
        return fit(images, *args, **kwargs)

    monkeypatch.setattr(knn, "fit", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        engine.run_bench(bench(), tmp_path)
    assert [r["normal"] for r in Records(tmp_path / "b.jsonl").read()] == ["1"]
    records = engine.run_bench(bench(), tmp_path)
    assert [r["normal"] for r in records] == ["1", "3", "7"]
    assert len(fitted) == 4


def test_ctrl_c_in_a_run_is_no_failure_of_the_run(tmp_path, capsys, monkeypatch):
    text = f'name = "b"\ntitle = "B"\ndata = "digits"\nclasses = ["3"]\n[[detectors]]\nlabel = "GAN"\nmethod = "ede-gan"\n{CONFIG}'
    (tmp_path / "b.toml").write_text(text)
    argv = ["bench", str(tmp_path / "b.toml"), "--results", str(tmp_path / "results")]
    with monkeypatch.context() as patched:
        patched.setattr("novelette.training.Run.wants_log", lambda self, step: signal.raise_signal(signal.SIGINT))
        assert main(argv) == 130
    assert capsys.readouterr() == ("", "novelette: stopped\n")
    assert Records(tmp_path / "results" / "b.jsonl").read() == []
    assert main(argv) == 0


@pytest.mark.parametrize("where", ["fit", "score"])
def test_failing_run_leaves_its_error_and_the_others_go_on(where, tmp_path, monkeypatch, capsys):
    asked = []

    def fails_at_the_second(real):
        def call(*args, **kwargs):
            asked.append(where)
            if len(asked) == 2:
                raise RuntimeError("out of memory")
            return real(*args, **kwargs)

        return call

    with monkeypatch.context() as patched:
        target = (knn, "fit") if where == "fit" else (metrics, "auroc")
        patched.setattr(*target, fails_at_the_second(getattr(*target)))
        records = engine.run_bench(bench(), tmp_path)
    assert [r.get("error") for r in records] == [None, "RuntimeError: out of memory", None]
    assert "failed: kNN, 3, seed 0: RuntimeError: out of memory" in table(bench(), records)
    mended = engine.run_bench(bench(), tmp_path)  # what failed is tried again, and the failure is history
    assert [("error" in r, r["normal"]) for r in mended] == [(False, "1"), (False, "3"), (False, "7")]
    assert "failed" not in table(bench(), mended)


def test_damaged_record_is_named_and_the_file_is_left_as_it_is(tmp_path):
    file = tmp_path / "b.jsonl"
    engine.run_bench(bench(classes=("1",)), tmp_path)
    good = file.read_bytes()
    for damaged in (good[:40] + b"\n", b"\xff\xfe\n", b"[1]\n", b'{"key": 1, "label": "kNN"}\n', b"\n"):
        file.write_bytes(good + damaged + good)
        with pytest.raises(InputError, match=r"b\.jsonl, line 2 is damaged"):
            engine.run_bench(bench(), tmp_path)
        assert file.read_bytes() == good + damaged + good


def test_record_is_never_glued_to_a_line_without_an_end(tmp_path):
    records = Records(tmp_path / "new" / "b.jsonl")
    line = {"key": "k", "label": "l", "normal": "1", "seed": 0, "auroc": 0.5}
    records.append([line])
    records.path.write_text(records.path.read_text().rstrip("\n"))
    records.append([line, line])
    assert records.read() == [line] * 3


def test_renamed_detector_keeps_its_records_and_a_changed_one_loses_them():
    b = bench(classes=("1",))
    record = {"key": expand(b, DIGITS)[0].key(b, "digits"), "label": "kNN", "normal": "1", "seed": 0, "auroc": 0.5}
    renamed = bench(KNN.model_copy(update={"label": "neighbours"}), classes=("1",))
    assert current(renamed, "digits", expand(renamed, DIGITS), [record]) == [record | {"label": "neighbours"}]
    changed = bench(KNN.model_copy(update={"config": {"k": 1}}), classes=("1",))
    assert current(changed, "digits", expand(changed, DIGITS), [record]) == []
    assert current(b, "digits (other contents)", expand(b, DIGITS), [record]) == []


def test_swapped_labels_take_their_records_with_their_settings():
    one, two = Entry(label="one", method="knn", config={"k": 1}), Entry(label="two", method="knn", config={"k": 2})
    runs = expand(bench(one, two, classes=("1",)), DIGITS)
    records = [
        {"key": run.key(bench(), "digits"), "label": run.entry.label, "normal": "1", "seed": 0, "auroc": auroc}
        for run, auroc in zip(runs, (0.1, 0.2), strict=True)
    ]
    swapped = bench(one.model_copy(update={"label": "two"}), two.model_copy(update={"label": "one"}), classes=("1",))
    said = current(swapped, "digits", expand(swapped, DIGITS), records)
    assert [(r["label"], r["auroc"]) for r in said] == [("two", 0.1), ("one", 0.2)]


def test_last_success_of_a_run_counts_or_else_its_last_failure():
    b = bench(classes=("1",))
    (run,) = expand(b, DIGITS)
    start = {"key": run.key(b, "digits"), "label": "kNN", "normal": "1", "seed": 0}
    first, second, good, better = start | {"error": "1"}, start | {"error": "2"}, start | {"auroc": 0.5}, start | {"auroc": 0.6}
    for records, said in (
        ([first, second], second),
        ([first, good], good),
        ([good, first], good),
        ([good, first, better, second], better),
    ):
        assert current(b, "digits", [run], records) == [said]


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


def write_bench(path, text=""):
    path.write_text(f'name = "b"\ntitle = "B"\ndata = "digits"\nclasses = ["3"]\n{text}\n[[detectors]]\nlabel = "kNN"\nmethod = "knn"\n')
    return path


def test_command_prints_the_table_and_fails_when_a_run_did(tmp_path, capsys, monkeypatch):
    argv = ["bench", str(write_bench(tmp_path / "b.toml")), "--results", str(tmp_path / "results")]
    monkeypatch.setattr(knn, "fit", None)
    assert main(argv) == 1
    assert "failed: kNN, 3, seed 0: TypeError" in capsys.readouterr().out
    monkeypatch.undo()
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert out.startswith("| normal class | kNN |")
    record = json.loads((tmp_path / "results" / "b.jsonl").read_text().splitlines()[-1])
    assert f"| 3 | {record['auroc']:.4f} |" in out


def test_the_first_table_has_the_rows_beside_that_every_later_one_has(tmp_path, capsys):
    """What stands beside is known to be of the same data only when the bench has records of its own."""
    (tmp_path / "o.toml").write_text(write_bench(tmp_path / "b.toml").read_text().replace('"b"', '"o"').replace('"kNN"', '"other"'))
    write_bench(tmp_path / "b.toml", 'beside = ["o"]')
    results = ["--results", str(tmp_path / "results")]
    assert main(["bench", str(tmp_path / "o.toml"), *results]) == 0
    records = tmp_path / "results" / "o.jsonl"
    records.write_text(records.read_text().replace("digits", "digits, a copy"))
    capsys.readouterr()
    first, second = ((main(["bench", str(tmp_path / "b.toml"), *results]), capsys.readouterr().out) for _ in range(2))
    assert first == second
    assert "a copy" in first[1]


def test_records_that_lack_what_the_bench_asks_for_by_now_are_counted_and_none_is_lost(tmp_path, capsys):
    path, records = tmp_path / "b.toml", tmp_path / "results" / "b.jsonl"
    argv = ["bench", str(write_bench(path)), "--results", str(records.parent)]
    assert main(argv) == 0
    before = records.read_bytes()
    assert "lack" not in capsys.readouterr().err
    write_bench(path, 'measures = ["fit", "passes", "noise", "accuracy", "running"]\ncurve = 3')  # kNN has but the first two
    assert main(argv) == 0
    err = capsys.readouterr().err
    assert re.findall("1 record lacks '(.*?)'", err) == ["scores", "passes"]
    assert f"delete the lines in {records}, and these runs are done again" in err
    assert records.read_bytes() == before
    records.unlink()
    assert main(argv) == 0
    assert "lack" not in capsys.readouterr().err


DISCRIMINATOR = Entry(label="D", method="discriminator", config={"steps": 4, "batch_size": 8})


@pytest.mark.heavy
@pytest.mark.parametrize("entry", [KNN, Entry(label="GAN", method="ede-gan", config=GAN | {"norm": "batch"}), DISCRIMINATOR])
def test_what_a_bench_asks_of_a_run_is_what_its_record_has(entry, tmp_path):
    plain = bench(entry, classes=("3",))
    whole = plain.model_copy(update={"curve": 2, "measures": ("accuracy", "fit", "losses", "noise", "passes", "running", "variance")})
    (without,), (record,) = engine.run_bench(plain, tmp_path / "plain"), engine.run_bench(whole, tmp_path / "whole")
    assert set(asked(whole, expand(whole, DIGITS)[0])) == set(record) - set(without)


def test_measures_of_the_log_are_refused_of_a_stack():
    for name in ("losses", "variance"):
        with pytest.raises(ValidationError, match=f"'GAN' is stacked, and {name} are of runs one by one"):
            bench(Entry(label="GAN", method="ede-gan", stack=2), measures=(name,))


def test_bench_file_reads_as_it_is_written(tmp_path):
    read = read_bench(write_bench(tmp_path / "b.toml", "seeds = [0, 1]\nsize = 28"))
    assert (read.name, read.data, read.classes, read.seeds, read.size, read.detectors) == ("b", "digits", ("3",), (0, 1), 28, (KNN,))


def records_of(label, figures):
    return [{"label": label, "normal": normal, "seed": seed, "auroc": a} for (normal, seed), a in figures.items()]


def test_table_by_hand():
    b = bench(KNN, Entry(label="GAN", method="ede-gan"), Entry(label="not run", method="ede-gan"), classes=("1", "2"))
    records = records_of("kNN", {("1", 0): 0.9, ("2", 0): 0.8})
    records += records_of("GAN", {("1", 0): 0.70, ("1", 1): 0.74, ("2", 0): 0.80, ("2", 1): 0.90})
    # class 1: mean 0.72, std sqrt(2 * 0.02² / 1) = 0.0283; mean over classes, a seed: 0.75 and 0.82, so 0.785 ± 0.0495
    assert table(b, records).splitlines() == [
        "| normal class | kNN | GAN |",
        "| --- | ---: | ---: |",
        "| 1 | 0.9000 | 0.7200 ± 0.0283 (2) |",
        "| 2 | 0.8000 | 0.8500 ± 0.0707 (2) |",
        "| **mean of 2** | **0.8500** | **0.7850 ± 0.0495 (2)** |",
    ]


def test_mean_row_is_blank_for_a_column_that_lacks_a_class_and_counts_the_seeds_that_all_have():
    records = records_of("kNN", {("1", 0): 0.9}) + records_of("GAN", {("1", 0): 0.7, ("1", 1): 0.9, ("2", 0): 0.8})
    lines = table(bench(KNN, Entry(label="GAN", method="ede-gan")), records).splitlines()
    assert lines[3] == "| 2 |  | 0.8000 |"
    assert lines[-1] == "| **mean of 2** |  | **0.7500** |"


def test_published_figures_stand_beside_ours():
    paper = published("pkdgan-mnist")
    b = bench(published="pkdgan-mnist")
    two = table(b, records_of("kNN", {("0", 0): 0.9, ("1", 0): 0.8})).splitlines()
    ocsvm = [cell.strip() for cell in two[0].split("|")].index(f"OCSVM ({paper['source']})")
    assert [line.split("|")[ocsvm].strip() for line in two[2:]] == ["0.9880", "0.9990", "0.9935"]  # as printed; the mean is of these two
    ten = table(b, records_of("kNN", {(str(d), 0): 0.9 for d in range(10)})).splitlines()
    assert ten[-1].split("|")[ocsvm].strip() == "0.9513"  # of all ten, the paper's own mean


@pytest.mark.parametrize("name", ["piad-mnist", "piad-cifar10"])
def test_the_columns_of_piads_table_2_have_the_means_that_it_prints(name):
    for column, figures in published(name)["columns"].items():
        classes = [value for normal, value in figures.items() if normal != "mean"]
        if classes:
            assert np.mean(classes) == pytest.approx(figures["mean"], abs=0.00101), column  # classes and means are printed to 0.001


def test_every_bench_of_detectors_in_the_repository_can_be_run():
    """Its classes, settings and published columns exist; a page names benches that do."""
    for path in BENCHMARKS.glob("*.toml"):
        if "benches" in (values := tomllib.loads(path.read_text())):
            assert all((BENCHMARKS / f"{name}.toml").is_file() for name in values["benches"]), path
        elif "detectors" in values:
            b = read_bench(path)
            assert b.name == path.stem
            assert all((BENCHMARKS / f"{name}.toml").is_file() for name in b.beside), path
            assert expand(b, outline(b.data))
            columns = printed(b.published)
            assert all(columns.column(row.label, row.paper) for row in b.rows if row.paper)


def test_a_bench_of_celeba_names_an_attribute(tmp_path):
    write_celeba(tmp_path / "celeba")
    faces = bench(data="celeba", classes=("absent",), attribute="Bald")
    (record,) = engine.run_bench(faces, tmp_path / "results", data_roots=(tmp_path,))
    assert "error" not in record
    assert record["data"].startswith("CelebA (Bald, ")
    with pytest.raises(InputError, match="CelebA needs an attribute"):
        engine.run_bench(bench(data="celeba", classes=("absent",)), tmp_path / "results", data_roots=(tmp_path,))


def test_a_picture_that_cannot_be_read_is_named_before_it_shifts_the_labels_after_it(tmp_path):
    write_celeba(tmp_path / "celeba")
    whole = (tmp_path / "celeba" / "img_align_celeba" / "000002.jpg").read_bytes()
    (tmp_path / "celeba" / "img_align_celeba" / "000002.jpg").write_bytes(whole[: len(whole) // 2])
    faces = bench(data="celeba", classes=("absent",), attribute="Bald")
    with pytest.raises(InputError, match=r"CelebA.*: 000002\.jpg cannot be read \(.+\), and a bench needs every picture"):
        engine.run_bench(faces, tmp_path / "results", data_roots=(tmp_path,))
    assert not (tmp_path / "results").exists()


def test_published_tables_name_their_source_and_hold_areas():
    for name in ("pkdgan-mnist", "pkdgan-fashion-mnist", "pkdgan-cifar10", "piad-mnist", "piad-cifar10", "piad-coil100", "piad-lsun"):
        paper = published(name)
        assert "Table" in paper["source"] or "section" in paper["source"]
        for figures in paper["columns"].values():
            assert all(0 < value <= 1 for value in figures.values())
    with pytest.raises(InputError, match="no published figures 'mine'"):
        published("mine")
