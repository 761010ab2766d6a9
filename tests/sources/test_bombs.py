"""Small files that would take gigabytes or minutes to open: refused, and ordinary ones with many parts are not."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from sources.picture_files import GREY

from novelette.data.bombs import MOST_EXIF, MOST_SCANS, MOST_VALUES
from novelette.data.decode import decode, read_picture
from novelette.data.pixels import UnreadablePicture

BYTE, SHORT, LONG, RATIONAL, LONG8 = 1, 3, 4, 5, 16
WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, STRIPS, ROWS_PER_STRIP = 256, 257, 258, 259, 262, 273, 278
FORMATS = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "I", LONG8: "Q"}


def tiff(tags: dict[int, tuple[int, list[int]]], order: str = "<", big: bool = False) -> bytes:
    """A TIFF or BigTIFF of nothing but tags, each with a type and values; its pixels lie in it anywhere."""
    start = (b"MM" if order == ">" else b"II") + struct.pack(order + "H", 43 if big else 42)
    held = {tag: struct.pack(f"{order}{len(values)}{FORMATS[kind]}", *values) for tag, (kind, values) in tags.items()}
    inline, offset, head = (8, "Q", 16) if big else (4, "I", 8)
    data, folder = b"", struct.pack(order + ("Q" if big else "H"), len(tags))
    for tag, (kind, values) in tags.items():
        folder += struct.pack(order + "HH" + offset, tag, kind, len(values) // (2 if kind == RATIONAL else 1))
        if len(held[tag]) > inline:
            folder += struct.pack(order + offset, head + len(data))
            data += held[tag]
        else:
            folder += held[tag].ljust(inline, b"\0")
    pointer = struct.pack(order + "HHQ", 8, 0, head + len(data)) if big else struct.pack(order + "I", head + len(data))
    return start + pointer + data + folder + bytes(8)


def of_rows(rows: int, kind: int = SHORT, order: str = "<", big: bool = False) -> bytes:
    """A grey picture 1 px wide with one row a strip."""
    tags = {WIDTH: (SHORT, [1]), LENGTH: (LONG, [rows]), BITS: (SHORT, [8]), COMPRESSION: (SHORT, [1]), PHOTOMETRIC: (SHORT, [1])}
    strips = {STRIPS: (kind, [8 + i % 200 for i in range(rows)]), ROWS_PER_STRIP: (SHORT, [1])}
    return tiff(tags | strips, order, big)


def of_jpeg(segment: bytes, times: int) -> bytes:
    content = encoded("JPEG")
    return content[:20] + segment * times + content[20:]  # behind its first segment


def encoded(format: str, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(GREY).save(file, format, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize(
    ("kind", "order", "big"),
    [(SHORT, "<", False), (SHORT, ">", False), (LONG8, "<", True), (LONG8, ">", True), (BYTE, "<", False)],
    ids=["classic", "big-endian", "BigTIFF", "big-endian BigTIFF", "offsets in bytes"],
)
def test_a_tiff_of_very_many_strips_is_refused(kind, order, big, tmp_path):
    content = of_rows(MOST_VALUES, kind, order, big)
    with pytest.raises(UnreadablePicture, match="over 100,000 values in the tags of a TIFF"):
        decode(content)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(UnreadablePicture, match="over 100,000 values"):
        read_picture(tmp_path / "a.tif")


@pytest.mark.parametrize(("kind", "order", "big"), [(SHORT, "<", False), (LONG, ">", False), (LONG8, "<", True)])
def test_a_tiff_of_twenty_thousand_strips_is_read(kind, order, big):
    content = of_rows(20_000, kind, order, big)
    wanted = np.frombuffer(content, np.uint8)[8 + np.arange(20_000) % 200]
    assert np.array_equal(decode(content)[:, 0], wanted)


def test_a_tiff_of_very_many_other_values_or_tags_is_refused_and_one_of_many_bytes_is_not():
    tags = {
        WIDTH: (SHORT, [1]),
        LENGTH: (LONG, [1]),
        BITS: (SHORT, [8]),
        COMPRESSION: (SHORT, [1]),
        STRIPS: (LONG, [8]),
        ROWS_PER_STRIP: (LONG, [1]),
    }
    resolution = 282
    with pytest.raises(UnreadablePicture, match="over 100,000 values"):
        decode(tiff(tags | {resolution: (RATIONAL, [1, 1] * MOST_VALUES)}))
    notes = {tag: (SHORT, list(range(999))) for tag in range(60_000, 60_101)}
    with pytest.raises(UnreadablePicture, match="over 100,000 values"):
        decode(tiff(tags | notes))
    assert decode(tiff(tags | {700: (BYTE, [0] * MOST_VALUES * 2)})).shape == (1, 1)


def test_a_jpeg_in_memory_of_very_many_scans_is_refused():
    content = encoded("JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    with_scans = [content[:-2] + times * last + content[-2:] for times in (10, MOST_SCANS)]
    assert decode(with_scans[0]).shape == GREY.shape
    with pytest.raises(UnreadablePicture, match="over 100 scans"):
        decode(with_scans[1])
    assert decode(content + MOST_SCANS * b"\xff\xda\x12\x34").shape == GREY.shape  # as in the film behind a phone's picture, by chance


def test_very_many_values_in_exif_data_are_refused_or_passed_over():
    of_orientation = tiff({274: (RATIONAL, [1, 1] * MOST_VALUES)})
    turned = tiff({274: (SHORT, [6])})
    png = encoded("PNG")
    with_exif = [png[:33] + chunk(b"eXIf", b"Exif\0\0" + exif) + png[33:] for exif in (turned, of_orientation)]
    assert [decode(content).shape for content in with_exif] == [GREY.shape[::-1], GREY.shape]
    segment = b"\xff\xe1" + struct.pack(">H", 65_535) + b"Exif\0\0" + bytes(65_527)
    with pytest.raises(UnreadablePicture, match="over 20 segments of EXIF data"):
        decode(of_jpeg(segment, MOST_EXIF + 1))


TINY_GIF = encoded("GIF")
BEFORE_IMAGE = TINY_GIF.index(b",\0\0\0\0")
PIECES = {
    "empty segments of a JPEG": lambda n: of_jpeg(b"\xff\xe5\0\2", n),
    "bytes between segments of a JPEG": lambda n: of_jpeg(b"\0", n),
    "comments of a GIF": lambda n: TINY_GIF[:BEFORE_IMAGE] + b"!\xfe" + b"\1a" * n + b"\0" + TINY_GIF[BEFORE_IMAGE:],
    "chunks of a PNG": lambda n: encoded("PNG")[:33] + chunk(b"noTe") * n + encoded("PNG")[33:],
    "chunks of a PNG behind its pixels": lambda n: encoded("PNG")[:-12] + chunk(b"noTe") * n + encoded("PNG")[-12:],
}


@pytest.mark.parametrize("what", PIECES)
def test_a_file_in_very_many_small_pieces_is_refused_and_one_in_some_is_not(what):
    assert decode(PIECES[what](1000)).shape == GREY.shape
    with pytest.raises(UnreadablePicture, match="in too many small pieces"):
        decode(PIECES[what](12_000))


def test_a_png_in_many_pieces_of_ordinary_length_is_read():
    rows = b"".join(b"\0" + bytes(2000) for _ in range(2000))
    packed = zlib.compress(rows, 0)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2000, 2000, 8, 0, 0, 0, 0))
    pieces = b"".join(chunk(b"IDAT", packed[i : i + 512]) for i in range(0, len(packed), 512))
    assert decode(b"\x89PNG\r\n\x1a\n" + header + pieces + chunk(b"IEND")).shape == (2000, 2000)
