"""`novelette compare`: rows, pages and kept detectors; what fails, and what is refused before any work."""

import inspect
import multiprocessing
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from compare.contestants import GAN, MISSING, here, recipe
from pictures import assert_refused, checks, stripes, write, write_labelled

from novelette import calibrate, cli_compare, metrics, store
from novelette.cli import main
from novelette.compare import contest
from novelette.data import download
from novelette.errors import InputError
from novelette.methods import knn
from novelette.words import text_table


def test_the_rate_is_that_of_fit_unless_given():
    """A literal there, since importing the command must not load numpy."""
    assert inspect.signature(cli_compare.compare).parameters["false_alarm_rate"].default == calibrate.FALSE_ALARM_RATE


def test_every_method_is_a_row_best_first_with_both_knns_though_they_were_not_asked_for(made):
    _, _, found = made
    *rows, last = found["rows"]
    assert {row["method"] for row in rows} == {"knn", "knn --metric euclidean", f"{GAN} --steps 12"}
    assert last["method"] == MISSING
    areas = [row["auroc"] for row in rows]
    assert areas == sorted(areas, reverse=True)
    assert all(row["low"] <= row["auroc"] <= row["high"] for row in rows)


def test_a_method_that_fails_is_a_row_with_its_reason_and_the_others_go_on(made):
    status, folder, found = made
    assert status == 1
    assert [row["failed"] is None for row in found["rows"]] == [True] * 3 + [False]
    assert "gone.npz" in found["rows"][-1]["failed"]
    assert not (folder / "feature-knn-perceptual-weights-gone.npz.det").exists()
    *_, last = re.findall(r"<tr>.*?</tr>", (folder / "index.html").read_text().partition("</table>")[0])
    assert re.search(rf'<th scope="row">{MISSING}</th><td colspan="9">failed: .*gone\.npz', last)


def test_the_printed_table_has_a_line_for_what_failed_under_the_same_columns():
    lines = text_table(["method", "AUROC", "fit"], [["knn", "0.912", "1 s"], ["pca, long", "failed: too few pictures for it"]])
    assert list(lines) == ["method     AUROC  fit", "knn        0.912  1 s", "pca, long  failed: too few pictures for it"]


