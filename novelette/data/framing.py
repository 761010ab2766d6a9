"""Geometry: a picture of any shape becomes a square, a square becomes tiles."""

import math

import numpy as np
from PIL import Image

BILINEAR = Image.Resampling.BILINEAR


def square(picture: np.ndarray, size: int, frame: str) -> np.ndarray:
    """A picture framed to size x size pixels.

    "stretch" resizes both sides to the square. "crop" resizes the short side and takes the middle. "pad" resizes the
    long side, puts the picture in the middle and fills the rest with the median of the resized picture's border, by
    channel, so that the seam is faint. Resizing is Pillow's bilinear filter on uint8, its support widened by the
    reduction (no aliasing).

    Args:
        picture: uint8 (H, W) or (H, W, 3).   frame: "stretch", "crop" or "pad".
    Returns: uint8 (size, size) or (size, size, 3).
    """
    height, width = picture.shape[:2]
    image = Image.fromarray(picture)
    if frame == "stretch":
        return np.asarray(image.resize((size, size), BILINEAR))
    if frame == "crop":
        side = min(height, width)
        left, top = (width - side) / 2, (height - side) / 2
        return np.asarray(image.resize((size, size), BILINEAR, box=(left, top, left + side, top + side)))
    scale = size / max(height, width)
    small = image.resize((max(1, round(width * scale)), max(1, round(height * scale))), BILINEAR)
    return _pad(np.asarray(small), size)


def _pad(picture: np.ndarray, size: int) -> np.ndarray:
    height, width = picture.shape[:2]
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    middle = len(border) // 2  # the upper median: a value that occurs
    out = np.empty((size, size, *picture.shape[2:]), np.uint8)
    out[:] = np.partition(border, middle, axis=0)[middle]
    top, left = (size - height) // 2, (size - width) // 2
    out[top : top + height, left : left + width] = picture
    return out


def cut(squares: np.ndarray, tiles: int, channels: int) -> np.ndarray:
    """Squares cut into tiles x tiles tiles, row by row; grey is repeated for three channels.

    Args:
        squares: uint8 (n, tiles * S, tiles * S) or (n, tiles * S, tiles * S, 3).
    Returns: uint8 (n, tiles², channels, S, S).
    """
    n, size = len(squares), squares.shape[1] // tiles
    out = np.empty((n, tiles, tiles, channels, size, size), np.uint8)
    out[:] = squares.reshape(n, tiles, size, tiles, size, -1).transpose(0, 1, 3, 5, 2, 4)
    return out.reshape(n, tiles**2, channels, size, size)


def uncut(tiles: np.ndarray) -> np.ndarray:
    """The way back of `cut`: uint8 (n, T, C, S, S), T a square number, to squares with the channels last, (n, H, W, C), H = W = √T · S."""
    n, count, channels, size, _ = tiles.shape
    side = math.isqrt(count)
    grid = tiles.reshape(n, side, side, channels, size, size).transpose(0, 1, 4, 2, 5, 3)
    return grid.reshape(n, side * size, side * size, channels)
