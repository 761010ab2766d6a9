"""MNIST and its like, in IDX files: read, known by their contents, and refused where they are damaged."""

import contextlib
import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from named.made_sets import DATA, idx, needs_data, write_mnist

from novelette.data.formats import read_idx, read_idx_set
from novelette.data.named import load_named
from novelette.errors import InputError


@pytest.mark.parametrize("zipped", [True, False])
def test_mnist_is_read_zipped_or_plain_and_unknown_contents_are_stamped(tmp_path: Path, zipped: bool) -> None:
    write_mnist(tmp_path / "mnist", zipped=zipped)
    mnist = load_named("mnist", data_roots=[tmp_path])
    assert mnist.title == "MNIST (other contents)"
    assert mnist.labels.tolist() == [*(i % 10 for i in range(30)), *range(10)]
    assert mnist.is_train.tolist() == [True] * 30 + [False] * 10
    assert mnist.source.names[29:31] == ("train/00029", "test/00000")
    expected = np.random.default_rng(0).integers(0, 256, (30, 28, 28), np.uint8)
    assert np.array_equal(mnist.source.read(17), expected[17])


GOOD = idx(np.arange(8, dtype=np.uint8).reshape(2, 2, 2))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "not an IDX file"),
        (b"\x89PNG\r\n", "not an IDX file"),
        (b"\0\0\x0d\x01" + GOOD[4:], "not an IDX file"),
        (GOOD[:3], "not an IDX file"),
        (GOOD[:9], "truncated"),
        (GOOD[:-1], "truncated"),
        (GOOD + b"x", "more than its head"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "truncated"),
    ],
)
def test_a_bad_idx_file_is_named_with_its_fault(tmp_path: Path, content: bytes, fault: str) -> None:
    for suffix, packed in (("", content), (".gz", gzip.compress(content))):
        path = tmp_path / f"train-images-idx3-ubyte{suffix}"
        path.write_bytes(packed)
        with pytest.raises(InputError, match=fault) as caught:
            read_idx(path)
        assert str(path) in str(caught.value)


def test_a_cut_gzip_file_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(GOOD)[:-9])
    with pytest.raises(InputError, match="truncated"):
        read_idx(path)


@given(st.binary(max_size=60), st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_an_array_or_an_input_error(tmp_path: Path, content: bytes, plausible: bool) -> None:
    path = tmp_path / "x-ubyte"
    path.write_bytes(b"\0\0\x08" + content if plausible else content)
    with contextlib.suppress(InputError):  # any other error fails the test
        assert read_idx(path).dtype == np.uint8


def test_idx_files_of_another_shape_or_count_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "mnist"
    write_mnist(folder, zipped=False)
    wide = np.zeros((30, 28, 29), np.uint8)
    (folder / "train-images-idx3-ubyte").write_bytes(idx(wide))
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte holds an array \(30, 28, 29\)"):
        read_idx_set(folder)
    write_mnist(folder, zipped=False)
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(9, np.uint8)))
    with pytest.raises(InputError, match="t10k-labels-idx1-ubyte holds labels"):
        read_idx_set(folder)
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(np.full(10, 11, np.uint8)))
    with pytest.raises(InputError, match="the label 11"):
        read_idx_set(folder)
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match=r"lacks t10k-labels-idx1-ubyte\.gz"):
        load_named("mnist", data_roots=[tmp_path])


@needs_data
@pytest.mark.parametrize(
    ("name", "title", "counts"),
    [
        ("mnist", "MNIST", (60_000, 10_000)),
        ("fashion-mnist", "Fashion-MNIST", (60_000, 10_000)),
        ("coil20", "COIL-20 (32x32 copy)", (1440, 0)),
    ],
)
def test_exact_copies_are_known_by_the_hash_of_their_arrays(name: str, title: str, counts: tuple[int, int]) -> None:
    real = load_named(name, data_roots=[DATA], download=False)
    assert real.title == title
    assert (int(real.is_train.sum()), int((~real.is_train).sum())) == counts


@needs_data
def test_fashion_mnist_under_mnists_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mnist").symlink_to(DATA / "fashion_mnist", target_is_directory=True)
    with pytest.raises(InputError, match="holds Fashion-MNIST, not MNIST"):
        load_named("mnist", data_roots=[tmp_path])
