"""`novelette calibrate`: another threshold for the same detector, from pictures that it has not seen."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from pictures import assert_refused, checks, everything_in, fitted, stripes, write, write_views

from novelette import store
from novelette.cli import main


@pytest.mark.parametrize("method", ["knn", "gan"])
def test_calibrate_changes_the_calibration_alone(method, tmp_path, request, capsys):
    was = request.getfixturevalue(method)
    det = Path(shutil.copytree(was, tmp_path / "a.det"))
    fresh = write(tmp_path / "fresh", stripes(30, seed=7))
    assert main(["calibrate", str(det), str(fresh), "--false-alarm-rate", "0.1"]) == 0
    assert "calibrated on 30 pictures" in capsys.readouterr().out
    cards = [json.loads((folder / "detector.json").read_text()) for folder in (was, det)]
    assert {key for key in cards[0] if cards[0][key] != cards[1][key]} == {"calibration", "false_alarm_rate", "card_sha256"}
    others = [{name: content for name, content in everything_in(folder).items() if name != "detector.json"} for folder in (was, det)]
    assert others[0] == others[1]
    now = store.load(det)
    assert now.calibration.tolist() == sorted(now.score(fresh).tolist())
    assert now.threshold == now.calibration[-3]  # the k-th largest, k = floor(0.1 * 31)
    np.testing.assert_array_equal(now.score(fresh), store.load(was).score(fresh))


def test_calibrate_leaves_out_the_pictures_that_training_saw(tmp_path, knn, parts):
    det = Path(shutil.copytree(knn, tmp_path / "a.det"))
    held_out = store.load(knn).calibration
    assert main(["calibrate", str(det), str(parts), "--false-alarm-rate", "0.2"]) == 0
    np.testing.assert_array_equal(store.load(det).calibration, held_out)


def test_calibrate_keeps_the_stated_rate_unless_another_is_given(tmp_path, knn):
    fresh = write(tmp_path / "fresh", stripes(12, seed=7))
    for given, rate in (([], 0.2), (["--false-alarm-rate", "0.1"], 0.1)):
        assert main(["calibrate", str(knn), str(fresh), *given, "-o", str(tmp_path / f"{rate}.det")]) == 0
        assert store.load(tmp_path / f"{rate}.det").false_alarm_rate == rate


def test_calibrate_into_another_detector_leaves_the_first(tmp_path, knn, capsys):
    before = everything_in(knn)
    fresh = write(tmp_path / "fresh", stripes(12, seed=7))
    assert main(["calibrate", str(knn), str(fresh), "--false-alarm-rate", "0.05", "-o", str(tmp_path / "b.det")]) == 0
    assert "7 more than the 12 there are" in capsys.readouterr().out  # 5 % needs 19
    assert everything_in(knn) == before
    assert store.load(tmp_path / "b.det").threshold is None


def test_calibrate_in_place_that_would_lose_the_threshold_is_refused(tmp_path, knn, capsys):
    det = Path(shutil.copytree(knn, tmp_path / "a.det"))
    fresh = write(tmp_path / "fresh", stripes(12, seed=7))
    argv = ["calibrate", str(det), str(fresh), "--false-alarm-rate", "0.05"]
    assert_refused(argv, tmp_path, capsys, "needs 19 calibration pictures", "keeps its old threshold")
    assert store.load(det).threshold == store.load(knn).threshold is not None


def test_calibrate_leaves_out_every_view_of_what_training_saw(tmp_path):
    """Twenty things of three views each: a group is on one side, so as many as were held out are fresh, whole groups of them."""
    folder = tmp_path / "parts"
    for i, picture in enumerate(write_views(folder)):
        picture.rename(folder / f"part{i // 3:02}-{i % 3}.png")
    det = fitted(tmp_path / "a.det", folder, "knn", "--group-by", "part[0-9]+")
    was = store.load(det)
    assert len(was.calibration) % 3 == 0
    trained = store.load(det).scorer.state()["images"][:, 0].numpy()
    new = write(tmp_path / "new", np.concatenate([trained[:1], checks(2)]))  # one that it saw, and two new ones
    for old, name in zip(sorted(new.iterdir()), ("part1-0.png", "part1-1.png", "part2-0.png"), strict=True):
        old.rename(new / name)
    assert main(["calibrate", str(det), str(new), "-o", str(tmp_path / "b.det")]) == 0
    assert len(store.load(tmp_path / "b.det").calibration) == 1  # part1-1 is a view of what it saw
    assert main(["calibrate", str(det), str(folder), "--false-alarm-rate", "0.3", "-o", str(tmp_path / "c.det")]) == 0
    np.testing.assert_array_equal(store.load(tmp_path / "c.det").calibration, was.calibration)
