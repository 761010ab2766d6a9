"""Places that cannot be written, and disks that fill in the middle: nothing is lost."""

import errno
import os
import tempfile
from pathlib import Path

import pytest
from faults.conftest import GAN
from pictures import assert_refused, everything_in, write_labelled

from novelette import store, work
from novelette.cli import main

REFUSALS = {errno.EROFS: "read-only file system", errno.EACCES: "permission denied", errno.ENOSPC: "the disk is full"}


@pytest.mark.parametrize("number", REFUSALS, ids=errno.errorcode.get)
def test_output_that_cannot_be_written_is_told_before_the_work(number, tmp_path, det, parts, capsys, monkeypatch):
    labelled = write_labelled(tmp_path / "labelled", 2)
    bench = tmp_path / "b.toml"
    bench.write_text('name = "b"\ntitle = "B"\ndata = "digits"\n[[detectors]]\nlabel = "a"\nmethod = "knn"\n')

    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    new = tmp_path / "new"
    for argv in (
        ["fit", "knn", str(parts), "-o", str(new / "a.det")],
        ["calibrate", str(det), str(parts), "-o", str(new / "a.det")],
        ["score", str(det), str(parts), "-o", str(new / "a.csv")],
        ["score", str(det), str(parts), "--heatmaps", str(new / "maps")],
        ["evaluate", str(det), str(labelled), "-o", str(new / "report")],
        ["bench", str(bench), "--results", str(new / "results")],
    ):
        assert_refused(argv, tmp_path, capsys, f"cannot write to {tmp_path}", REFUSALS[number])


def test_output_below_a_file_is_refused(tmp_path, parts, capsys):
    (tmp_path / "file").write_text("mine")
    assert_refused(["fit", "knn", str(parts), "-o", str(tmp_path / "file" / "a.det")], tmp_path, capsys, "cannot write to")


@pytest.mark.parametrize("link", ["nowhere", "loop"])
def test_output_below_a_link_that_leads_nowhere_is_refused_before_the_work(link, tmp_path, det, parts, capsys, monkeypatch):
    labelled = write_labelled(tmp_path / "labelled", 2)
    below = tmp_path / link
    below.symlink_to(below if link == "loop" else tmp_path / "gone")
    monkeypatch.setattr("novelette.detector.Detector.predict", lambda *args, **more: pytest.fail("it scored"))
    for argv in (
        ["fit", "knn", str(parts), "-o", str(below / "a.det")],
        ["calibrate", str(det), str(parts), "-o", str(below / "deep" / "a.det")],
        ["score", str(det), str(parts), "-o", str(below / "a.csv")],
        ["evaluate", str(det), str(labelled), "-o", str(below / "report")],
    ):
        assert_refused(argv, tmp_path, capsys, f"cannot write to {below}")


def test_output_whose_name_is_as_long_as_names_may_be_is_written(tmp_path, det, parts):
    table, folder = tmp_path / ("a" * 251 + ".csv"), tmp_path / ("b" * 255)
    assert main(["score", str(det), str(parts), "-o", str(table)]) == 0
    assert main(["calibrate", str(det), str(parts), "-o", str(folder)]) == 0
    assert main(["calibrate", str(folder), str(parts)]) == 0
    assert table.read_text().startswith("path,score")
    assert not list(tmp_path.glob(".*"))


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("at", ["write_bytes", "write_text", "rename"])
def test_disk_that_fills_while_a_detector_is_replaced_leaves_the_old_one_whole(at, tmp_path, det, parts, capsys, monkeypatch):
    monkeypatch.setattr(*((os, "rename") if at == "rename" else (Path, at)), full)
    argv = ["fit", "knn", str(parts), "-o", str(det), "--k", "3", "--force"]
    assert_refused(argv, tmp_path, capsys, "the disk is full", "nothing was changed")
    assert store.load(det).config.k == 5


def test_disk_that_fills_between_the_two_renames_puts_the_old_detector_back(tmp_path, det, parts, capsys, monkeypatch):
    rename, calls = os.rename, []

    def second_time_full(a, b):
        calls.append(a)
        if len(calls) == 2:
            full()
        rename(a, b)

    monkeypatch.setattr(os, "rename", second_time_full)
    argv = ["fit", "knn", str(parts), "-o", str(det), "--k", "3", "--force"]
    assert_refused(argv, tmp_path, capsys, "nothing was changed")
    assert len(calls) == 3


def test_old_detector_that_finds_no_way_back_is_not_thrown_away(tmp_path, det, parts, monkeypatch):
    before, rename, calls = everything_in(det), os.rename, []

    def full_from_the_second_time_on(a, b):
        calls.append(a)
        if len(calls) >= 2:
            full()
        rename(a, b)

    monkeypatch.setattr(os, "rename", full_from_the_second_time_on)
    assert main(["fit", "knn", str(parts), "-o", str(det), "--k", "3", "--force"]) == 2
    (kept,) = tmp_path.glob(".novelette-*/knn.det")
    assert everything_in(kept) == before


def test_training_whose_detector_finds_no_room_is_kept_for_resume(tmp_path, parts, capsys, monkeypatch):
    det = tmp_path / "a.det"
    argv = ["fit", "ede-gan", str(parts), "-o", str(det), *GAN]
    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", full)
        assert main(argv) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--resume" in err
    assert not det.exists()
    steps = []
    monkeypatch.setattr("novelette.methods.ede_gan.descend", lambda *args: steps.append(args))
    assert main([*argv, "--resume"]) == 0
    assert steps == []
    assert not (tmp_path / "a.det.run").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize("name", ["checkpoint.pt.part", "log.jsonl"])
def test_full_disk_while_training_keeps_the_last_checkpoint(name, tmp_path, parts, capsys, monkeypatch):
    folder = tmp_path / "a.det.run"
    folder.mkdir()
    (folder / work.MARK).touch()
    (folder / name).symlink_to("/dev/full")

    def saved_before(self, step):
        return (folder / "checkpoint.pt").write_bytes(b"the last one") > 0

    monkeypatch.setattr(Path, "write_text", lambda self, text: len(text))  # the log's emptying, which a full disk allows
    monkeypatch.setattr("novelette.training.Run.wants_log", saved_before)
    argv = ["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN]
    assert main(argv) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "the disk is full" in err
    assert "--resume" in err
    assert (folder / "checkpoint.pt").read_bytes() == b"the last one"


def test_disk_that_fills_while_scores_are_written_leaves_the_old_table(tmp_path, det, parts, capsys, monkeypatch):
    (tmp_path / "a.csv").write_text("mine")
    monkeypatch.setattr(os, "replace", full)
    argv = ["score", str(det), str(parts), "-o", str(tmp_path / "a.csv"), "--force"]
    assert_refused(argv, tmp_path, capsys, "a.csv", "the disk is full")


def test_disk_that_fills_while_heat_maps_or_a_report_are_written_is_told(tmp_path, det, parts, capsys, monkeypatch):
    labelled = write_labelled(tmp_path / "labelled", 3)
    for folder, name in (("maps", "00.png.png"), ("report", "older.html")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text("mine")
    monkeypatch.setattr(os, "replace", full)
    capsys.readouterr()
    assert main(["score", str(det), str(parts), "--heatmaps", str(tmp_path / "maps"), "--force"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert f"cannot write {tmp_path / 'maps' / '00.png.png'}: the disk is full" in err
    assert main(["evaluate", str(det), str(labelled), "-o", str(tmp_path / "report")]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "report" in err
    assert everything_in(tmp_path / "maps") == {"00.png.png": b"mine"}
    assert everything_in(tmp_path / "report") == {"older.html": b"mine"}
