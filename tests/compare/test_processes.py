"""A method in a process of its own: the same as without one, stopped, crashed or without an answer."""

import multiprocessing
import signal
import tempfile
import time
from dataclasses import replace

import joblib
import numpy as np
import pytest
from compare.contestants import entered, here, recipe

from novelette import store
from novelette.cli import main
from novelette.compare import contest, trial
from novelette.data.images import Preprocessing
from novelette.data.select import Where, normal_pictures
from novelette.fitting import gather
from novelette.methods import knn


@pytest.mark.heavy
def test_a_process_comes_to_the_same_as_none(parts, tmp_path):
    normal = gather(normal_pictures(str(parts), Where()), Preprocessing(), bar=False)
    joblib.dump(trial.Material(normal, Preprocessing(), None, None), tmp_path / "material")
    task = trial.Task(recipe("knn", knn.TINY), tmp_path / "material", None, tmp_path / "a.det")
    its, own = contest.answered(task, 120), here(replace(task, output=tmp_path / "b.det"), 0)
    assert np.array_equal(its.normal, own.normal)
    assert its.threshold == own.threshold
    assert (tmp_path / "a.det" / store.WEIGHTS).read_bytes() == (tmp_path / "b.det" / store.WEIGHTS).read_bytes()
    assert 5e7 < its.peak_bytes < 1e9
    failed = contest.answered(replace(task, material=tmp_path / "gone"), 120)
    assert failed.startswith("FileNotFoundError: ")


def sleeps(task, answer):
    time.sleep(60)


def test_a_method_that_takes_too_long_is_stopped(monkeypatch):
    monkeypatch.setattr(contest, "attempt", sleeps)
    before = set(multiprocessing.active_children())
    assert contest.answered(None, 0.01) == "stopped because it was not done after 0 s; a larger --minutes-each gives it longer"
    assert set(multiprocessing.active_children()) == before


def test_a_process_that_ends_without_an_answer_is_a_reason(monkeypatch):
    monkeypatch.setattr(contest, "attempt", print)
    assert contest.answered(None, 120) == "its process crashed (exit code 0)"
    assert contest.died(-signal.SIGKILL) == "its process was killed, as happens when memory runs out"


def test_ctrl_c_leaves_no_process_and_no_files(parts, tmp_path, monkeypatch, capsys):
    def press(self, timeout):
        raise KeyboardInterrupt

    monkeypatch.setattr(contest, "attempt", sleeps)
    monkeypatch.setattr(multiprocessing.connection.Connection, "poll", press)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = set(multiprocessing.active_children())
    assert main(["compare", str(parts)]) == 130
    assert set(multiprocessing.active_children()) == before
    assert list(tmp_path.iterdir()) == []


def test_scores_that_are_no_numbers_are_a_failure():
    scores = np.zeros(3, np.float32)
    outcome = trial.Outcome(knn.TINY, 0, 0, None, 1.0, 1.0, 1, 1, scores, np.array([0, np.nan], np.float32))
    assert contest.judged(entered("knn"), outcome, None, 0).reason == "1 of its scores is not a finite number"
