"""One thread for everybody: the networks of the tests are too small to share, and sums come in one order. No test waits for a clock.

Pretrained networks have weights that know nothing: tests need no download, and what they test does not depend on what a network knows.
"""

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _graphs_traced_once():
    from traced import once

    from novelette import export, export_int8

    with pytest.MonkeyPatch.context() as patch:
        to_onnx = once(export.to_onnx)
        for module in (export, export_int8):
            patch.setattr(module, "to_onnx", to_onnx)
        yield


@pytest.fixture(autouse=True)
def _speed_of_one_turn(monkeypatch):
    """`novelette info` measures speed for a moment, not for seconds."""
    monkeypatch.setattr("novelette.info.SECONDS", 0.0)


@pytest.fixture
def in_float64(monkeypatch):
    """Networks and the pictures of batches in float64."""
    import torch

    from novelette.data.images import as_tensor

    monkeypatch.setattr("novelette.batches.as_tensor", lambda pixels: as_tensor(pixels).double())
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="session", autouse=True)
def _made_weights(tmp_path_factory):
    from made_weights import write_made_weights

    root, before = write_made_weights(tmp_path_factory.mktemp("roots")), os.environ.get("NOVELETTE_DATA")
    os.environ["NOVELETTE_DATA"] = str(root) if before is None else f"{root}{os.pathsep}{before}"
    yield
    if before is None:
        del os.environ["NOVELETTE_DATA"]
    else:
        os.environ["NOVELETTE_DATA"] = before
