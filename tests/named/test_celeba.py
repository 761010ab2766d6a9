"""CelebA with its lists of attributes and of parts."""

from pathlib import Path

import numpy as np
import pytest
from named.made_sets import write_celeba

from novelette.data.named import class_index, load_named
from novelette.errors import InputError


def test_celeba_crops_the_middle_and_takes_an_absent_attribute_as_normal(tmp_path: Path) -> None:
    write_celeba(tmp_path / "celeba")
    faces = load_named("celeba", data_roots=[tmp_path], attribute="bald")
    assert faces.source.read(0).shape == (140, 140, 3)
    assert len(faces.source) == 17  # the three validation faces are left out
    assert faces.source.names[11:13] == ("000012.jpg", "000016.jpg")
    assert faces.labels.tolist() == [int(int(n[:6]) % 4 == 0) for n in faces.source.names]
    assert faces.is_train.tolist() == [True] * 12 + [False] * 5
    assert faces.classes == ("absent", "present")
    assert class_index(faces, "absent") == 0
    with pytest.raises(InputError, match="no attribute Beard: choose --attribute from Bald, Wearing_Hat"):
        load_named("celeba", data_roots=[tmp_path], attribute="Beard")
    with pytest.raises(InputError, match="needs an attribute"):
        load_named("celeba", data_roots=[tmp_path])


def test_celeba_without_its_partition_trains_on_four_fifths_of_either_class(tmp_path: Path) -> None:
    write_celeba(tmp_path / "celeba", partition=False)
    faces = load_named("celeba", data_roots=[tmp_path], attribute="Bald")
    assert np.bincount(faces.labels[faces.is_train]).tolist() == [12, 4]


@pytest.mark.parametrize("content", ["", "20\n", "20\nBald\n000001.jpg maybe\n", "20\nBald\n000001.jpg 1 1\n"])
def test_a_damaged_attribute_list_is_named(tmp_path: Path, content: str) -> None:
    write_celeba(tmp_path / "celeba", n=4)
    (tmp_path / "celeba" / "list_attr_celeba.txt").write_text(content)
    with pytest.raises(InputError, match=r"list_attr_celeba\.txt"):
        load_named("celeba", data_roots=[tmp_path], attribute="Bald")


def test_an_attribute_is_refused_elsewhere() -> None:
    with pytest.raises(InputError, match="--attribute Bald is for celeba"):
        load_named("digits", attribute="Bald")
