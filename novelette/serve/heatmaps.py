"""Where one picture is novel, as a PNG: the picture in grey with its heat in colour."""

import base64
import io

import numpy as np
from PIL import Image

from novelette.data.decode import decode
from novelette.heatmap import heat_scale, overlay
from novelette.runtime import Runtime

LONGEST_SIDE = 512  # px: larger pictures are drawn smaller, since a detector sees no more than its tiles


def drawn(detector: Runtime, content: bytes, *, max_pixels: int) -> str | None:
    """The heat map of a picture file that can be read, as `novelette score --heatmaps` draws it; None where the method has none.

    Each picture has a scale of its own, from its median to its 99.5 % quantile, so that an answer does not depend on the
    other pictures of a request.

    Returns: PNG, base64.
    """
    picture = decode(content, max_pixels=max_pixels)
    heat = detector.heatmap(picture)
    if heat is None:
        return None
    image, level = Image.fromarray(picture), Image.fromarray(heat)
    if max(image.size) > LONGEST_SIDE:
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        level = level.resize(image.size, Image.Resampling.BILINEAR)
    small = np.asarray(level, np.float32)
    file = io.BytesIO()
    Image.fromarray(overlay(np.asarray(image), small, heat_scale([small]))).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")
