"""The log of a run, and runs that diverge."""

import json
import math

import pytest
import torch
from training.small_runs import CONFIG, at_step, fit

from novelette.errors import InputError
from novelette.methods import ede_gan
from novelette.training import Diverged, Run


def test_the_log_has_means_of_losses_every_so_many_steps_and_after_the_last(often):
    run = Run()
    fit(run, CONFIG.model_copy(update={"steps": 12}))
    assert [line["step"] for line in run.history] == [5, 10, 12]
    assert all(set(line) == {"step", "g", "d", "con"} for line in run.history)
    assert all(math.isfinite(value) for line in run.history for value in line.values())


def test_a_logged_tensor_is_averaged(tmp_path):
    run = Run(folder=tmp_path)
    run.log(0, g=torch.tensor([1.0, 2.0, 6.0], requires_grad=True), d=0.5)
    assert run.history == [{"step": 1, "g": 3.0, "d": 0.5}]
    assert json.loads((tmp_path / "log.jsonl").read_text()) == run.history[0]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_value_that_is_not_finite_stops_the_run_with_the_step_and_what_to_try(bad):
    with pytest.raises(Diverged, match=r"diverged at step 1,200: d is (nan|inf); try a lower --learning-rate or another --seed"):
        Run().log(1199, g=1.0, d=torch.tensor([0.0, bad]))


@pytest.mark.parametrize(("step", "named"), [(7, 10), (28, 30), (11, 15)])
def test_a_run_whose_loss_becomes_nan_stops_at_the_next_look_and_never_returns_a_scorer(monkeypatch, often, step, named):
    def poison():
        monkeypatch.setattr(ede_gan, "generator_loss", lambda *args, **weights: original(*args, **weights) * math.nan)

    original = ede_gan.generator_loss
    at_step(monkeypatch, step, poison)
    with pytest.raises(Diverged, match=f"at step {named}:"):
        fit(Run())


def test_nan_in_the_steps_after_the_last_full_interval_is_found_too(monkeypatch):
    original = ede_gan.generator_loss
    monkeypatch.setattr(ede_gan, "generator_loss", lambda *args, **weights: original(*args, **weights) * math.nan)
    with pytest.raises(Diverged, match="at step 3:"):
        fit(Run(), CONFIG.model_copy(update={"steps": 3}))


def test_diverging_is_a_persons_error_with_one_sentence():
    assert issubclass(Diverged, InputError)
