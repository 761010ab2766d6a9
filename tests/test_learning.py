"""`novelette learn`: a novelty is novel only once. What changes, what becomes of the calibration, and what is refused."""

import shutil

import numpy as np
import pytest
import torch
from pictures import assert_refused, checks, fitted, stripes, write
from PIL import Image

from novelette import store
from novelette.calibrate import threshold
from novelette.cli import main
from novelette.data.images import as_tensor
from novelette.data.pixels import content_hash
from novelette.learning import Learner, learn
from novelette.methods import METHODS

KNN = ("--k", "1", "--metric", "euclidean")


@pytest.fixture
def parts(tmp_path):
    return write(tmp_path / "parts", stripes(60))


@pytest.fixture
def det(tmp_path, parts):
    return fitted(tmp_path / "knn.det", parts, "knn", *KNN)


@pytest.fixture
def odd(tmp_path):
    return write(tmp_path / "odd", checks(3))


def judged(det, picture):
    found = store.load(det).predict(picture)
    return found.score[0], bool(found.novel[0])


@pytest.mark.parametrize("name", [name for name, module in METHODS.items() if hasattr(module.Scorer, "learned")])
def test_no_score_rises_by_learning_and_a_learned_picture_is_its_own_neighbour(name):
    module = METHODS[name]
    images, new, others = (torch.from_numpy(p)[:, None] for p in (stripes(20), checks(4), np.concatenate([stripes(5, 1), checks(5, 1)])))
    run = torch.device("cpu")
    config = module.TINY.model_copy(update={"k": 2})
    before = module.fit(images, config, seed=0, device=run)
    after = before.learned(new)
    assert isinstance(before, Learner)
    assert (after.score(as_tensor(others)) <= before.score(as_tensor(others)) * (1 + 1e-5)).all()  # float32
    assert (after.score(as_tensor(new)) < before.score(as_tensor(new)) / 2).all()
    whole = module.fit(torch.cat([images, new]), config, seed=0, device=run)
    assert all(torch.equal(whole.state()[key], value) for key, value in after.state().items())  # as if fitted on all


def test_a_learned_picture_is_novel_no_more_and_others_of_its_kind_are_nearer(tmp_path, det, odd, capsys):
    assert judged(det, odd / "00.png")[1]
    capsys.readouterr()
    assert main(["learn", str(det), str(odd / "00.png"), "-o", str(tmp_path / "b.det")]) == 0
    out = capsys.readouterr().out
    assert "00.png: score" in out
    assert ", novel; now 0, normal" in out
    assert "b.det: learned 1 new picture" in out
    assert judged(tmp_path / "b.det", odd / "00.png") == (0, False)
    assert judged(tmp_path / "b.det", odd / "01.png")[0] < judged(det, odd / "01.png")[0]
    assert judged(det, odd / "00.png")[1]  # the detector itself is as it was


def test_the_calibration_is_that_of_the_same_pictures_by_the_detector_that_knows_more(tmp_path, det, parts, odd):
    assert main(["learn", str(det), str(odd), "-o", str(tmp_path / "b.det")]) == 0
    before, after = store.load(det), store.load(tmp_path / "b.det")
    held_out = [i for i, picture in enumerate(stripes(60)) if not before.saw(np.array([content_hash(picture)], np.uint64))[0]]
    expected = np.sort(after.score(stripes(60)[held_out]))
    np.testing.assert_array_equal(after.calibration, expected.astype(np.float64))
    assert after.threshold == threshold(np.sort(expected.astype(np.float64)), 0.2)
    assert after.provenance["learned"][0]["pictures"] == 3


def test_a_calibration_picture_that_is_learned_calibrates_no_more(tmp_path, det, parts, capsys):
    before = store.load(det)
    held_out = next(i for i, picture in enumerate(stripes(60)) if not before.saw(np.array([content_hash(picture)], np.uint64))[0])
    assert main(["learn", str(det), str(parts / f"{held_out:02}.png"), "--in-place"]) == 0
    after = store.load(det)
    assert len(after.calibration) == len(before.calibration) - 1
    assert after.calibration.min() > 0  # the learned one's score would be 0


def test_learning_in_place_that_would_lose_the_threshold_is_refused(tmp_path, det, parts, capsys):
    n = len(store.load(det).calibration)
    assert main(["calibrate", str(det), str(parts), "--false-alarm-rate", str(1 / (n + 1))]) == 0  # every calibration picture is needed
    held_out = next(i for i, p in enumerate(stripes(60)) if not store.load(det).saw(np.array([content_hash(p)], np.uint64))[0])
    argv = ["learn", str(det), str(parts / f"{held_out:02}.png")]
    assert_refused([*argv, "--in-place"], tmp_path, capsys, "no threshold", "keeps its old threshold")
    assert main([*argv, "-o", str(tmp_path / "b.det")]) == 0
    assert "no threshold" in capsys.readouterr().out


