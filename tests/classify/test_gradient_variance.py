"""The script of Figure 7: what a spread is, and that looking changes nothing."""

import importlib.util
from pathlib import Path

import pytest
import torch

from novelette.classify import kdgan
from novelette.classify.game import Turns
from novelette.data.images import as_tensor
from novelette.training import Run

SPEC = importlib.util.spec_from_file_location("gradient_variance", Path(__file__).parents[2] / "benchmarks" / "gradient_variance.py")
script = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(script)


def test_a_spread_by_hand():
    found = script.spread(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))  # variances 2 and 0, means 2 and 5
    assert found["variance"] == pytest.approx(1)
    assert found["squared_norm"] == pytest.approx(4 + 25 - 1)  # less the variance of a mean of two
    assert found["relative"] == pytest.approx(2 / 28)


def test_looking_changes_nothing_and_sees_every_loss():
    images = torch.randint(0, 256, (20, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels, config = torch.arange(20) % 3, kdgan.TINY.model_copy(update={"divide_widths": 32, "pretraining": 1})

    def fitted(run):
        return kdgan.fit(images, labels, config, classes=3, seed=0, device=torch.device("cpu"), run=run).classifier

    run, begins = script.Looking(), [0, *Turns(20, config, 0).ends()]
    run.look_at({begins[1]: 0, begins[2]: 1}, lambda nets, epoch: script.look(nets, as_tensor(images), config, 0.5, 4))
    looked, plain = fitted(run), fitted(Run())
    assert all(torch.equal(a, b) for a, b in zip(looked.parameters(), plain.parameters(), strict=True))
    assert [seen["epoch"] for seen in run.looks] == [0, 1]
    assert all(run.looks[0][name]["variance"] > 0 for name in ("distillation", *script.ESTIMATORS))
