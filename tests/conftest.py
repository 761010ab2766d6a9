"""One thread for everybody: the networks of the tests are too small to share, and sums come in one order."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    import torch

    torch.set_num_threads(1)
