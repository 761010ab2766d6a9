"""Pictures, and a detector fitted on them that a test may spoil."""

import shutil
from pathlib import Path

import pytest
from pictures import fitted, stripes, write

GAN = ("--widths", "2", "--latent", "8", "--steps", "4")


@pytest.fixture(scope="session")
def parts(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pictures") / "parts", stripes(40))


@pytest.fixture(scope="session")
def saved(tmp_path_factory, parts):
    return fitted(tmp_path_factory.mktemp("detectors") / "knn.det", parts)


@pytest.fixture
def det(tmp_path, saved):
    """A detector that a test may spoil."""
    return Path(shutil.copytree(saved, tmp_path / "knn.det"))
