"""Files that cannot be read: each says why, and nothing but pixels or a reason comes out of any bytes."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources.picture_files import encoded, rng, save

from novelette.data import decode
from novelette.data.decode import MAX_PIXELS, read_picture
from novelette.data.sources import UnreadablePicture, open_source


def png_header(width: int, height: int) -> bytes:
    data = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + data + struct.pack(">I", zlib.crc32(data)) + b"\0\0\0\0IDAT"


def tiff_of_a_tile(side: int) -> bytes:
    """A grey TIFF of 16 x 16 pixels in one tile of `side` x `side`, packed."""
    packed = zlib.compress(bytes(side * side))
    tags = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side, 324: 8, 325: len(packed)}
    folder = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<I", 8 + len(packed)) + packed + struct.pack("<H", len(tags)) + folder + bytes(4)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"this is text, not a picture\n" * 9, "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (png_header(30_000, 30_000), "900 Mpx is over the limit of 100 Mpx"),
        (png_header(12_000, 10_000), "120 Mpx is over the limit of 100 Mpx"),
        (png_header(9_500, 10_000), "over Pillow's own limit of pixels, as it is set here"),  # its warning is an error here
        (png_header(20, 20), "truncated"),
    ],
)
def test_an_unreadable_file_says_why(tmp_path, content, reason):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(UnreadablePicture) as error:
        open_source(path).read(0)
    assert str(error.value) == reason


def test_a_small_tiff_in_a_huge_tile_is_over_the_limit():
    assert decode.decode(tiff_of_a_tile(32)).shape == (16, 16)
    with pytest.raises(UnreadablePicture, match=r"4.2 Mpx is over the limit of 1 Mpx"):  # the tile is decoded whole
        decode.decode(tiff_of_a_tile(2048), max_pixels=1_000_000)


def test_a_cut_off_jpeg_is_truncated(tmp_path):
    path = save(rng.integers(0, 256, (64, 64, 3), np.uint8), tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UnreadablePicture, match="truncated"):
        read_picture(path)


def test_a_missing_file_a_folder_and_a_pipe_are_unreadable(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path, reason in (("gone.png", "no such file"), ("", "a folder"), ("pipe.png", "not a regular file")):
        with pytest.raises(UnreadablePicture, match=reason):
            read_picture(tmp_path / path)


@settings(max_examples=80, deadline=None)
@given(
    mode=st.sampled_from(["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16", "I;16B"]),
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    format=st.sampled_from(["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_mode_and_size_gives_uint8_pixels(tmp_path_factory, mode, width, height, format, seed):
    path = tmp_path_factory.mktemp("any") / "a.png"
    content = encoded(mode, width, height, format, seed)
    if content is None:
        return
    path.write_bytes(content)
    assert_array_or_reason(path, (height, width))


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, on broken tags
@settings(max_examples=200, deadline=None)
@given(
    format=st.sampled_from(["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"]),
    mode=st.sampled_from(["L", "P", "RGB", "RGBA", "I;16"]),
    cut=st.floats(0, 1),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12),
    seed=st.integers(0, 2**32 - 1),
)
def test_broken_bytes_give_pixels_or_a_reason_and_nothing_else(tmp_path_factory, format, mode, cut, edits, seed):
    content = encoded(mode, 17, 11, format, seed)
    if content is None:
        return
    broken = bytearray(content[: round(cut * len(content))] if seed % 2 else content)
    for where, value in edits:
        if broken:
            broken[min(int(where**2 * len(broken)), len(broken) - 1)] = value  # headers are hit more often
    path = tmp_path_factory.mktemp("broken") / "a.png"
    path.write_bytes(broken)
    assert_array_or_reason(path)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, on broken tags
@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=300), start=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"GIF89a"]))
def test_random_bytes_give_pixels_or_a_reason_and_nothing_else(tmp_path_factory, content, start):
    path = tmp_path_factory.mktemp("random") / "a.png"
    path.write_bytes(start + content)
    assert_array_or_reason(path)


def assert_array_or_reason(path: Path, shape: tuple[int, int] | None = None) -> None:
    try:
        pixels = read_picture(path)
    except UnreadablePicture as error:
        reason = str(error)
    else:
        reason = None
    if reason is not None:
        assert 0 < len(reason) < 200
        return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    assert 0 < pixels.shape[0] * pixels.shape[1] <= MAX_PIXELS
    assert shape is None or pixels.shape[:2] == shape
