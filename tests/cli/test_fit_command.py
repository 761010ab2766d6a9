"""`novelette fit`: what it says, what it saves, and that the same seed saves the same."""

import json
import re

import numpy as np
from cli.answers import as_json, weights
from cli.conftest import GAN
from pictures import assert_refused, checks, everything_in, fitted, stripes, write

from novelette import store, watch
from novelette.cli import main


def test_fit_says_what_it_did_and_what_is_strange_about_the_pictures(tmp_path, capsys):
    pictures = np.concatenate([stripes(40), checks(1), stripes(40)[:1]])  # 40 is novel, 41 a copy of 0
    det = fitted(tmp_path / "a.det", write(tmp_path / "parts", pictures), "ede-gan", *GAN)
    out, err = capsys.readouterr()
    found = re.search(r"a\.det: ede-gan fitted on (\d+) pictures and calibrated on (\d+) others in", out)
    assert int(found[1]) + int(found[2]) == 42
    strangest = re.search(r"strangest pictures: (.+)", out)[1].split(", ")
    assert len(strangest) == 10
    assert "1 duplicate: 00.png = 41.png" in out
    assert err == ""
    assert set(everything_in(tmp_path)) >= {"a.det/detector.json", "a.det/weights.safetensors"}
    assert not (tmp_path / "a.det.run").exists()
    assert store.load(det).threshold is not None


def test_strangest_training_picture_is_the_one_that_is_not_like_the_others(tmp_path, capsys):
    write(tmp_path / "parts", np.concatenate([stripes(40), checks(1)]))
    fitted(tmp_path / "a.det", tmp_path / "parts", "ede-gan", *GAN, "--pipeline", "ed", "--steps", "100")
    assert "strangest pictures: 40.png" in capsys.readouterr().out


def test_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path, parts, gan):
    assert weights(fitted(tmp_path / "same.det", parts, "ede-gan", *GAN)) == weights(gan)
    assert weights(fitted(tmp_path / "other.det", parts, "ede-gan", *GAN, "--seed", "1")) != weights(gan)


def test_detector_of_a_named_set_needs_only_a_class(tmp_path, capsys):
    assert main(["fit", "knn", "digits", "--normal", "3", "-o", str(tmp_path / "3.det")]) == 0
    evaluated = as_json(["evaluate", str(tmp_path / "3.det"), "digits", "--normal", "3"], capsys)
    assert evaluated["auroc"] > 0.95
    assert evaluated["knn_auroc"] > 0.95


def test_steps_given_to_the_papers_recipe_take_the_place_of_its_epochs(tmp_path, parts, capsys):
    small = ("--widths", "2", "--latent", "8", "--steps", "3")
    config = store.load(fitted(tmp_path / "a.det", parts, "ede-gan", "--paper", *small)).config
    assert (config.steps, config.epochs, config.batch_size, config.schedule) == (3, 0, 1, "constant")
    log = (tmp_path / "a.det" / "log.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["step"] == 3


def test_fit_that_diverges_says_so_and_leaves_no_work_to_resume(tmp_path, parts, capsys, monkeypatch):
    monkeypatch.setattr(watch.Watch, "_nonsense", lambda self, step, losses, m: "training diverged at step 20: g is nan")
    argv = ["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN]
    assert_refused(argv, tmp_path, capsys, "diverged at step 20", "try a lower --learning-rate")


def test_fit_with_too_few_pictures_for_the_rate_saves_without_a_threshold_and_says_how_many_more(tmp_path, parts, capsys):
    det = tmp_path / "a.det"
    assert main(["fit", "knn", str(parts), "-o", str(det), "--false-alarm-rate", "0.01"]) == 0
    held = len(store.load(det).calibration)
    out = capsys.readouterr().out
    assert f"no threshold: a false-alarm rate of 0.01 needs 99 calibration pictures, {99 - held} more than the {held} there are" in out
    assert store.load(det).threshold is None
    assert main(["score", str(det), str(parts / "00.png")]) == 0
    assert "novel" not in capsys.readouterr().out
    assert main(["score", str(det), str(parts), "-o", str(tmp_path / "a.jsonl")]) == 0
    assert all(json.loads(line)["novel"] is None for line in (tmp_path / "a.jsonl").read_text().splitlines())


def test_scores_of_a_detector_fitted_in_python_and_by_the_command_agree(tmp_path, parts, gan):
    import novelette

    fitted_here = novelette.fit("ede-gan", parts, widths="2", latent=8, steps=20, false_alarm_rate=0.2)
    np.testing.assert_array_equal(fitted_here.score(checks(3)), store.load(gan).score(checks(3)))
    assert novelette.load(gan).predict(checks(3)).novel.shape == (3,)
