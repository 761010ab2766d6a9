"""A folder of bench files and of records made up; no data set is read."""

import pytest
from table.made_records import Place


@pytest.fixture(autouse=True)
def _no_data(monkeypatch):
    """A page needs no data set."""
    monkeypatch.setattr("novelette.bench.engine.load_named", None)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)
