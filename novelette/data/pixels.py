"""Formulas on pixel arrays, the same for files and arrays: 8 bits, alpha over white, luminance, greyness, hash."""

import hashlib
from collections.abc import Callable

import numpy as np

STRIP = 1 << 22  # elements converted at a time, so that a large picture needs no large temporaries
GREY_TOLERANCE = 8  # levels by which the channels of a grey pixel saved as RGB may differ: chroma noise of JPEG, WebP
FLOAT_TOLERANCE = 1e-3  # how far outside [0, 1] a float may lie (overshoot of resampling); it is clipped


class UnreadablePicture(Exception):
    """One picture that cannot be decoded; `str(error)` is a short reason, such as "empty file" or "not an image"."""


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Pixels as 8 bits, any shape: bool * 255, uint16 / 257 and floats in [0, 1] * 255, both rounded; uint8 as it is.

    32-bit integers are taken for 16-bit values in a wider type.

    Raises: UnreadablePicture when a value lies outside the range of its type, or is not finite, or the type is another.
    """
    kind, size = pixels.dtype.kind, pixels.dtype.itemsize
    if kind == "u" and size == 1:
        return pixels
    out = np.empty(pixels.shape, np.uint8)
    if kind == "b":
        np.multiply(pixels, 255, out=out, casting="unsafe")
    elif kind == "u" and size == 2:
        _by_strips(lambda v: (v.astype(np.uint32) + 128) // 257, pixels, out)
    elif kind == "i" and size == 4:
        _by_strips(_int32_to_uint8, pixels, out)
    elif kind == "f":
        _by_strips(_float_to_uint8, pixels, out)
    else:
        raise UnreadablePicture(f"pixels of type {pixels.dtype} are not supported")
    return out


def _int32_to_uint8(values: np.ndarray) -> np.ndarray:
    if values.size and (values.min() < 0 or values.max() > 65535):
        raise UnreadablePicture("32-bit integers outside 0..65535")
    return (values + 128) // 257


def _float_to_uint8(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        raise UnreadablePicture("float pixels that are not finite")
    if values.size and (values.min() < -FLOAT_TOLERANCE or values.max() > 1 + FLOAT_TOLERANCE):
        raise UnreadablePicture("float pixels outside 0..1")
    return np.rint(np.clip(values.astype(np.float32), 0, 1) * np.float32(255))


def over_white(pixels: np.ndarray) -> np.ndarray:
    """Colours laid over white by their alpha: c a + 255 (1 - a), rounded.

    Args:
        pixels: uint8 (..., 2) grey and alpha, or (..., 4) red, green, blue and alpha.
    Returns: uint8 (...) or (..., 3).
    """
    colours = pixels.shape[-1] - 1
    out = np.empty((*pixels.shape[:-1], colours), np.uint8)

    def lay(strip: np.ndarray) -> np.ndarray:
        if (strip[..., -1] == 255).all():
            return strip[..., :-1]
        wide = strip.astype(np.uint32)
        c, a = wide[..., :-1], wide[..., -1:]
        return (c * a + 255 * (255 - a) + 127) // 255

    _by_strips(lay, pixels, out)
    return out if colours == 3 else out[..., 0]


def luminance(pixels: np.ndarray) -> np.ndarray:
    """Luminance 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601) in 16-bit fixed point, as Pillow's mode L; exact for grey.

    Args:
        pixels: uint8 (..., 3).
    Returns: uint8 (...).
    """
    out = np.empty(pixels.shape[:-1], np.uint8)
    weights = np.array([19595, 38470, 7471], np.uint32)  # they add up to 65536

    def weigh(strip: np.ndarray) -> np.ndarray:
        r, g, b = (strip[..., i] * weights[i] for i in range(3))
        return (r + g + b + np.uint32(32768)) >> np.uint32(16)

    _by_strips(weigh, pixels, out)
    return out


def is_grey(pixels: np.ndarray, tolerance: int = GREY_TOLERANCE) -> np.ndarray:
    """Which pictures of a block are grey saved as RGB: no pixel's channels differ by more than `tolerance` levels.

    Args:
        pixels: uint8 (N, H, W, 3).
    Returns: bool (N,).
    """
    spread = np.empty(pixels.shape[:-1], np.uint8)

    def between(strip: np.ndarray) -> np.ndarray:
        r, g, b = (strip[..., i] for i in range(3))
        return np.maximum(np.maximum(r, g), b) - np.minimum(np.minimum(r, g), b)

    _by_strips(between, pixels, spread)
    return spread.reshape(len(pixels), -1).max(axis=1, initial=0) <= tolerance


def content_hash(picture: np.ndarray) -> int:
    """64-bit hash of the decoded pixels: BLAKE2b of shape and bytes, the same on every machine.

    A grey picture saved as RGB (equal channels) has the hash of the grey one.

    Args:
        picture: uint8 (H, W), (H, W, 1) or (H, W, 3).
    Returns: an int in [0, 2**64).
    """
    if picture.ndim == 3:
        first = picture[..., 0]
        if picture.shape[2] == 1 or all(np.array_equal(first, picture[..., i]) for i in (1, 2)):
            picture = first
    digest = hashlib.blake2b(np.array(picture.shape, "<u8").tobytes(), digest_size=8)
    digest.update(np.ascontiguousarray(picture).data)
    return int.from_bytes(digest.digest(), "little")


def _by_strips(convert: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray, out: np.ndarray) -> None:
    """out = convert(pixels), at most STRIP elements at a time; `convert` acts on every pixel alone."""
    each = pixels[:1].size
    if each > STRIP and pixels.ndim > 2:
        for row, row_out in zip(pixels, out, strict=True):
            _by_strips(convert, row, row_out)
        return
    step = max(1, STRIP // max(1, each))
    for start in range(0, len(pixels), step):
        out[start : start + step] = convert(pixels[start : start + step])
