"""benchmarks/exploring.py: what players know of labels, and that asking them changes nothing."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from novelette.bench.page import text_of
from novelette.classify import kdgan
from novelette.training import Run

SPEC = importlib.util.spec_from_file_location("exploring", Path(__file__).parents[2] / "benchmarks" / "exploring.py")
script = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(script)

IMAGES = torch.randint(0, 256, (20, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(20) % 3
CONFIG = kdgan.TINY.model_copy(update={"divide_widths": 32, "pretraining": 1, "rotate": 15})


def says(*scores):
    """A player whose scores are these whatever it sees, and nothing at all in training."""
    net = nn.Module()
    net.forward = lambda x: torch.tensor(scores) * (torch.nan if net.training else 1)
    return SimpleNamespace(net=net)


def test_what_is_known_by_hand():
    first, second, third = says([2.0, 1.0], [3.0, 0.0]), says([0.0, 1.0], [0.0, 9.0]), says([0.0, -50.0], [50.0, 50.0])
    found = script.known([first, second, third], torch.zeros(2, 1), torch.tensor([0, 1]))
    assert (found["classifier"], found["teacher"]) == (0.5, 0.5)
    assert found[script.OWN] == pytest.approx((0.5 + 1) / 2)
    assert found[script.WRONG] == pytest.approx((0 + 1) / 2)
    assert all(player.net.training for player in (first, second, third))


def test_asking_changes_nothing(monkeypatch):
    asked, known = [], script.known
    monkeypatch.setattr(script, "known", lambda players, x, labels: asked.append(players) or known(players, x, labels))
    looks = script.measured(IMAGES, LABELS, (IMAGES, LABELS), CONFIG, 0)
    plain = kdgan.fit(IMAGES, LABELS, CONFIG, classes=3, seed=0, device=torch.device("cpu"), run=Run()).classifier
    own = asked[-1][0].net.eval()
    assert all(torch.equal(a, b) for a, b in zip(own.parameters(), plain.parameters(), strict=True))
    assert [look["epoch"] for look in looks] == list(range(CONFIG.epochs))


def test_the_page_has_the_mean_over_seeds_of_each_share():
    def record(seed, share, right):
        look = dict.fromkeys((*script.PLAYERS, script.OWN, script.WRONG), 0.5) | {"epoch": 0, "discriminator": right}
        other = {"data": "stripes", "config": {"explore": share}, "seconds": 1.0, "commit": "c", "torch": "t"}
        return dict.fromkeys(script.SETTINGS, 4) | {"seed": seed, "looks": [look]} | other

    text = text_of(script.page([record(0, 0.0, 0.4), record(1, 0.0, 0.6), record(0, 0.1, 0.75)]), figures=False)
    assert "| 0 | 0 | 50.0 | 50.0 | 50.0 | 50.0 | 50.0 |" in text
    assert "| 0.1 | 0 | 50.0 | 50.0 | 75.0 | 50.0 | 50.0 |" in text
    assert "--seeds 0 1 --pictures 4 --pretraining 4 --epochs 4 --explore 0 0.1`, 3 records" in text
