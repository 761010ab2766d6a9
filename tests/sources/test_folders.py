"""Folders, single files, lists and subsets: which pictures there are, and what they are called."""

import os
from pathlib import Path

import numpy as np
import pytest
from sources.picture_files import GREY, RGB, save

from novelette.data.sources import Source, SubsetSource, UnreadablePicture, open_source


def test_a_folder_is_read_nested_sorted_and_without_other_files(tmp_path):
    for name in ("b.png", "a/z.jpg", "a/c.PNG", ".hidden.png", ".git/x.png", "c.tiff"):
        save(GREY, tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "a" / "empty.bmp").touch()  # has a picture's name: unreadable, not ignored
    source = open_source(tmp_path)
    assert source.names == ("a/c.PNG", "a/empty.bmp", "a/z.jpg", "b.png", "c.tiff")
    assert isinstance(source, Source)
    assert np.array_equal(source.read(0), GREY)
    with pytest.raises(UnreadablePicture, match="empty file"):
        source.read(1)


def test_links_that_loop_end_and_linked_folders_are_read_once(tmp_path):
    save(GREY, tmp_path / "one" / "a.png")
    (tmp_path / "one" / "up").symlink_to(tmp_path)
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    source = open_source(tmp_path)
    assert source.names == ("one/a.png", "self.png")
    with pytest.raises(UnreadablePicture):
        source.read(1)


def test_a_file_name_that_is_not_utf8_has_a_printable_name(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.png")
    try:
        Path(os.fsdecode(path)).write_bytes(save(GREY, tmp_path / "x" / "a.png").read_bytes())
    except OSError:
        pytest.skip("this file system wants UTF-8 names")
    source = open_source(tmp_path)
    assert source.names[0].encode() == b"caf\\xe9.png"
    assert np.array_equal(source.read(0), GREY)


def test_one_picture_a_list_and_a_subset(tmp_path):
    one, two = save(GREY, tmp_path / "1.png"), save(RGB, tmp_path / "2_mask.png")
    assert open_source(str(one)).names == (str(one),)
    source = open_source([two, one])  # a mask that is named is meant
    assert source.names == (str(two), str(one))
    subset = SubsetSource(source, [1, 1, 0])
    assert len(subset) == 3
    assert subset.names == (str(one), str(one), str(two))
    assert np.array_equal(subset.read(2), RGB)
    assert open_source(subset) is subset