@pytest.mark.parametrize("change", ["gone", "other pictures", "calibrated elsewhere"])
def test_calibration_pictures_that_are_not_those_any_more_leave_the_old_scores(change, tmp_path, det, parts, odd, capsys):
    if change == "gone":
        shutil.rmtree(parts)
    elif change == "other pictures":
        write(parts, stripes(61, seed=3))
    else:
        assert main(["calibrate", str(det), str(write(tmp_path / "more", stripes(30, seed=4))), "--false-alarm-rate", "0.2"]) == 0
    before = store.load(det).calibration
    capsys.readouterr()
    assert main(["learn", str(det), str(odd), "--in-place"]) == 0
    assert "their old scores stay: threshold" in capsys.readouterr().out
    np.testing.assert_array_equal(store.load(det).calibration, before)


def test_a_picture_in_colour_beside_those_of_the_calibration_is_left_out_there_and_where_it_is_to_be_learned(det, parts, odd, capsys):
    for folder in (parts, odd):
        Image.new("RGB", (32, 32), "red").save(folder / "red.png")
    capsys.readouterr()
    assert main(["learn", str(det), str(odd), "--in-place"]) == 3
    out, err = capsys.readouterr()
    assert "learned 3 new pictures" in out
    assert "old scores stay" not in out
    assert "red.png" in out + err


def test_the_mean_of_several_neighbours_may_leave_a_learned_picture_novel_and_that_is_told(tmp_path, parts, odd, capsys):
    det = fitted(tmp_path / "five.det", parts, "knn", "--k", "5")
    capsys.readouterr()
    assert main(["learn", str(det), str(odd / "00.png"), "--in-place"]) == 0
    assert "1 still novel" in capsys.readouterr().out


def test_what_is_known_is_not_learned_twice_and_copies_count_once(tmp_path, det, parts, odd, capsys):
    shutil.copy(odd / "00.png", odd / "copy.png")
    assert main(["learn", str(det), str(odd), "--in-place"]) == 0
    assert "learned 3 new pictures\n" in capsys.readouterr().out
    assert_refused(["learn", str(det), str(odd), "--in-place"], tmp_path, capsys, "nothing to learn")
    new = write(tmp_path / "new", checks(1, 5)) / "00.png"
    assert main(["learn", str(det), str(odd / "00.png"), str(new), "--in-place"]) == 0
    assert "learned 1 new picture, and already knew 1 of those given\n" in capsys.readouterr().out


def test_a_picture_that_cannot_be_read_is_skipped_and_alone_refused(tmp_path, det, odd, capsys):
    (odd / "01.png").write_bytes(b"no picture")
    assert_refused(["learn", str(det), str(odd / "01.png"), "--in-place"], tmp_path, capsys, "01.png cannot be read")
    assert main(["learn", str(det), str(odd), "--in-place"]) == 3
    assert "skipped 01.png" in capsys.readouterr().err


def test_tiles_of_a_learned_picture_are_neighbours_one_by_one(tmp_path, parts, odd):
    det = fitted(tmp_path / "tiles.det", parts, "knn", *KNN, "--tiles", "2")
    n = len(store.load(det).scorer.state()["images"])
    found = learn(store.load(det), [str(odd / "00.png")])
    assert len(found.detector.scorer.state()["images"]) == n + 4
    assert found.after[0] == 0


def test_a_method_that_cannot_learn_is_refused_with_those_that_can(tmp_path, parts, odd, capsys):
    gan = fitted(tmp_path / "gan.det", parts, "ede-gan", "--widths", "2", "--latent", "8", "--steps", "4")
    said = assert_refused(["learn", str(gan), str(odd), "--in-place"], tmp_path, capsys, "ede-gan cannot learn a picture without a new fit")
    assert "feature-knn, knn" in said


def test_where_it_goes_has_to_be_said_once(tmp_path, det, odd, capsys):
    for more in ([], ["-o", str(tmp_path / "b.det"), "--in-place"]):
        assert_refused(["learn", str(det), str(odd), *more], tmp_path, capsys, "give either -o or --in-place")
    assert_refused(["learn", str(det), str(odd), "-o", str(det)], tmp_path, capsys, "exists", "--force")
    assert_refused(["learn", str(det), "--in-place"], tmp_path, capsys, "no pictures to learn were given")
