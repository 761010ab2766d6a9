"""Vectors of pictures: their mean over positions, by content, and each picture for itself."""

import errno
import os
import pickle

import numpy as np
import pytest
import torch

from novelette.data.images import as_tensor, prepare
from novelette.data.sources import ArraySource
from novelette.errors import InputError
from novelette.tags import features
from novelette.tags.features import Look, loaded, see

LOOK = Look(layer="block-2", size=32)


def pictures(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 40, 30, 3), dtype=np.uint8)


def test_a_vector_is_the_unit_mean_of_what_the_layer_says_over_positions():
    seeing, title = loaded(LOOK)
    seen = see(ArraySource(pictures(3)), LOOK, seeing, title, work=None)
    x = as_tensor(np.concatenate([prepare(picture, LOOK.preprocessing()) for picture in pictures(3)]))
    with torch.no_grad():
        f = seeing.net(x)
    for row, own in zip(seen.vectors, f, strict=True):
        mean = torch.stack([own[:, i, j] for i in range(own.shape[1]) for j in range(own.shape[2])]).mean(0)
        torch.testing.assert_close(row, mean / mean.norm(), rtol=1e-4, atol=1e-6)  # another order of sums


def test_vectors_of_the_same_pixels_are_looked_up(tmp_path, monkeypatch):
    seeing, title = loaded(LOOK)
    first = see(ArraySource(pictures(3)), LOOK, seeing, title, work=tmp_path)
    monkeypatch.setattr(seeing, "forward", lambda x: torch.zeros(len(x), 4))  # who looks again sees nothing
    assert torch.equal(see(ArraySource(pictures(3)), LOOK, seeing, title, work=tmp_path).vectors, first.vectors)
    for other in (
        see(ArraySource(pictures(3, 1)), LOOK, seeing, title, work=tmp_path),
        see(ArraySource(pictures(3)), LOOK, seeing, "other", work=tmp_path),
    ):
        assert not other.vectors.any()


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('code from a file ran')",)


@pytest.mark.parametrize("how", ["truncated", "empty", "pickle", "pickled array"])
def test_vectors_that_were_damaged_are_worked_out_again_and_no_pickle_is_read(how, tmp_path):
    seeing, title = loaded(LOOK)
    first = see(ArraySource(pictures(3)), LOOK, seeing, title, work=tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    if how == "pickled array":
        np.save(path, np.array([Evil()], object), allow_pickle=True)
    else:
        path.write_bytes({"truncated": whole[:-1], "empty": b"", "pickle": pickle.dumps(Evil())}[how])
    assert torch.equal(see(ArraySource(pictures(3)), LOOK, seeing, title, work=tmp_path).vectors, first.vectors)
    assert path.read_bytes() == whole


def test_vectors_that_find_no_room_are_told(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    seeing, title = loaded(LOOK)
    with pytest.raises(InputError, match="the disk is full; make room"):
        see(ArraySource(pictures(3)), LOOK, seeing, title, work=tmp_path)
    assert not any(tmp_path.iterdir())


def test_vectors_do_not_depend_on_the_chunks(monkeypatch):
    seeing, title = loaded(LOOK)
    whole = see(ArraySource(pictures(5)), LOOK, seeing, title, work=None)
    monkeypatch.setattr(features, "CHUNK", 2)
    parts = see(ArraySource(pictures(5)), LOOK, seeing, title, work=None)
    torch.testing.assert_close(parts.vectors, whole.vectors, rtol=1e-5, atol=1e-7)  # the order of float32 sums
    assert np.array_equal(parts.hashes, whole.hashes)
    assert parts.indices.tolist() == [0, 1, 2, 3, 4]
