"""Records: what each holds, which of several counts, and that none is lost when a grid is killed or a run fails."""

import re
import signal
import subprocess

import pytest
from bench.made_benches import DIGITS, GAN, KNN, bench

from novelette import metrics
from novelette.bench import engine, stamps
from novelette.bench.measures import asked
from novelette.bench.runs import Entry, Records, current, expand
from novelette.bench.table import table
from novelette.cli import main
from novelette.errors import InputError
from novelette.methods import knn

CONFIG = 'config = { widths = "2", latent = 8, steps = 5 }\n'


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


DISCRIMINATOR = Entry(label="D", method="discriminator", config={"steps": 4, "batch_size": 8})


@pytest.mark.heavy
@pytest.mark.parametrize("entry", [KNN, Entry(label="GAN", method="ede-gan", config=GAN | {"norm": "batch"}), DISCRIMINATOR])
def test_what_a_bench_asks_of_a_run_is_what_its_record_has(entry, tmp_path):
    plain = bench(entry, classes=("3",))
    whole = plain.model_copy(update={"curve": 2, "measures": ("accuracy", "fit", "losses", "noise", "passes", "running", "variance")})
    (without,), (record,) = engine.run_bench(plain, tmp_path / "plain"), engine.run_bench(whole, tmp_path / "whole")
    assert set(asked(whole, expand(whole, DIGITS)[0])) == set(record) - set(without)
