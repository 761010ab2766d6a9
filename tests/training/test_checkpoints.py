"""Checkpoints of other settings, damaged ones, and those of another device."""

import signal

import pytest
import torch
from training.small_runs import CONFIG, at_step, fit, pictures, same_weights

from novelette.errors import InputError
from novelette.methods import ede_gan
from novelette.training import Interrupted, Run


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
    with pytest.raises(InputError, match=r"checkpoint\.pt .*start over with --force") as refused:
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
