"""CIFAR-10 in its binary files."""

from pathlib import Path

import pytest
from named.made_sets import write_cifar

from novelette.data.formats import CIFAR_RECORD
from novelette.data.named import class_index, load_named
from novelette.errors import InputError


@pytest.mark.parametrize("below", ["cifar10/cifar-10-batches-bin", "cifar-10-batches-bin", "."])
def test_cifar10_is_found_below_a_root_or_as_the_root(tmp_path: Path, below: str) -> None:
    folder = tmp_path / "root" / below
    write_cifar(folder)
    cifar = load_named("cifar10", data_roots=[tmp_path / "root"])
    assert (len(cifar.source), cifar.is_train.sum(), cifar.title) == (60_000, 50_000, "CIFAR-10 (other contents)")
    assert cifar.source.read(5).shape == (32, 32, 3)
    assert cifar.source.read(5)[0, 0].tolist() == [200, 7, 7]
    assert class_index(cifar, "automobile") == class_index(cifar, "1") == 1


def test_a_cut_missing_or_wrong_cifar_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    write_cifar(folder)
    last = folder / "data_batch_3.bin"
    content = last.read_bytes()
    last.write_bytes(content[:-CIFAR_RECORD])
    with pytest.raises(InputError, match=r"data_batch_3\.bin is truncated"):
        load_named("cifar10", data_roots=[tmp_path])
    last.write_bytes(b"\x0b" + content[1:])
    with pytest.raises(InputError, match="the label 11"):
        load_named("cifar10", data_roots=[tmp_path])
    last.unlink()
    with pytest.raises(InputError, match=r"data_batch_3\.bin is missing"):
        load_named("cifar10", data_roots=[tmp_path])
