"""Pictures, and two detectors that the command line fitted on them; no test changes them."""

import pytest
from pictures import fitted, stripes, write, write_labelled

GAN = ("--widths", "2", "--latent", "8", "--steps", "20", "--false-alarm-rate", "0.2")


@pytest.fixture(scope="session")
def parts(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pictures") / "parts", stripes(60))


@pytest.fixture(scope="session")
def labelled(tmp_path_factory):
    return write_labelled(tmp_path_factory.mktemp("pictures") / "labelled")


@pytest.fixture(scope="session")
def knn(tmp_path_factory, parts):
    return fitted(tmp_path_factory.mktemp("detectors") / "knn.det", parts)


@pytest.fixture(scope="session")
def gan(tmp_path_factory, parts):
    return fitted(tmp_path_factory.mktemp("detectors") / "gan.det", parts, "ede-gan", *GAN)
