"""One picture file, on disk or in memory -> uint8 pixels, whatever its mode, with the reason when that cannot be done."""

import io
import os
import re
import stat
import sys
import threading
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from novelette.data.bombs import EXIF, check_jpeg, check_tiff, watched
from novelette.data.pixels import UnreadablePicture, over_white, to_uint8

MAX_PIXELS = 100_000_000  # checked in the header, before anything is decoded
EXTENSIONS = frozenset((".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".gif"))
# Only these decoders are tried: a PostScript file named .png never reaches an interpreter.
FORMATS = ("PNG", "JPEG", "BMP", "DIB", "TIFF", "WEBP", "GIF")
LARGE_PIXELS = 16_000_000  # pictures above are decoded one at a time, so that memory stays bounded
ORIENTATION = 0x0112  # EXIF tag
TILE_WIDTH, TILE_LENGTH = 0x0142, 0x0143  # TIFF tags

_one_large_picture = threading.Lock()


def read_picture(path: str | Path) -> np.ndarray:
    """Pixels of a picture file (the first frame, if there are several), turned as its EXIF orientation says.

    1-bit, 8-bit, 16-bit, 32-bit integer and float files become 8 bits as `to_uint8` says; palettes, CMYK, YCbCr and Lab
    become RGB; alpha is laid over white, because what a transparent pixel holds is arbitrary and viewers show white.
    Deviation: of 16-bit colour in separate TIFF planes, and of 16-bit grey with alpha, Pillow gives the upper 8 bits:
    one level off at most.

    Returns: uint8 (H, W) for a grey file, (H, W, 3) for a colour one.
    Raises: UnreadablePicture, and nothing else, whatever the bytes.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise UnreadablePicture("a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file")
        if status.st_size == 0:
            raise UnreadablePicture("empty file")
        with open(path, "rb") as file:
            return _read(file, MAX_PIXELS)
    except (OSError, ValueError) as error:  # a path that names nothing
        raise UnreadablePicture(_reason(error, MAX_PIXELS)) from error


def decode(content: bytes, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Pixels of a picture file in memory, exactly as `read_picture` gives them, but for a JPEG that `check_jpeg` refuses.

    Args: max_pixels: width times height, at most; checked in the header.
    Returns: uint8 (H, W) or (H, W, 3).
    Raises: UnreadablePicture, and nothing else, whatever the bytes.
    """
    if not content:
        raise UnreadablePicture("empty file")
    check_jpeg(content)
    return _read(io.BytesIO(content), max_pixels)


def _read(file: IO[bytes], max_pixels: int) -> np.ndarray:
    try:
        return _upright(*_decode(watched(file), max_pixels))
    except UnreadablePicture:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on broken bytes
        raise UnreadablePicture(_reason(error, max_pixels)) from error


def _decode(file: IO[bytes], max_pixels: int) -> tuple[np.ndarray, int]:
    """Pixels, uint8 (H, W) or (H, W, 3), as they are stored, and the EXIF orientation."""
    with Image.open(file, formats=FORMATS) as image:
        width, height = image.size
        at_a_time = max(width * height, _tile_pixels(image))
        if at_a_time > max_pixels:
            raise UnreadablePicture(_over_limit(at_a_time, max_pixels))
        if width < 1 or height < 1:
            raise UnreadablePicture("no pixels")
        with _one_large_picture if at_a_time > LARGE_PIXELS else nullcontext():
            rawmode = _rawmode(image)  # before loading, which forgets it
            image.load()
            low = _lower_bytes(image, rawmode, file)
            step = max(1, LARGE_PIXELS // width)  # rows converted at a time
            pixels = _convert(image, low, rawmode, 0, min(step, height))
            if step < height:
                first, pixels = pixels, np.empty((height, *pixels.shape[1:]), np.uint8)
                pixels[:step] = first
                for top in range(step, height, step):
                    pixels[top : top + step] = _convert(image, low, rawmode, top, min(top + step, height))
            return pixels, _orientation(image)


def _tile_pixels(image: Image.Image) -> int:
    """Pixels of a tile of a TIFF, which is decoded whole however small the picture is; 0 of what is not in tiles."""
    tags = getattr(image, "tag_v2", {})
    return int(np.max(tags.get(TILE_WIDTH, 0))) * int(np.max(tags.get(TILE_LENGTH, 0)))


def _convert(image: Image.Image, low: Image.Image | None, rawmode: str, top: int, bottom: int) -> np.ndarray:
    """The rows from `top` to `bottom` of a loaded picture as uint8 (h, W) or (h, W, 3)."""
    rows = (0, top, image.width, bottom)
    if low is None:
        pixels = _plain(image.crop(rows))
        if rawmode == "LA;16B":  # Pillow opens such a PNG as RGBA
            pixels = pixels[..., 2:]
    else:
        pixels = np.asarray(image.crop(rows)).astype(np.uint16) << 8 | np.asarray(low.crop(rows))
    pixels = to_uint8(pixels)
    return over_white(pixels) if pixels.ndim == 3 and pixels.shape[2] in (2, 4) else pixels


def _plain(image: Image.Image) -> np.ndarray:
    """A picture as an array of grey, grey and alpha, RGB or RGBA, in the depth that Pillow gives."""
    grey = image.mode in ("1", "L", "LA", "La") or (image.mode == "P" and _has_grey_palette(image))
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        image = image.convert(("L" if grey else "RGB") + ("A" if image.has_transparency_data else ""))
    return np.asarray(image)


def _has_grey_palette(image: Image.Image) -> bool:
    colours = np.array(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def _lower_bytes(image: Image.Image, rawmode: str, file: IO[bytes]) -> Image.Image | None:
    """The lower bytes of a picture in 16-bit colour, of which Pillow keeps the upper; None if it is no such picture.

    Decoded in the other byte order the file gives them.
    """
    if image.mode not in ("RGB", "RGBA") or not re.fullmatch("RGBA?;16[BLN]", rawmode):
        return None
    native = "B" if sys.byteorder == "big" else "L"
    order = native if rawmode[-1] == "N" else rawmode[-1]
    swapped = rawmode[:-1] + ("L" if order == "B" else "B")
    with suppress(Exception):  # of a layout that cannot be read so, the upper bytes must do
        file.seek(0)
        with Image.open(file, formats=FORMATS) as low:
            low.tile = [tile._replace(args=_with_rawmode(tile.args, swapped)) for tile in low.tile]
            low.load()
        return low
    return None


def _rawmode(image: Image.Image) -> str:
    """How the first tile of a file that is not loaded yet packs its pixels, e.g. "RGB;16B"; empty if unknown."""
    args: Any = image.tile[0].args if isinstance(image, ImageFile.ImageFile) and image.tile else ""
    first = args[0] if isinstance(args, tuple) and args else args
    return first if isinstance(first, str) else ""


def _with_rawmode(args: Any, rawmode: str) -> Any:
    return (rawmode, *args[1:]) if isinstance(args, tuple) else rawmode


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8. Damaged EXIF data do not make a picture unreadable: they count as upright."""
    value = 1
    with suppress(Exception):
        exif = image.info.get("exif", b"")
        while exif.startswith(EXIF):  # as Pillow does
            exif = exif[len(EXIF) :]
        check_tiff(io.BytesIO(exif))
        value = image.getexif().get(ORIENTATION, 1)
    return value if isinstance(value, int) else 1


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels (H, W, ...) as they are meant to be seen, by the eight EXIF orientations."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _over_limit(pixels: int, limit: int) -> str:
    had, most = (f"{count / 1e6:,.1f}".removesuffix(".0") for count in (pixels, limit))
    return f"{had} Mpx is over the limit of {most} Mpx"


def _reason(error: Exception, max_pixels: int) -> str:
    """A few words on why a file cannot be decoded."""
    text = " ".join(str(error).split())
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        found = re.search(r"\((\d+) pixels\)", text)
        pixels = int(found[1]) if found else 0
        return _over_limit(pixels, max_pixels) if pixels > max_pixels else "over Pillow's own limit of pixels, as it is set here"
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if isinstance(error, MemoryError):
        return "too large for the memory"
    if isinstance(error, OSError) and error.errno is not None:
        return (error.strerror or text).lower()
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return "truncated"
    return f"damaged ({text[:80]})" if text else "damaged"
