"""One thread for everybody: the networks of the tests are too small to share, and sums come in one order. No test waits for a clock."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _speed_of_one_turn(monkeypatch):
    """`novelette info` measures speed for a moment, not for seconds."""
    monkeypatch.setattr("novelette.info.SECONDS", 0.0)
