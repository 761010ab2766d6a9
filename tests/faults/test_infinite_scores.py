"""Scores that are not finite: the picture is named, and no command ends in a traceback."""

import json

import numpy as np
import pytest
from faults.conftest import GAN
from pictures import assert_refused, write_labelled

from novelette.cli import main
from novelette.detector import Detector


@pytest.fixture
def one_infinite(monkeypatch):
    """Every detector gives the last of the pictures that it sees together a score of infinity."""
    score = Detector.score_pixels

    def strange(self, pixels, **own):
        scores = score(self, pixels, **own)
        scores[-1] = np.inf
        return scores

    monkeypatch.setattr(Detector, "score_pixels", strange)


@pytest.mark.usefixtures("one_infinite")
def test_a_picture_without_a_finite_score_is_skipped_and_the_others_have_theirs(tmp_path, det, parts, capsys):
    said = "skipped 02.png: its score is not a finite number, and says nothing"
    novel = write_labelled(tmp_path / "labelled", 3) / "novel"
    assert main(["score", str(det), str(novel), "-o", str(tmp_path / "scores.csv")]) == 3
    assert [line.split(",")[0] for line in (tmp_path / "scores.csv").read_text().splitlines()] == ["path", "00.png", "01.png"]
    assert said in capsys.readouterr().err
    assert main(["drift", str(det), str(novel), "--json"]) == 3
    out, err = capsys.readouterr()
    assert json.loads(out)["pictures"] == 2
    assert said in err


@pytest.mark.usefixtures("one_infinite")
def test_a_score_that_is_not_finite_ends_no_command_in_a_traceback_and_its_picture_is_named(tmp_path, det, parts, capsys):
    labelled = write_labelled(tmp_path / "labelled", 3)
    asked = ["--miss-cost", "2", "--novel-prior", "0.1"]
    for argv, name in (
        (["evaluate", str(det), str(labelled)], "novel/02.png"),
        (["calibrate", str(det), str(labelled / "novel")], "02.png"),
        (["calibrate", str(det), str(labelled), *asked], "novel/02.png"),
        (["fit", "knn", str(parts), "-o", str(tmp_path / "a.det")], ".png"),
        (["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN], ".png"),  # nor is there work to resume
        (["distill", str(det), str(parts), "-o", str(tmp_path / "a.det"), "--widths", "2", "--steps", "2"], ".png"),
        (["classify", "fit", "plain", str(labelled), "-o", str(tmp_path / "a.clf"), "--divide-widths", "16", "--epochs", "1"], ".png"),
    ):
        assert_refused(argv, tmp_path, capsys, f"{name} is inf, which cannot be compared", "leave the picture out")
