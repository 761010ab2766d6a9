"""Where named sets are looked for in these tests."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and no NOVELETTE_DATA, so that no test sees a person's own."""
    monkeypatch.delenv("NOVELETTE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return tmp_path / "caches" / "novelette"
