"""The first losses of tiny games of KDGAN on the CPU, of a classifier and of a tagger. They change only with a reason in the commit."""

import pytest
import torch

from novelette import training
from novelette.classify import kdgan
from novelette.tags import kdgan as of_tags
from novelette.tags.examples import Examples
from novelette.training import Run

CPU = torch.device("cpu")


def classifiers() -> list[dict[str, float]]:
    images = torch.randint(0, 256, (20, 1, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    config, run = kdgan.TINY.model_copy(update={"divide_widths": 32, "pretraining": 1, "epochs": 1}), Run()
    kdgan.fit(images, torch.arange(20) % 3, config, classes=3, seed=0, device=CPU, run=run)
    return run.history


def taggers() -> list[dict[str, float]]:
    rng = torch.Generator().manual_seed(0)
    tags = torch.rand(20, 5, generator=rng) < 0.4
    tags[:, 0] |= ~tags.any(1)
    examples = Examples(torch.randn(20, 8, generator=rng), tags, tuple(f"word{i % 3} word{i % 4}" for i in range(20)))
    config, run = of_tags.TINY.model_copy(update={"batch_size": 10, "pretraining": 1, "epochs": 1}), Run()
    of_tags.fit(examples, config, seed=0, device=CPU, run=run)
    return run.history


# Tolerance: as of the losses of EDE-GAN, by which six digits move from one processor to another; rewards less their mean are near 0.
@pytest.mark.parametrize(
    ("played", "losses"),
    [
        (classifiers, {"c": [1.097265, 1.099776, 0.034268], "t": [1.122021, 1.116538, -0.001479], "d": [1.378993, 1.380171, 1.359575]}),
        (taggers, {"c": [1.698629, 1.473242, 0.568470], "t": [1.678441, 1.758994, 0.001479], "d": [1.440950, 1.400387, 1.330650]}),
    ],
)
def test_the_first_losses_of_each_player_are_what_they_were(monkeypatch, played, losses):
    monkeypatch.setattr(training, "LOG_EVERY", 1)
    history = played()
    for name, expected in losses.items():
        values = [line[f"loss_{name}"] for line in history if f"loss_{name}" in line][:3]
        assert values == pytest.approx(expected, rel=1e-3, abs=2e-4), name