def test_when_every_method_fails_the_table_has_their_reasons(parts, monkeypatch, capsys):
    monkeypatch.setattr(contest, "answered", lambda task, limit_s: "no memory")
    assert main(["compare", str(parts), "--methods", "knn"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "method                  agreement  steps  fit  a picture  on disk  memory",
        "knn                     failed: no memory",
        "knn --metric euclidean  failed: no memory",
        "None of the methods finished.",
    ]


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """No weights, and no internet to fetch them from."""

    def no_connection(*args):
        raise InputError("no connection")

    monkeypatch.setenv("NOVELETTE_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(download, "_fetch_file", no_connection)


@pytest.mark.usefixtures("offline")
def test_only_the_default_feature_knn_may_be_without_its_weights(parts, monkeypatch, capsys):
    def answered(task, limit_s):  # kNN in the place of whatever needs no weights
        return here(task if task.recipe.method == "feature-knn" else replace(task, recipe=recipe("knn", knn.TINY), seconds=None), limit_s)

    monkeypatch.setattr(contest, "answered", answered)
    assert main(["compare", str(parts)]) == 0
    out, err = capsys.readouterr()
    assert re.search("^feature-knn +failed: the weights of MobileNet v1 0.25 .* were not found", out, re.MULTILINE)
    assert err.splitlines()[-1] == "feature-knn is left out: the weights of its network were not found, and --methods did not ask for it"

    assert main(["compare", str(parts), "--methods", "feature-knn"]) == 1
    assert "is left out" not in capsys.readouterr().err
    monkeypatch.setattr(contest, "answered", lambda task, limit_s: "no memory" if task.recipe.method == "pca" else answered(task, limit_s))
    assert main(["compare", str(parts)]) == 1


def test_files_that_are_taken_for_masks_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(contest, "answered", lambda task, limit_s: "no memory")
    write(tmp_path / "parts", stripes(20))
    write(tmp_path / "parts" / "masks", checks(1))
    write_labelled(tmp_path / "labelled")
    write(tmp_path / "labelled" / "mask", checks(2))
    assert main(["compare", str(tmp_path / "parts"), "--test", str(tmp_path / "labelled"), "--methods", "knn"]) == 1
    told = re.findall("taken for masks and left out: (.*); if they are pictures", capsys.readouterr().err)
    assert told == ["masks/00.png", "mask/00.png, mask/01.png"]


def test_a_process_can_be_waited_for_as_long_as_minutes_may_be_given():
    mine, its = multiprocessing.Pipe()
    its.send("done")
    assert mine.poll(60 * (contest.GRACE * cli_compare.MOST_MINUTES + 1))


def test_detectors_are_kept_and_are_what_fit_makes(made, parts, labelled, tmp_path):
    _, folder, found = made
    row = next(row for row in found["rows"] if row["method"].startswith("ede-gan"))
    words = row["command"].split()
    kept, again = folder / words[words.index("-o") + 1], tmp_path / "again.det"
    words[words.index("-o") + 1] = str(again)
    assert words[:4] == ["novelette", "fit", "ede-gan", str(parts)]
    assert main(words[1:]) == 0
    assert (again / store.WEIGHTS).read_bytes() == (kept / store.WEIGHTS).read_bytes()
    assert store.load(kept).threshold == row["threshold"]


def test_figures_are_those_of_the_kept_detector(made, labelled):
    _, folder, found = made
    row = next(row for row in found["rows"] if row["method"] == "knn")
    detector = store.load(folder / "knn.det")
    scores, labels = detector.score(labelled), np.repeat([0, 1], 12)  # normal/ comes before novel/
    assert row["auroc"] == metrics.auroc(scores, labels)
    assert (row["false_alarms"], row["misses"]) == metrics.rates_at(scores, labels, detector.threshold)
    assert row["disk_bytes"] == sum(file.stat().st_size for file in (folder / "knn.det").iterdir())


def test_the_page_stands_alone_and_shows_every_row(made):
    text = (made[1] / "index.html").read_text()
    assert text.count("<svg") == 1
    assert "<script" not in text
    assert "$" not in text
    assert "http" not in re.sub(r'http-equiv="[^"]*"', "", text)
    assert all(text.count(row["command"].split(" -o ")[1]) == 1 for row in made[2]["rows"][:-1])


def test_a_method_that_needs_the_classes_of_the_pictures_has_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(contest, "answered", here)
    for name, picture in (("waves", stripes(20)), ("boards", checks(20))):
        write(tmp_path / "parts" / name, picture)
    methods = "certainty --reading plain --width 4 --steps 2"
    assert main(["compare", str(tmp_path / "parts"), "--methods", methods]) == 0
    assert "failed" not in capsys.readouterr().out


def test_without_labelled_pictures_nothing_is_ranked_and_the_strangest_are_shown(parts, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(contest, "answered", here)
    odd = write(tmp_path / "parts", np.concatenate([stripes(40), np.full((1, 32, 32), 255, np.uint8)]))
    assert main(["compare", str(odd), "--methods", "knn --k 1", "-o", str(tmp_path / "report"), "--false-alarm-rate", "0.3"]) == 0
    out, page_text = capsys.readouterr().out, (tmp_path / "report" / "index.html").read_text()
    assert "AUROC" not in out
    assert "Normal pictures alone do not show which of " in out
    assert "Strangest to all methods together, and worth a look before they are called normal: 40.png," in out
    assert page_text.index("40.png</figcaption>") < page_text.index("</figcaption>") + 20  # the first shown


def test_an_unreadable_picture_is_skipped_and_told(tmp_path, labelled, monkeypatch, capsys):
    monkeypatch.setattr(contest, "answered", here)
    parts = write(tmp_path / "parts", stripes(30))
    (parts / "07.png").write_bytes(b"no picture")
    assert main(["compare", str(parts), "--methods", "knn", "--test", str(labelled)]) == 3
    assert "skipped 07.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("methods", "says"),
    [
        ("nothing", "there is no method 'nothing': choose one of"),
        ("knn --k 0", "--k"),
        ("knn --neighbours 3", "--neighbours"),
        ("ede-gan --widths x", "widths"),
    ],
)
def test_a_method_that_is_none_is_refused_before_any_work(methods, says, parts, tmp_path, capsys):
    assert_refused(["compare", str(parts), "--methods", methods], tmp_path, capsys, says)


def test_what_must_not_be_replaced_is_refused_before_any_work(made, parts, tmp_path, capsys):
    folder = made[1]
    assert_refused(["compare", str(parts), "-o", str(folder)], folder, capsys, "index.html exists", "--force")
    write(tmp_path / "out" / "knn.det", stripes(1))
    assert_refused(["compare", str(parts), "-o", str(tmp_path / "out")], tmp_path, capsys, "knn.det exists")
    for minutes in ("0", "nan", "8000", "inf"):
        says = f"--minutes-each {minutes} is out of range: give more than 0, up to 7,000"
        assert_refused(["compare", str(parts), "--minutes-each", minutes], tmp_path, capsys, says)
