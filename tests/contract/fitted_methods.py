"""Small pictures, and every method fitted on them, in full or for three updates."""

import functools
from pathlib import Path

import numpy as np
import pytest
import torch

from novelette.data.images import as_tensor
from novelette.methods import METHODS
from novelette.training import Interrupted, Run

PAGES = Path(__file__).parents[2] / "docs" / "methods"
CPU = torch.device("cpu")
WITHOUT_GRAPH = {"adgan", "anogan", "gpnd"}  # a score takes a search, or a Jacobian
LENGTHS = {"steps", "pretraining", "encoder_steps", "autoencoder_steps"}  # settings: how long a method trains
BATCH = 1e-5  # relative: the order of float32 sums in a convolution or a product of matrices may change with the batch
every_method = pytest.mark.parametrize("name", METHODS)
grey_and_in_colour = pytest.mark.parametrize("channels", [1, pytest.param(3, marks=pytest.mark.slow)])


def discs(n, channels=1, size=32, seed=0):
    """Normal pictures: one bright blurred disc on a dark ground, uint8 (n, channels, size, size)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    cy, cx, r = rng.uniform(0.4, 0.6, (n, 1, 1)), rng.uniform(0.4, 0.6, (n, 1, 1)), rng.uniform(0.15, 0.25, (n, 1, 1))
    disc = 1 / (1 + np.exp((np.hypot(y - cy, x - cx) - r) * 40))
    shades = np.linspace(1, 0.5, channels)[None, :, None, None]
    return torch.from_numpy((20 + 220 * disc[:, None] * shades).astype(np.uint8))


def kinds(images):
    """Two classes, for methods that learn them: small discs and large ones."""
    bright = images.float().flatten(1).mean(1)
    return (bright > bright.median()).long()


def noise(n, channels=1, size=32, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, channels, size, size), dtype=np.uint8))


def fitted(name, config, *, channels=1, size=32, seed=0):
    images = discs(48, channels, size)
    return METHODS[name].fit(images, config, labels=kinds(images), seed=seed, device=CPU, run=Run())


def brief(name):
    """TINY of three updates, for what a method keeps whether it has learnt or not."""
    tiny = METHODS[name].TINY
    return tiny.model_copy(update=dict.fromkeys(LENGTHS & set(type(tiny).model_fields), 3))


@functools.cache  # for tests that do not change what they are given
def kept(name, channels):
    return fitted(name, METHODS[name].TINY, channels=channels)


@functools.cache
def begun(name, channels, size):
    return fitted(name, brief(name), channels=channels, size=size)


def mixed(channels=1, size=32):
    return as_tensor(torch.cat([discs(13, channels, size, seed=5), noise(6, channels, size)]))


class StopsBefore(Run):
    """Interrupted before a step, as by Ctrl-C."""

    at: int

    def steps(self, total, parts, **more):
        for step in super().steps(total, parts, **more):
            if step == self.at:
                raise Interrupted(step)
            yield step


def trained(name, changes, run):
    config, images = brief(name).model_copy(update=changes), discs(12)
    return METHODS[name].fit(images, config, labels=kinds(images), seed=0, device=CPU, run=run)
