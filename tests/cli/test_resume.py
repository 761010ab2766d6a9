"""Commands that are stopped, and fits that go on with --resume as if they had not been."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from cli.answers import weights
from cli.conftest import GAN
from pictures import assert_refused, everything_in, stripes, write

from novelette import saying, store
from novelette.cli import main


def interrupt_at(step, monkeypatch):
    """Press Ctrl-C in the step `step`, from 0."""
    wants = cli_run().wants_log

    def press(self, at):
        if at == step:
            signal.raise_signal(signal.SIGINT)
        return wants(self, at)

    monkeypatch.setattr(cli_run(), "wants_log", press)


def cli_run():
    from novelette.training import Run

    return Run


@pytest.mark.parametrize("step", [0, 7, 19])
def test_stopped_fit_goes_on_with_resume_to_the_very_weights_of_one_never_stopped(step, tmp_path, parts, gan, capsys, monkeypatch):
    det, argv = tmp_path / "a.det", ["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN]
    with monkeypatch.context() as patched:
        interrupt_at(step, patched)
        status = main(argv)
    err = capsys.readouterr().err
    assert status == saying.STOPPED == 130
    assert f"stopped at step {step + 1}" in err
    assert f"the work is kept in {det}.run" in err
    assert "--resume" in err
    assert err.count("\n") == 1
    assert not det.exists()
    assert main([*argv, "--resume"]) == 0
    assert weights(det) == weights(gan)
    assert store.load(det).calibration.tolist() == store.load(gan).calibration.tolist()
    assert not (tmp_path / "a.det.run").exists()


def test_resume_refuses_other_settings_other_pictures_and_a_damaged_checkpoint(tmp_path, parts, capsys, monkeypatch):
    argv = ["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN]
    with monkeypatch.context() as patched:
        interrupt_at(3, patched)
        assert main(argv) == 130
    before = everything_in(tmp_path)
    others = write(tmp_path.parent / f"{tmp_path.name}-others", stripes(60, seed=8))
    capsys.readouterr()
    for changed, says in (
        ([*argv, "--latent", "9"], "another --latent"),
        ([*argv, "--seed", "1"], "another --seed"),
        (["fit", "ede-gan", str(others), *argv[3:]], "another set of training pictures"),
        (["fit", "knn", *argv[2:5]], "a.det.run holds a stopped run of ede-gan"),  # which has no steps to go on with
        (["fit", "vae", *argv[2:5]], "a.det.run holds a stopped run of ede-gan"),
    ):
        assert main([*changed, "--resume"]) == 2
        err = capsys.readouterr().err
        assert says in err
        assert err.count("\n") == 1
        assert everything_in(tmp_path) == before
    checkpoint = tmp_path / "a.det.run" / "checkpoint.pt"
    os.truncate(checkpoint, 500)
    assert main([*argv, "--resume"]) == 2
    assert "checkpoint.pt cannot be read" in capsys.readouterr().err


def test_resume_with_another_split_of_the_same_pictures_is_refused(tmp_path, parts, capsys, monkeypatch):
    """It would calibrate on pictures that the stopped run has trained on."""
    argv = ["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN]
    with monkeypatch.context() as patched:
        interrupt_at(3, patched)
        assert main(argv) == 130
    assert_refused([*argv, "--group-by", "[0-9]", "--resume"], tmp_path, capsys, "another set of training pictures")


def test_a_stopped_run_that_would_replace_a_detector_goes_on_with_resume_alone(tmp_path, parts, gan, capsys, monkeypatch):
    det, argv = tmp_path / "a.det", ["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN]
    assert main(["fit", "knn", str(parts), "-o", str(det)]) == 0
    before = everything_in(det)
    assert_refused([*argv, "--resume"], tmp_path, capsys, "--force")  # of no run that was told to
    with monkeypatch.context() as patched:
        interrupt_at(3, patched)
        assert main([*argv, "--force"]) == 130
    assert everything_in(det) == before
    assert main([*argv, "--resume"]) == 0
    assert weights(det) == weights(gan)


def test_a_stopped_run_that_was_to_replace_nothing_replaces_nothing(tmp_path, parts, knn, capsys, monkeypatch):
    det, argv = tmp_path / "a.det", ["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN]
    with monkeypatch.context() as patched:
        interrupt_at(3, patched)
        assert main(argv) == 130
    shutil.copytree(knn, det)
    capsys.readouterr()
    assert_refused([*argv, "--resume"], tmp_path, capsys, "a.det exists", "--force")


@pytest.mark.parametrize("output", [".", "..", "/"])
def test_resume_with_an_output_that_is_no_name_is_refused(output, parts, capsys):
    assert main(["fit", "knn", str(parts), "-o", output, "--resume"]) == 2
    assert f"novelette: {output} exists" in capsys.readouterr().err


def test_resume_says_when_there_is_nothing_to_go_on_with(tmp_path, parts, capsys):
    assert main(["fit", "knn", str(parts), "-o", str(tmp_path / "a.det"), "--resume"]) == 0
    assert f"there is no stopped run at {tmp_path / 'a.det.run'}: starting a new one" in capsys.readouterr().err


@pytest.mark.heavy
def test_ctrl_c_at_a_terminal_ends_with_130_and_no_traceback(tmp_path, parts):
    command = [sys.executable, "-m", "novelette.cli", "fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det")]
    fit = subprocess.Popen([*command, *GAN, "--steps", "10000000"], stderr=subprocess.PIPE, text=True)
    try:
        log, deadline = tmp_path / "a.det.run" / "log.jsonl", time.monotonic() + 60  # torch takes seconds to load
        while time.monotonic() < deadline and not (log.exists() and log.stat().st_size):
            time.sleep(0.05)
        fit.send_signal(signal.SIGINT)
        _, err = fit.communicate(timeout=30)
    finally:
        fit.kill()
    assert fit.returncode == 130
    assert err.count("\n") == 1
    assert "--resume" in err
    assert (tmp_path / "a.det.run" / "checkpoint.pt").exists()


def test_ctrl_c_anywhere_else_ends_with_130_and_one_line(tmp_path, knn, parts, capsys, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("novelette.detector.Detector.score_pixels", stop)
    capsys.readouterr()
    assert main(["score", str(knn), str(parts), "-o", str(tmp_path / "a.csv")]) == 130
    assert capsys.readouterr() == ("", "novelette: stopped\n")
    assert everything_in(tmp_path) == {}
