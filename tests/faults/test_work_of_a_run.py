"""The folder in which a run works: a person's files there, a second run, and one that was killed."""

import subprocess
import sys
import time

import pytest
from faults.conftest import GAN
from pictures import assert_refused, everything_in, stripes, write

from novelette import store, work
from novelette.cli import main
from novelette.training import Run


def test_the_work_of_a_stopped_run_is_not_thrown_away(tmp_path, parts, capsys):
    folder = tmp_path / "a.det.run"
    with work.held(folder):
        (folder / "checkpoint.pt").write_bytes(b"hours of work")
    assert_refused(["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN], tmp_path, capsys, "--resume", "--force")


@pytest.mark.parametrize("method", ["knn", "ede-gan"])
@pytest.mark.parametrize("more", [(), ("--force",), ("--resume",)], ids=["plain", "force", "resume"])
def test_a_folder_of_a_person_is_not_taken_for_the_work_of_a_run(more, method, tmp_path, parts, capsys):
    """Whatever its files are called."""
    (tmp_path / "a.det.run").mkdir()
    (tmp_path / "a.det.run" / "log.jsonl").write_text("a thesis")
    argv = ["fit", method, str(parts), "-o", str(tmp_path / "a.det"), *(GAN if method == "ede-gan" else ()), *more]
    assert_refused(argv, tmp_path, capsys, "a.det.run", "something else is there", "another -o")


def test_what_a_person_puts_into_the_work_of_a_run_stays(tmp_path, parts, monkeypatch):
    note, wants = tmp_path / "a.det.run" / "thesis.txt", Run.wants_log

    def write_note(self, step):
        note.write_text("a thesis")
        return wants(self, step)

    monkeypatch.setattr(Run, "wants_log", write_note)
    assert main(["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN]) == 0
    assert set(everything_in(tmp_path / "a.det.run")) == {"thesis.txt"}


def test_a_refused_fit_leaves_no_folder_of_its_own(tmp_path, capsys):
    few = write(tmp_path / "few", stripes(3))
    assert_refused(["fit", "ede-gan", str(few), "-o", str(tmp_path / "new" / "a.det")], tmp_path, capsys, "at least 10")


def test_a_second_run_with_the_same_output_is_refused_while_the_first_lives(tmp_path, parts, capsys, monkeypatch):
    argv, refused = ["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN], []

    def in_the_middle(self, step):
        for more in ((), ("--force",), ("--resume",)) if step == 1 else ():
            assert main([*argv, *more]) == 2
            refused.append(capsys.readouterr().err)
        return False

    monkeypatch.setattr(Run, "wants_log", in_the_middle)
    capsys.readouterr()
    assert main(argv) == 0
    assert len(refused) == 3
    assert all("another novelette is at work in" in err for err in refused)
    assert set(everything_in(tmp_path)) == {"a.det", "a.det/detector.json", "a.det/log.jsonl", "a.det/weights.safetensors"}


class Killed(BaseException):
    """As far as a run can see its own death."""


def test_a_killed_run_that_was_told_to_replace_a_detector_goes_on_with_resume_alone(tmp_path, det, parts, monkeypatch):
    argv, wants = ["fit", "ede-gan", str(parts), "-o", str(det), *GAN], Run.wants_log

    def die(self, step):
        if step == 2:
            raise Killed
        return wants(self, step)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "wants_log", die)
        with pytest.raises(Killed):
            main([*argv, "--force"])
    assert store.load(det).method == "knn"
    assert main([*argv, "--resume"]) == 0
    assert store.load(det).method == "ede-gan"


@pytest.mark.heavy
def test_the_lock_of_a_process_that_is_killed_holds_nobody_up(tmp_path, parts):
    argv, log = ["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN], tmp_path / "a.det.run" / "log.jsonl"
    fit = subprocess.Popen([sys.executable, "-m", "novelette.cli", *argv, "--steps", "10000000"], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60  # torch takes seconds to load
        while time.monotonic() < deadline and not (log.exists() and log.stat().st_size):
            time.sleep(0.05)
        assert main([*argv, "--resume"]) == 2
    finally:
        fit.kill()
        fit.wait()
    assert main([*argv, "--resume"]) == 0
    assert set(everything_in(tmp_path)) == {"a.det", "a.det/detector.json", "a.det/log.jsonl", "a.det/weights.safetensors"}
