"""What a loop stands on besides batches: descent, seeds, checkpoints and the log; runs that are stopped, killed, damaged or diverge."""

import json
import math
import pickle
import signal
import threading

import pytest
import torch
from torch import nn

from novelette import training
from novelette.errors import InputError
from novelette.methods import ede_gan
from novelette.training import Diverged, Interrupted, Run, descend, generators, pick_device, set_learning_rate

CPU = torch.device("cpu")
CONFIG = ede_gan.TINY.model_copy(update={"steps": 30})


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr(training, "LOG_EVERY", 5)


def pictures(n=20, seed=0):
    return torch.randint(0, 256, (n, 1, 32, 32), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def fit(run, config=CONFIG, seed=3):
    return ede_gan.fit(pictures(), config, seed=seed, device=CPU, run=run)


def at_step(monkeypatch, step, act):
    """Do something in the middle of a step of EDE-GAN's loop."""
    original = ede_gan.set_learning_rate

    def wrapped(optimizer, peak, schedule, now, total):
        if now == step:
            act()
        original(optimizer, peak, schedule, now, total)

    monkeypatch.setattr(ede_gan, "set_learning_rate", wrapped)


def crash():
    raise KeyError("the power went out")


def same_state(a, b):
    return a.keys() == b.keys() and all(torch.equal(value, b[name]) for name, value in a.items())


def same_weights(a, b):
    return same_state(a.state(), b.state())


# Batches
def test_descend_touches_its_optimizers_parameters_and_no_others():
    torch.manual_seed(0)
    g, d = nn.Linear(3, 3), nn.Linear(3, 1)
    before = {name: value.clone() for name, value in d.state_dict().items()}
    descend(torch.optim.SGD(g.parameters(), 0.1), d(g(torch.ones(2, 3))).mean())
    assert all(p.grad is None for p in d.parameters())
    assert all(torch.equal(before[name], value) for name, value in d.state_dict().items())
    assert all(p.grad is not None for p in g.parameters())


def test_descend_takes_one_step_by_hand_and_forgets_the_last_gradient():
    w = nn.Parameter(torch.tensor([2.0]))
    sgd = torch.optim.SGD([w], 0.5)
    descend(sgd, (w**2).sum())  # 2 - 0.5 * 4
    assert w.item() == 0
    descend(sgd, w.sum())  # 0 - 0.5 * 1, not 0 - 0.5 * (4 + 1)
    assert w.item() == -0.5


def test_learning_rate_on_a_cosine_by_hand():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 1.0)
    rates = []
    for step in (0, 25, 50, 75, 100):
        set_learning_rate(optimizer, 0.2, "cosine", step, 100)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.2, 0.1 * (1 + math.sqrt(0.5)), 0.1, 0.1 * (1 - math.sqrt(0.5)), 0], abs=1e-15)


def test_a_constant_learning_rate_is_the_peak():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 1.0)
    for step in (0, 99):
        set_learning_rate(optimizer, 0.2, "constant", step, 100)
        assert optimizer.param_groups[0]["lr"] == 0.2


def test_generators_depend_on_their_seed_and_salt_alone():
    def draw(*args):
        return [torch.rand(1, generator=rng).item() for rng in generators(*args)]

    assert draw([1, 2], 0)[1] == draw([2], 0)[0]
    assert len({*draw([1, 2], 0), *draw([1, 2], 1), *draw([1, 2], 1, 5)}) == 6


def test_a_device_that_is_not_there_is_refused():
    for name in ("cuda", "mps"):
        present = torch.cuda.is_available() if name == "cuda" else torch.backends.mps.is_available()
        if not present:
            with pytest.raises(InputError, match=f"--device {name}"):
                pick_device(name)
    with pytest.raises(InputError, match="--device toaster"):
        pick_device("toaster")
    assert pick_device("cpu") == CPU
    assert pick_device("auto").type in ("cpu", "cuda", "mps")


# Stopping and going on


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


