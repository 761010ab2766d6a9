"""Heat maps of novelty: smoothed, brought back to the picture's own size, laid over it. numpy and Pillow only."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from novelette.data.images import Preprocessing

# From violet over red to pale yellow; OKLCH lightness rises evenly from 0.30 to 0.94, so that brighter always means more.
COLOURS = np.array(
    [
        (53, 23, 102),
        (100, 13, 126),
        (151, 3, 126),
        (199, 5, 108),
        (245, 25, 69),
        (255, 105, 37),
        (254, 157, 53),
        (254, 200, 83),
        (248, 240, 134),
    ],
    np.float32,
)
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601 luma, as Pillow's mode L
OPACITY = 0.85  # of the hottest colour: the picture still shows through


def smooth(maps: NDArray[np.floating], sigma: float | None = None) -> NDArray[np.float32]:
    """Gaussian blur of maps (..., H, W), mirrored at the edges; constants stay what they are.

    Args: sigma: px; None is a 32nd of the width: one pixel at 32 px.
    Returns: the same shape.
    """
    sigma = maps.shape[-1] / 32 if sigma is None else sigma
    out = np.asarray(maps, np.float32)
    if sigma <= 0:
        return out
    radius = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    return _blur(_blur(out, kernel).swapaxes(-1, -2), kernel).swapaxes(-1, -2)


def to_picture(maps: NDArray[np.floating], preprocessing: Preprocessing, shape: tuple[int, int]) -> NDArray[np.float32]:
    """The maps of a picture's tiles as one map of the picture, at its own size: the way back of `data.images.prepare`.

    Args: maps: (T, S, S), T = tiles², row by row.    shape: the picture's (height, width).
    Returns: (height, width). With frame="crop" what lies outside the middle square was never looked at and is NaN.
    """
    n, size = preprocessing.tiles, maps.shape[-1]
    whole = np.asarray(maps, np.float32).reshape(n, n, size, size).swapaxes(1, 2).reshape(n * size, n * size)
    return _unframed(whole, shape, preprocessing.frame)


def _unframed(heat: NDArray[np.float32], shape: tuple[int, int], frame: str) -> NDArray[np.float32]:
    """A map (S, S) of a framed square as the map (height, width) of what was framed: `data.framing.square` undone."""
    height, width = shape
    if frame == "stretch":
        return _resize(heat, height, width)
    if frame == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        out = np.full((height, width), np.nan, np.float32)
        out[top : top + side, left : left + side] = _resize(heat, side, side)
        return out
    size = len(heat)
    scale = size / max(height, width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (size - rows) // 2, (size - columns) // 2
    return _resize(heat[top : top + rows, left : left + columns], height, width)


def heat_scale(maps: Iterable[NDArray[np.floating]]) -> tuple[float, float]:
    """One (low, high) for several maps, so that the same heat is the same colour: their median and their 99.5 % quantile."""
    values = [m[np.isfinite(m)] for m in maps]
    if not sum(map(len, values)):
        return 0.0, 1.0
    low, high = np.quantile(np.concatenate(values), [0.5, 0.995])
    return float(low), float(high)


def colour(heat: NDArray[np.floating], scale: tuple[float, float]) -> NDArray[np.uint8]:
    """Colours of heat (...): violet at scale[0] and below, pale yellow at scale[1] and above.   Returns: (..., 3)."""
    return np.rint(_colours(_level(heat, scale))).astype(np.uint8)


def overlay(picture: NDArray[np.uint8], heat: NDArray[np.floating], scale: tuple[float, float]) -> NDArray[np.uint8]:
    """The picture in grey with its heat in colour: clear at scale[0] and below, nearly opaque yellow at scale[1] and above.

    Args: picture: uint8 (H, W) or (H, W, 3).    heat: (H, W); NaN stays clear.    scale: (low, high), low ≤ high.
    Returns: RGB, (H, W, 3).
    Raises: ValueError if the sizes differ or the scale is turned round.
    """
    if picture.shape[:2] != heat.shape:
        raise ValueError(f"the picture is {picture.shape[:2]} and its heat map {heat.shape}: both must be (H, W)")
    level = _level(heat, scale)
    opacity = (OPACITY * np.sqrt(level))[..., None]  # the root lets weak heat show on a bright picture
    grey = picture.astype(np.float32) if picture.ndim == 2 else picture.astype(np.float32) @ GREY
    return np.rint(grey[..., None] * (1 - opacity) + _colours(level) * opacity).astype(np.uint8)


def _level(heat: NDArray[np.floating], scale: tuple[float, float]) -> NDArray[np.float32]:
    """Heat as a level in [0, 1]; NaN as 0."""
    low, high = scale
    if not low <= high:
        raise ValueError(f"the scale's low end {low} must not lie above its high end {high}")
    if low == high:
        return (heat > high).astype(np.float32)
    return np.nan_to_num(np.clip((heat - low) / (high - low), 0, 1), nan=0.0).astype(np.float32)


def _colours(level: NDArray[np.float32]) -> NDArray[np.float32]:
    """Levels (...) in [0, 1] as RGB (..., 3) in [0, 255], between the neighbours in COLOURS."""
    at = np.linspace(0, 1, len(COLOURS))
    return np.stack([np.interp(level, at, channel) for channel in COLOURS.T], axis=-1).astype(np.float32)


def _blur(maps: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convolve the last axis with a symmetric kernel of odd length, mirroring at both ends."""
    radius, length = len(kernel) // 2, maps.shape[-1]
    padded = np.pad(maps, [(0, 0)] * (maps.ndim - 1) + [(radius, radius)], mode="symmetric")
    out = np.zeros_like(maps)
    for i, weight in enumerate(kernel):
        out += weight * padded[..., i : i + length]
    return out


def _resize(heat: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Bilinear, as pictures are resized."""
    return np.asarray(Image.fromarray(heat).resize((width, height), Image.Resampling.BILINEAR), np.float32)
