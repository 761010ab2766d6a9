"""Pixels of random values, and folders of them."""

from pathlib import Path

import numpy as np
from PIL import Image

rng = np.random.default_rng(0)
GREY = rng.integers(0, 256, (40, 60), np.uint8)
RGB = rng.integers(0, 256, (40, 60, 3), np.uint8)


def grey_as_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def folder_of(pictures: list[np.ndarray | bytes], folder: Path) -> Path:
    """Pictures as PNG files, or bytes that are none, named by their number."""
    folder.mkdir(exist_ok=True)
    for i, picture in enumerate(pictures):
        path = folder / f"{i:04d}.png"
        if isinstance(picture, bytes):
            path.write_bytes(picture)
        else:
            Image.fromarray(picture).save(path)
    return folder
