"""A log of every fifth step."""

import pytest

from novelette import training


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr(training, "LOG_EVERY", 5)
