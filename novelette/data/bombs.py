"""Files made to take gigabytes or minutes to open, though their pictures are small: refused before that is spent.

Pillow bounds pixels alone. It makes objects of every strip of a TIFF, segment of a JPEG, block of a GIF and chunk of a PNG, however many.
"""

import os
import struct
from contextlib import suppress
from typing import IO, Any

from novelette.data.pixels import UnreadablePicture

SCAN, MOST_SCANS = b"\xff\xda", 100  # of a JPEG: each goes over all pixels, and can be of 40 bytes; progressive ones have about ten
EXIF, MOST_EXIF = b"Exif\0\0", 20  # such segments of a JPEG, of 64 KB: Pillow puts them together; ordinary ones have one
MOST_READS = 10_000  # of a file that is read in pieces
BYTES_A_READ = 100  # for so many bytes it may be read once more: ordinary pieces are of 255 and up
MOST_VALUES = 100_000  # in the tags of a TIFF: a strip has two, where it begins and how long it is
TIFFS = (b"II*\0", b"MM\0*", b"II\0*", b"MM*\0", b"II+\0", b"MM\0+")  # as Pillow takes them; those with + are BigTIFF
BYTES = (1, 2, 7)  # types of TIFF: bytes, ASCII, undefined: Pillow makes one object of all values
STRIPS, TILES = 273, 324  # TIFF tags: where each begins; Pillow goes through these whatever their type


def check_jpeg(content: bytes) -> None:
    """Raises: UnreadablePicture when a file in memory is a JPEG of very many scans or pieces of EXIF data."""
    if not content.startswith(b"\xff\xd8"):
        return
    starts = (SCAN + bytes((0, 6 + 2 * components, components)) for components in (1, 2, 3, 4))  # as every decoder demands them
    if content.count(SCAN) > MOST_SCANS and sum(map(content.count, starts)) > MOST_SCANS:  # the bytes of SCAN come by chance too
        raise UnreadablePicture(f"over {MOST_SCANS} scans")
    if content.count(EXIF) > MOST_EXIF:
        raise UnreadablePicture(f"over {MOST_EXIF} segments of EXIF data")


def watched(file: IO[bytes]) -> IO[bytes]:
    """A picture file at its beginning, to be given to Pillow; one that is read in pieces counts them.

    Raises: UnreadablePicture when it is a TIFF of too many values; later, when it is read in too many pieces.
    """
    start = file.read(4)
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if start in TIFFS:
        check_tiff(file)
    elif not start.startswith(b"BM"):  # of packed ones Pillow reads byte by byte
        return Counted(file, MOST_READS + size // BYTES_A_READ)  # type: ignore[return-value]
    return file


def check_tiff(file: IO[bytes]) -> None:
    """Leaves the file at its beginning. Raises: UnreadablePicture when the tags of its first picture have too many values."""
    head = file.read(16)
    with suppress(struct.error, ValueError, OverflowError, OSError):  # of what is damaged Pillow says so
        for big in {head[2] == 43, 43 in head[2:4]}:  # Pillow takes big-endian BigTIFF for the other kind
            if _values(file, head, big) > MOST_VALUES:
                raise UnreadablePicture(f"over {MOST_VALUES:,} values in the tags of a TIFF")
    file.seek(0)


def _values(file: IO[bytes], head: bytes, big: bool) -> int:
    """How many values the first folder of a TIFF has, each tag counted as one more."""
    order = ">" if head.startswith(b"MM") else "<"
    size = file.seek(0, os.SEEK_END)
    file.seek(struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)[0])
    count = struct.Struct(order + ("Q" if big else "H"))
    entry = struct.Struct(order + ("HHQ8x" if big else "HHI4x"))
    tags = min(count.unpack(file.read(count.size))[0], MOST_VALUES + 1)
    folder = file.read(tags * entry.size)
    found = entry.iter_unpack(folder[: len(folder) // entry.size * entry.size])
    many = (values for tag, kind, values in found if kind not in BYTES or tag in (STRIPS, TILES))
    return tags + sum(values for values in many if values <= size)  # Pillow passes over those that cannot be there


class Counted:
    """A file that may be read so many times. Raises: UnreadablePicture at the next one."""

    def __init__(self, file: IO[bytes], reads: int) -> None:
        self._file, self._left = file, reads

    def read(self, size: int = -1) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise UnreadablePicture("in too many small pieces")
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
