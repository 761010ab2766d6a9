"""Snapshots: scorers of the steps that were asked for."""

import signal

import pytest
from training.small_runs import CONFIG, at_step, fit, same_state

from novelette.training import Interrupted, Run


def test_snapshots_are_scorers_of_the_steps_asked_for(often):
    run = Run(snapshot_steps=frozenset({10, 30}))
    last = fit(run)
    assert sorted(run.snapshots) == [10, 30]
    assert same_state(run.snapshots[30][0], last.state())
    assert not same_state(run.snapshots[10][0], last.state())
    constant = CONFIG.model_copy(update={"schedule": "constant"})
    run = Run(snapshot_steps=frozenset({10}))
    fit(run, constant)
    assert same_state(run.snapshots[10][0], fit(Run(), constant.model_copy(update={"steps": 10})).state())


def test_snapshots_survive_an_interruption_and_those_after_the_checkpoint_are_made_again(tmp_path, monkeypatch):
    at = frozenset({5, 10, 20, 30})
    whole = Run(snapshot_steps=at)
    fit(whole)
    first = Run(tmp_path, snapshot_steps=at, checkpoint_every_s=1e9)
    with monkeypatch.context() as patch:
        at_step(patch, 12, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(Interrupted):
            fit(first)
    first.keep(20, whole.snapshots[5])  # of a run that was killed after a snapshot that no checkpoint knows
    again = Run(tmp_path, resume=True, snapshot_steps=at)
    fit(again)
    assert sorted(again.snapshots) == sorted(at)
    for step in at:
        assert same_state(again.snapshots[step][0], whole.snapshots[step][0])
    fresh = Run(tmp_path, snapshot_steps=frozenset({30}))
    fit(fresh)
    assert sorted(fresh.snapshots) == [30]
    assert len(list((tmp_path / "snapshots").iterdir())) == 1
