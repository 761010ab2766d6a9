"""Pictures of random values, saved and encoded in every way."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

rng = np.random.default_rng(0)
GREY = rng.integers(0, 256, (9, 13), np.uint8)
RGB = rng.integers(0, 256, (9, 13, 3), np.uint8)


def save(pixels: np.ndarray, path: Path, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def png_of_16_bits(values: np.ndarray, path: Path) -> Path:
    """A PNG of uint16 (H, W, 2, 3 or 4), which Pillow cannot write."""
    colour_type = {2: 4, 3: 2, 4: 6}[values.shape[2]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    body = b"".join(struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def encoded(mode: str, width: int, height: int, format: str, seed: int) -> bytes | None:
    """A random picture, encoded; None where the format has no such mode."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    if mode.startswith("I;16"):
        image = Image.frombytes(mode, (width, height), values[..., :2].tobytes())
    elif mode in ("I", "F"):
        image = Image.fromarray(values[..., 0]).convert(mode)
    elif mode in ("LAB", "HSV", "YCbCr"):
        image = Image.frombytes(mode, (width, height), values[..., :3].tobytes())
    else:
        image = Image.fromarray(values).convert("RGB").convert("P").convert(mode) if mode == "PA" else Image.fromarray(values).convert(mode)
    buffer = io.BytesIO()
    try:
        image.save(buffer, format)
    except (OSError, KeyError, ValueError):
        return None
    return buffer.getvalue()