def test_a_checkpoint_of_other_settings_is_refused_and_what_differs_is_named(tmp_path):
    fit(Run(folder=tmp_path, settings={"seed": 1, "config": {"steps": 30}, "method": "ede-gan"}))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match="another --steps, --seed: ") as refused:
        fit(Run(folder=tmp_path, resume=True, settings={"seed": 2, "config": {"steps": 60}, "method": "ede-gan"}))
    assert "method" not in str(refused.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_settings_whose_tuples_json_writes_as_lists_are_still_the_same(tmp_path):
    settings = {"widths": (2, 4, 8)}
    expected = fit(Run(folder=tmp_path, settings=dict(settings)))
    assert same_weights(fit(Run(folder=tmp_path, resume=True, settings=dict(settings))), expected)


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code from a file ran')",))


def damage(path, how):
    whole = path.read_bytes()
    if how == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("not a checkpoint\n")
    elif how == "foreign":
        torch.save({"weights": torch.zeros(3)}, path)
    elif how == "code":
        torch.save({"step": Evil(), "settings": "{}"}, path)
    elif how == "a part is missing":
        state = torch.load(path, weights_only=True)
        del state["opt_d"]
        torch.save(state, path)
    elif how == "another network":
        state = torch.load(path, weights_only=True)
        state["net"]["encode.head.weight"] = torch.zeros(3, 3, 4, 4)
        torch.save(state, path)


@pytest.mark.parametrize("how", ["truncated", "empty", "text", "foreign", "code", "a part is missing", "another network"])
def test_a_damaged_checkpoint_is_refused_with_one_sentence(tmp_path, how):
    fit(Run(folder=tmp_path))
    damage(tmp_path / "checkpoint.pt", how)
    with pytest.raises(InputError, match=r"checkpoint\.pt .*begin anew with --force") as refused:
        fit(Run(folder=tmp_path, resume=True))
    assert "\n" not in str(refused.value)


def test_a_checkpoint_of_a_gpu_is_taken_up_where_there_is_none(tmp_path, monkeypatch):
    one_picture = CONFIG.model_copy(update={"batch_size": 1})  # the watch keeps the last
    expected = fit(Run(folder=tmp_path / "whole"), one_picture)
    with monkeypatch.context() as patch:
        patch.setattr("torch.serialization.location_tag", lambda storage: "cuda:0")
        at_step(patch, 12, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(Interrupted):
            fit(Run(folder=tmp_path / "parts"), one_picture)
    again = Run(folder=tmp_path / "parts", resume=True)
    again.begin()
    assert same_weights(fit(again, one_picture), expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
@pytest.mark.parametrize("devices", [("cuda", "cpu"), ("cpu", "cuda")])
def test_a_run_stopped_on_one_device_goes_on_on_another(devices, tmp_path, monkeypatch, often):
    config = CONFIG.model_copy(update={"batch_size": 1})
    first, second = ({"seed": 3, "device": torch.device(name)} for name in devices)
    with monkeypatch.context() as patch:
        at_step(patch, 12, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(Interrupted):
            ede_gan.fit(pictures(), config, run=Run(folder=tmp_path), **first)
    run = Run(folder=tmp_path, resume=True)
    assert ede_gan.fit(pictures(), config, run=run, **second).module() is not None
    assert run.history[-1]["step"] == 30


def test_a_run_in_a_thread_leaves_signals_alone():
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(fit(Run())))
    thread.start()
    thread.join()
    assert same_weights(outcome[0], fit(Run()))


def test_each_step_begins_from_its_own_seed():
    def draws(first, total):
        return {step: torch.rand(1).item() for step in Run().steps(total, {}, seed=1) if step >= first}

    assert draws(4, 6) == {step: value for step, value in draws(0, 6).items() if step >= 4}
    assert len(set(draws(0, 6).values())) == 6


def test_a_small_network_trains_on_one_thread_and_gives_the_others_back(monkeypatch):
    counts = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", counts.append)
    for weights in (10, 4000):
        for _ in Run().steps(1, {"net": nn.Linear(weights, weights, bias=False)}, seed=0):
            pass
    assert counts == [1, 2, 2, 2]


# The log, and runs that diverge


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


def test_training_pictures_are_left_as_they_were():
    images = pictures()
    before = images.clone()
    ede_gan.fit(images, CONFIG, seed=0, device=CPU, run=Run())
    assert torch.equal(images, before)


def test_numbers_too_small_for_full_precision_are_zero_while_it_trains_and_no_longer():
    tiny = torch.tensor([1e-39])
    assert [(tiny / 2).item() for _ in Run().steps(1, {}, seed=0)] == [0]
    assert (tiny / 2).item() > 0
