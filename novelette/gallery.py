"""The pictures of a report: the most and least novel ones and the mistakes, each with its heat map beside it."""

import base64
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from novelette.calibrate import p_values
from novelette.data.images import UnreadablePicture
from novelette.data.sources import Source
from novelette.evaluate import Evaluation
from novelette.heatmap import heat_scale, overlay
from novelette.localization import mask_of

MOST = 8  # pictures in each gallery: four galleries with heat maps stay under 3 MB
THUMBNAIL = 240  # px, the longest side
PIXELATED = 96  # px; pictures up to this size are stored exactly and shown with square pixels
OUTLINE = (60, 220, 90)
_BREAKABLE = re.compile(r"([/_-])")  # where a long name may go on in the next line


class Explaining(Protocol):
    """The part of a Detector that a gallery needs."""

    @property
    def calibration(self) -> NDArray[np.float64]: ...
    def heatmap(self, picture: NDArray[np.uint8]) -> NDArray[np.float32] | None: ...


@dataclass(frozen=True)
class Choice:
    """A gallery before its pictures are read: positions among the evaluated pictures, and words for an empty one."""

    title: str
    text: str
    chosen: Sequence[int]
    empty: str


@dataclass(frozen=True, eq=False)
class Shot:
    """A picture small enough for the page, uint8 (h, w) or (h, w, 3), its heat and the mask that stands beside it, (h, w), or None."""

    picture: NDArray[np.uint8]
    heat: NDArray[np.float32] | None
    mask: NDArray[np.bool_] | None = None


def galleries(detector: Explaining, evaluation: Evaluation, source: Source) -> str:
    """All galleries as HTML. Pictures are read from the source one by one, and one scale of heat serves them all."""
    choices = list(choose(evaluation))
    shots = _shots(detector, evaluation, source, {i for choice in choices for i in choice.chosen})
    maps = [shot.heat for shot in shots.values() if shot.heat is not None]
    scale = heat_scale(maps)
    p = p_values(evaluation.scores, detector.calibration) if len(detector.calibration) else None
    cards = {i: _card(evaluation, i, shot, scale, None if p is None else float(p[i])) for i, shot in shots.items()}
    parts = []
    for choice in choices:
        shown = "".join(cards[i] for i in choice.chosen if i in cards)
        body = f'<div class="gallery">{shown}</div>' if shown else f'<p class="none">{choice.empty}</p>'
        parts.append(f"<section><h2>{choice.title}</h2><p>{choice.text}</p>{body}</section>")
    outlines = "; masks are outlined in green" if any(shot.mask is not None for shot in shots.values()) else ""
    legend = f'<p class="heat">Heat maps: usual <i></i> novel, one scale throughout{outlines}</p>' if maps else ""
    return legend + "".join(parts)


def choose(e: Evaluation) -> Iterator[Choice]:
    """The galleries of an evaluation; without a threshold the likeliest mistakes stand for the mistakes."""
    order = np.argsort(e.scores, kind="stable")
    normal, novel = order[e.labels[order] == 0], order[e.labels[order] == 1]
    yield Choice("Most novel", "The highest scores of all, highest first.", order[::-1][:MOST].tolist(), "")
    if e.threshold is None:
        yield Choice("Novel, yet low", "The novel pictures that score lowest.", novel[:MOST].tolist(), "There are none.")
        yield Choice(
            "Normal, yet high",
            "The normal pictures that score highest.",
            normal[::-1][:MOST].tolist(),
            "There are none.",
        )
    else:
        above = e.scores.astype(np.float64) > e.threshold
        misses, alarms = novel[~above[novel]], normal[::-1][above[normal[::-1]]]
        text = f"Novel pictures at or below the threshold: {_of(misses, novel)}, lowest score first."
        yield Choice("Misses", text, misses[:MOST].tolist(), "Every novel picture was caught.")
        text = f"Normal pictures above the threshold: {_of(alarms, normal)}, highest score first."
        yield Choice("False alarms", text, alarms[:MOST].tolist(), "No normal picture was flagged.")
    yield Choice("Least novel", "The lowest scores of all, lowest first.", order[:MOST].tolist(), "")


def _of(part: NDArray[np.integer], whole: NDArray[np.integer]) -> str:
    return f"{len(part):,} of {len(whole):,}"


def _shots(detector: Explaining, e: Evaluation, source: Source, chosen: set[int]) -> dict[int, Shot]:
    """Reads the chosen pictures; one that can no longer be read is left out."""
    shots = {}
    for i in sorted(chosen):
        try:
            picture = source.read(int(e.indices[i]))
        except (UnreadablePicture, OSError):
            continue
        heat = detector.heatmap(picture)
        small = thumbnail(picture)
        mask = mask_of(source, int(e.indices[i]))
        shots[i] = Shot(
            small,
            None if heat is None else _fitted(heat, small.shape[:2]),
            None if mask is None or not mask.any() else _fitted(mask.astype(np.float32), small.shape[:2]) >= 0.5,
        )
    return shots


def thumbnail(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture at no more than THUMBNAIL px."""
    image = Image.fromarray(picture)
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _fitted(heat: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Heat (H, W) at a thumbnail's (h, w)."""
    resized = Image.fromarray(np.asarray(heat, np.float32)).resize((shape[1], shape[0]), Image.Resampling.BOX)
    return np.asarray(resized, np.float32)


def outlined(picture: NDArray[np.uint8], mask: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
    """The picture (h, w, 3) with the border of its mask (h, w) drawn in green, two pixels wide."""
    if mask is None:
        return picture
    padded = np.pad(mask, 1, mode="edge")
    around = np.stack([padded[1 + i : padded.shape[0] - 1 + i, 1 + j : padded.shape[1] - 1 + j] for i in (-1, 0, 1) for j in (-1, 0, 1)])
    out = picture.copy()
    out[np.any(around, axis=0) & ~np.all(around, axis=0)] = OUTLINE
    return out


def _card(e: Evaluation, i: int, shot: Shot, scale: tuple[float, float], p: float | None) -> str:
    name = escape(e.names[i])
    images = [img(shot.picture, name)]
    if shot.heat is not None:
        images.append(img(outlined(overlay(shot.picture, shot.heat, scale), shot.mask), f"heat map of {name}"))
    kind = "novel" if e.labels[i] else "normal"
    chance = "" if p is None else f", p = {p:.2g}"
    breakable = _BREAKABLE.sub(r"\1<wbr>", name)
    return (
        f'<figure class="card shot"><div class="pair">{"".join(images)}</div><figcaption><span class="badge {kind}">{kind}</span> '
        f"{breakable}<small>score {e.scores[i]:.4g}{chance}</small></figcaption></figure>"
    )


def img(pixels: NDArray[np.uint8], alt: str) -> str:
    """An <img> with the picture inside: PNG for a small one, JPEG for a larger one. `alt` is escaped already."""
    small, file = max(pixels.shape[:2]) <= PIXELATED, io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG" if small else "JPEG", quality=82, optimize=True)
    text = base64.b64encode(file.getvalue()).decode("ascii")
    return f'<img class="{"small" if small else "large"}" alt="{alt}" src="data:image/{"png" if small else "jpeg"};base64,{text}">'
