"""What the GANs that are compared with all keep: logs are finite, heat maps are what a picture loses, widths fit."""

import math

import pytest
import torch

from novelette import training
from novelette.data.images import as_tensor
from novelette.errors import InputError
from novelette.methods import METHODS
from novelette.training import Run

CPU = torch.device("cpu")
STEPS = {"f-anogan": {"steps": 3, "encoder_steps": 3}}  # six in all for each
RECONSTRUCTS = {
    "alad": lambda net, x: net.generate(net.encode(x)),
    "egbad": lambda net, x: net.generate(net.encode(x)),
    "f-anogan": lambda net, x: net.generate(net.encode(x)),
    "gpnd": lambda net, x: net.generate(net.encode(x)),
    "ocgan": lambda net, x: net.generate(net.encode(x).tanh()),
    "skip-ganomaly": lambda net, x: net.draw_again(x),
}

GANS = [*RECONSTRUCTS, "adgan", "anogan"]
every_gan = pytest.mark.parametrize("name", GANS)


def pictures(n=12, channels=1, seed=0):
    return torch.randint(0, 256, (n, channels, 32, 32), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def trained(name, run, **changes):
    config = METHODS[name].TINY.model_copy(update=STEPS.get(name, {"steps": 6}) | {"batch_size": 4} | changes)
    return METHODS[name].fit(pictures(), config, seed=0, device=CPU, run=run)


@every_gan
def test_every_loss_is_logged_and_finite(name, monkeypatch):
    monkeypatch.setattr(training, "LOG_EVERY", 3)
    run = Run()
    trained(name, run)
    assert [line["step"] for line in run.history] == [3, 6]
    for line in run.history:
        assert len(line) >= 3
        assert all(math.isfinite(value) for value in line.values())


@pytest.mark.parametrize("name", RECONSTRUCTS)
def test_the_heat_map_is_the_difference_of_pixels_averaged_over_channels(name):
    net = METHODS[name].Scorer.network(METHODS[name].TINY, 3, 32).eval()
    x = as_tensor(pictures(2, 3))
    with torch.no_grad():
        x_hat, heatmap = RECONSTRUCTS[name](net, x), net.heatmap(x)
    torch.testing.assert_close(heatmap, sum((x - x_hat)[:, c].abs() for c in range(3)) / 3)


@every_gan
def test_widths_that_do_not_name_every_block_are_refused(name):
    with pytest.raises(InputError, match="names 2 blocks, but images of 32 px need 3"):
        trained(name, Run(), widths=(2, 4))
