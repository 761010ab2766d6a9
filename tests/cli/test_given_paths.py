"""Paths that commands are given: things that are no detector, pictures that cannot be read, masks, strange names."""

import json
import os
import re
import shutil

import pytest
from cli.answers import as_json
from pictures import assert_refused, checks, fitted, stripes, write, write_labelled

from novelette import saying, store
from novelette.cli import main


def test_what_is_something_else_than_a_detector_is_named(tmp_path, parts, capsys):
    for card, what in (("bundle.json", "a bundle"), ("tagger.json", "a tagger")):
        (tmp_path / what).mkdir()
        (tmp_path / what / card).write_text("{}")
        assert_refused(["calibrate", str(tmp_path / what), str(parts)], tmp_path, capsys, f"is {what}, not a detector")
    assert_refused(["calibrate", str(parts), str(parts)], tmp_path, capsys, "is not a detector: it has no detector.json")


def test_a_named_set_where_none_is_taken_is_not_called_a_missing_path(tmp_path, knn, capsys):
    argv = ["score", str(knn), "digits", "-o", str(tmp_path / "a.csv")]
    assert_refused(argv, tmp_path, capsys, "digits does not exist; digits is a named set, which is not accepted here")


@pytest.fixture
def dirty(tmp_path):
    """normal/ of 30 and novel/ of 3 readable pictures, and an empty, a truncated and a foreign file among them."""
    folder = write_labelled(tmp_path / "dirty", 3)
    write(folder / "normal", stripes(30, seed=4))
    (folder / "normal" / "05x.png").touch()
    (folder / "novel" / "00x.png").write_bytes((folder / "novel" / "00.png").read_bytes()[:200])
    (folder / "normal" / "99.jpg").write_text("no picture")
    return folder


def test_unreadable_pictures_are_listed_counted_and_skipped(dirty, tmp_path, knn, capsys):
    normal = str(dirty / "normal")
    for argv in (
        ["fit", "knn", normal, "-o", str(tmp_path / "a.det"), "--false-alarm-rate", "0.3"],
        ["calibrate", str(tmp_path / "a.det"), normal, "--false-alarm-rate", "0.3"],
        ["score", str(knn), str(dirty), "-o", str(tmp_path / "a.csv")],
        ["evaluate", str(knn), str(dirty)],
    ):
        capsys.readouterr()
        assert main(argv) == saying.SKIPPED == 3
        err = capsys.readouterr().err.splitlines()
        if normal in argv:
            skipped = ["05x.png: empty file", "99.jpg: not an image"]
        else:
            skipped = ["normal/05x.png: empty file", "normal/99.jpg: not an image", "novel/00x.png: truncated"]
        assert err[: len(skipped)] == [f"skipped {line}" for line in skipped]
        assert err[len(skipped)] == f"{len(skipped)} pictures were skipped"
    paths = [line.partition(",")[0] for line in (tmp_path / "a.csv").read_text().splitlines()[1:]]
    assert len(paths) == 33
    assert paths == sorted(paths)
    assert store.load(tmp_path / "a.det").provenance["n_unreadable"] == 2


def test_unreadable_pictures_do_not_change_the_figures(dirty, labelled, knn, capsys):
    capsys.readouterr()
    main(["evaluate", str(knn), str(dirty), "--json"])
    with_them = json.loads(capsys.readouterr().out)
    for name in ("normal/05x.png", "normal/99.jpg", "novel/00x.png"):
        (dirty / name).unlink()
    without = as_json(["evaluate", str(knn), str(dirty)], capsys)
    assert (with_them["n_normal"], with_them["n_novel"], with_them["unreadable"]) == (30, 3, 3)
    assert {k: v for k, v in with_them.items() if k not in ("seconds", "unreadable")} == {
        k: v for k, v in without.items() if k not in ("seconds", "unreadable")
    }


def test_files_that_are_taken_for_masks_are_named(tmp_path, labelled, knn, capsys):
    shutil.copytree(labelled, tmp_path / "labelled")
    write(tmp_path / "labelled" / "mask", checks(2))  # a kind of novelty, or marks of novelty: its name says marks
    write(tmp_path / "parts", stripes(20))
    write(tmp_path / "parts" / "masks", checks(1))
    marks = "taken for masks and left out: mask/00.png, mask/01.png; if they are pictures, rename them or their folder\n"
    for argv, says in (
        (["evaluate", str(knn), str(tmp_path / "labelled")], marks),
        (["score", str(knn), str(tmp_path / "labelled"), "-o", str(tmp_path / "a.csv")], marks),
        (["fit", "knn", str(tmp_path / "parts"), "-o", str(tmp_path / "a.det")], marks.replace("mask/00.png, mask/01.png", "masks/00.png")),
    ):
        capsys.readouterr()
        assert main(argv) == 0
        assert says in capsys.readouterr().err


def test_names_that_are_not_utf8_are_shown_as_far_as_they_are_text(tmp_path, capsys):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        write_labelled(folder, 20)
    except OSError:
        pytest.skip("this file system wants UTF-8 names")
    det = fitted(tmp_path / os.fsdecode(b"d\xe9.det"), folder / "normal")
    assert main(["info", str(det)]) == 0
    assert "normal" in capsys.readouterr().out
    assert main(["evaluate", str(det), str(folder), "-o", str(tmp_path / "report")]) == 0
    title, provenance = re.search(
        "<title>(.*)</title>.*(source</th><td>.*?)</td>", (tmp_path / "report" / "index.html").read_text(), re.S
    ).groups()
    assert title.startswith(r"d\xe9.det on ")
    assert title.endswith(r"/caf\xe9")
    assert r"/caf\xe9/normal" in provenance
    assert as_json(["evaluate", str(det), str(folder)], capsys)["knn_auroc"] is not None  # found again by the bytes of its name
