"""Streaming: every picture in order, those that cannot be read named, and no thread left behind."""

import threading
from pathlib import Path

import numpy as np
import pytest
from images.pixels_and_files import GREY, RGB, folder_of, grey_as_rgb, rng

from novelette.data import images
from novelette.data.images import Preprocessing, content_hash, load, load_to_fit, stream
from novelette.data.sources import SubsetSource, UnreadablePicture, open_source
from novelette.errors import InputError


def sources_of(pictures: np.ndarray, tmp_path: Path) -> list:
    return [open_source(folder_of(list(pictures), tmp_path / "files")), open_source(pictures)]


def test_stream_is_in_order_and_complete_whatever_the_chunk_size(tmp_path):
    pictures = rng.integers(0, 256, (23, 32, 32), np.uint8)
    for source in sources_of(pictures, tmp_path):
        for size in (1, 5, 23, 256):
            chunks = list(stream(source, Preprocessing(), chunk_size=size))
            assert max(len(c.indices) for c in chunks) <= size
            assert np.concatenate([c.indices for c in chunks]).tolist() == list(range(23))
            assert np.array_equal(np.concatenate([c.pixels for c in chunks])[:, 0, 0], pictures)
            assert np.concatenate([c.hashes for c in chunks]).tolist() == [content_hash(p) for p in pictures]
            assert chunks[0].hashes.dtype == np.uint64


def test_unreadable_pictures_are_named_and_nothing_else_is_lost(tmp_path):
    pictures: list = [GREY] * 12
    pictures[0], pictures[5], pictures[11] = b"", b"text", b"\x89PNG\r\n\x1a\n"
    source = open_source(folder_of(pictures, tmp_path / "files"))
    unreadable: dict[int, str] = {}
    done: list[int] = []
    chunks = list(stream(source, Preprocessing(), chunk_size=4, unreadable=unreadable, progress=done.append))
    assert np.concatenate([c.indices for c in chunks]).tolist() == [1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert unreadable.keys() == {0, 5, 11}
    assert (unreadable[0], unreadable[5]) == ("empty file", "not an image")
    assert done == list(range(1, 13))
    loaded = load(source, Preprocessing())
    assert loaded.pixels.shape == (9, 1, 1, 32, 32)
    assert loaded.unreadable == unreadable


def test_a_picture_of_an_array_that_is_not_finite_is_unreadable():
    array = np.full((6, 32, 32), 0.5)
    array[2, 3, 3] = np.nan
    loaded = load(open_source(array), Preprocessing())
    assert loaded.indices.tolist() == [0, 1, 3, 4, 5]
    assert loaded.unreadable == {2: "float pixels that are not finite"}


def test_when_nothing_can_be_read_a_person_is_told(tmp_path):
    source = open_source(folder_of([b"", b"text"], tmp_path / "files"))
    unreadable: dict[int, str] = {}
    with pytest.raises(InputError, match=r"none of the 2 pictures can be read \(the first, 0000\.png: empty file\)"):
        list(stream(source, Preprocessing(), unreadable=unreadable))
    assert len(unreadable) == 2
    with pytest.raises(InputError, match="cannot be read"):
        load(SubsetSource(source, [1]), Preprocessing())


def test_subsets_stream_their_own_pictures(tmp_path):
    pictures = rng.integers(0, 256, (9, 32, 32), np.uint8)
    for source in sources_of(pictures, tmp_path):
        subset = SubsetSource(SubsetSource(source, [8, 1, 3, 3]), np.array([3, 0]))
        loaded = load(subset, Preprocessing())
        assert loaded.indices.tolist() == [0, 1]
        assert np.array_equal(loaded.pixels[:, 0, 0], pictures[[3, 8]])


def test_the_first_refused_colour_picture_is_named_by_files_and_arrays(tmp_path):
    pictures = np.stack([grey_as_rgb(GREY)] * 3 + [RGB, RGB])
    for source in sources_of(pictures, tmp_path):
        with pytest.raises(InputError) as error:
            load_to_fit(source, Preprocessing())
        assert source.names[3] in str(error.value)


def test_a_stream_left_early_decodes_little_more_and_leaves_no_threads():
    class Counting:
        names = tuple(map(str, range(10_000)))
        read_so_far = 0

        def __len__(self) -> int:
            return 10_000

        def read(self, index: int) -> np.ndarray:
            self.read_so_far += 1
            if index % 7 == 3:
                raise UnreadablePicture("broken")
            return GREY

    source = Counting()
    threads = threading.active_count()
    chunks = stream(source, Preprocessing(), chunk_size=16)
    next(chunks)
    chunks.close()
    assert source.read_so_far < 200
    assert threading.active_count() == threads


def test_chunks_are_bounded_in_bytes_however_many_tiles(monkeypatch):
    monkeypatch.setattr(images, "CHUNK_BYTES", 100_000)
    preprocessing = Preprocessing(size=64, tiles=3)  # 36,864 bytes a picture
    chunks = list(stream(open_source(np.stack([GREY] * 7)), preprocessing))
    assert [len(c.indices) for c in chunks] == [2, 2, 2, 1]
