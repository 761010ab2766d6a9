"""Runs that are stopped or killed go on as if they had not been, or begin anew."""

import json
import pickle
import signal
import threading

import pytest
import torch
from training.small_runs import at_step, crash, fit, same_weights

from novelette.training import Interrupted, Run


def test_a_run_stopped_by_ctrl_c_and_resumed_ends_as_one_never_stopped(tmp_path, monkeypatch, often):
    assert threading.current_thread() is threading.main_thread()
    whole = Run(folder=tmp_path / "whole")
    expected = fit(whole)
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        at_step(patch, 12, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(Interrupted) as stopped:
            fit(Run(folder=tmp_path / "parts"))
    assert stopped.value.step == 13  # the step under way is finished first
    assert signal.getsignal(signal.SIGINT) is handler
    resumed = Run(folder=tmp_path / "parts", resume=True)
    assert same_weights(fit(resumed), expected)
    assert resumed.history == whole.history
    assert (tmp_path / "parts/log.jsonl").read_text() == (tmp_path / "whole/log.jsonl").read_text()


def test_ctrl_c_in_the_last_step_stops_a_run_with_nothing_left_to_train(tmp_path, monkeypatch, often):
    whole = fit(Run(folder=tmp_path / "whole"))
    with monkeypatch.context() as patch:
        at_step(patch, 23, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt) as stopped:  # no `except Exception` of a caller takes it
            fit(Run(folder=tmp_path / "parts"))
    assert str(pickle.loads(pickle.dumps(stopped.value))) == "stopped at step 24"  # from another process
    assert same_weights(fit(Run(folder=tmp_path / "parts", resume=True)), whole)


def test_a_run_killed_twice_logs_every_line_once_and_ends_as_one_never_killed(tmp_path, monkeypatch, often):
    whole = Run(folder=tmp_path / "whole")
    expected = fit(whole)
    for step, error in ((7, Interrupted), (23, KeyError)):  # the second leaves lines 10 to 20 after its checkpoint at 8
        with monkeypatch.context() as patch:
            at_step(patch, step, crash if error is KeyError else lambda: signal.raise_signal(signal.SIGTERM))
            with pytest.raises(error):
                fit(Run(folder=tmp_path / "parts", resume=True))
    log = tmp_path / "parts/log.jsonl"
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [5, 10, 15, 20]
    with log.open("a") as half:
        half.write('{"step": 25, "g": 3.')  # killed while it wrote
    assert same_weights(fit(Run(folder=tmp_path / "parts", resume=True)), expected)
    assert log.read_text() == (tmp_path / "whole/log.jsonl").read_text()


def test_checkpoints_are_written_while_the_run_goes_on(tmp_path, monkeypatch, often):
    at_step(monkeypatch, 9, crash)
    with pytest.raises(KeyError):
        fit(Run(folder=tmp_path, checkpoint_every_s=0))
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "log.jsonl"]


def test_a_finished_run_resumed_is_finished(tmp_path, monkeypatch):
    expected = fit(Run(folder=tmp_path))
    at_step(monkeypatch, 0, crash)
    assert same_weights(fit(Run(folder=tmp_path, resume=True)), expected)


def test_resume_with_nothing_to_resume_starts(tmp_path):
    assert same_weights(fit(Run(folder=tmp_path / "new", resume=True)), fit(Run()))


def test_a_run_without_resume_starts_anew(tmp_path, often):
    fit(Run(folder=tmp_path), seed=4)
    again = Run(folder=tmp_path)
    assert same_weights(fit(again), fit(Run()))
    assert [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()] == again.history


def test_a_run_begun_anew_leaves_nothing_of_the_one_before_to_resume(tmp_path, monkeypatch):
    fit(Run(folder=tmp_path), seed=4)
    with monkeypatch.context() as patch:
        at_step(patch, 3, crash)
        with pytest.raises(KeyError):
            fit(Run(folder=tmp_path))  # before its first checkpoint
    assert same_weights(fit(Run(folder=tmp_path, resume=True)), fit(Run()))


def test_a_run_in_a_thread_leaves_signals_alone():
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(fit(Run())))
    thread.start()
    thread.join()
    assert same_weights(outcome[0], fit(Run()))
