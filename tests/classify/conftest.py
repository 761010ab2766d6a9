"""Pictures of three classes and a classifier of them; no test changes them."""

import pytest
from classify.made import fitted, noisy, write_classes
from pictures import write

from novelette.classify import store


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Pictures of three classes, and a KDGAN classifier of them with its teacher."""
    folder = tmp_path_factory.mktemp("classes")
    write_classes(folder / "train")
    write_classes(folder / "test", 10, seed=50)
    write(folder / "test" / "unknown", 255 - noisy(6, 3) // 4)
    fitted(folder / "clf", folder / "train")
    return folder


@pytest.fixture(scope="session")
def classifier(folder):
    return store.load(folder / "clf")
