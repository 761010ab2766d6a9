"""The first losses of tiny runs on the CPU. They change only with a reason in the commit."""

import pytest
import torch

from novelette import training
from novelette.methods import ede_gan
from novelette.training import Run


def losses(pipeline, monkeypatch):
    monkeypatch.setattr(training, "LOG_EVERY", 5)
    images = torch.randint(0, 256, (20, 1, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    config, run = ede_gan.TINY.model_copy(update={"steps": 15, "pipeline": pipeline}), Run()
    ede_gan.fit(images, config, seed=0, device=torch.device("cpu"), run=run)
    return run.history


# Tolerance: with and without oneDNN and on one thread or two the six printed digits moved by 1e-6, from one processor to another by 2e-4.
@pytest.mark.parametrize(
    ("pipeline", "g", "d", "con"),
    [
        ("ede", [5.782026, 5.678818, 5.714326], [0.569656, 0.470123, 0.452229], [0.503244, 0.499565, 0.504786]),
        ("ed", [5.719450, 5.630268, 5.598458], [0.581887, 0.505690, 0.499393], [0.503189, 0.499610, 0.504111]),
    ],
)
def test_the_first_losses_are_what_they_were(monkeypatch, pipeline, g, d, con):
    history = losses(pipeline, monkeypatch)
    assert [line["step"] for line in history] == [5, 10, 15]
    for name, values in (("g", g), ("d", d), ("con", con)):
        assert [line[name] for line in history] == pytest.approx(values, rel=1e-3), name


def test_ed_hat_trains_as_ede_does(monkeypatch):
    assert losses("ed-hat", monkeypatch) == losses("ede", monkeypatch)
