"""Arrays of every shape and type, in memory and in files."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources.picture_files import GREY, rng

from novelette.data.sources import ArraySource, open_source
from novelette.errors import InputError


@pytest.mark.parametrize(
    ("shape", "length", "each"),
    [
        ((5, 9, 13), 5, (9, 13)),
        ((5, 9, 13, 1), 5, (9, 13)),
        ((5, 9, 13, 3), 5, (9, 13, 3)),
        ((5, 9, 13, 4), 5, (9, 13, 3)),
        ((5, 1, 9, 13), 5, (9, 13)),
        ((5, 3, 9, 13), 5, (9, 13, 3)),
        ((9, 13), 1, (9, 13)),
        ((9, 13, 3), 1, (9, 13, 3)),
    ],
)
def test_array_shapes(shape, length, each):
    source = open_source(rng.integers(0, 256, shape, np.uint8))
    assert len(source) == len(source.names) == length
    assert source.read(0).shape == each


def test_array_types_give_the_same_pixels():
    for array in (GREY, GREY.astype(np.uint16) * 257, GREY.astype(">u2") * 257, GREY / 255, (GREY / 255).astype(np.float32)):
        assert np.array_equal(open_source(array).read(0), GREY)
    assert np.array_equal(open_source(GREY > 99).read(0), (GREY > 99) * 255)


def test_npy_and_npz_files(tmp_path):
    array = rng.integers(0, 256, (4, 9, 13), np.uint8)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "b.npz", whatever=array)
    np.savez_compressed(tmp_path / "c.npz", labels=np.arange(4), x=array)
    for name in ("a.npy", "b.npz", "c.npz"):
        source = open_source(tmp_path / name)
        assert np.array_equal(source.read(3), array[3])
        assert source.names[3] == f"{tmp_path / name}[3]"


def test_names_must_match_the_array():
    with pytest.raises(InputError, match="2 pictures but 1 names"):
        ArraySource(np.zeros((2, 9, 9), np.uint8), ["a"])


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=200), cut=st.integers(0, 300), suffix=st.sampled_from([".npy", ".npz"]))
def test_broken_array_files_are_refused_or_read(tmp_path_factory, content, cut, suffix):
    path = tmp_path_factory.mktemp("npy") / f"a{suffix}"
    buffer = io.BytesIO()
    np.save(buffer, GREY) if suffix == ".npy" else np.savez(buffer, GREY)
    path.write_bytes(buffer.getvalue()[:cut] + content)
    try:
        source = open_source(path)
    except InputError:
        return
    assert source.read(0).dtype == np.uint8
