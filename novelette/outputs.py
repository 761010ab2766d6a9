"""What `novelette score` writes: tables of scores, and heat maps laid over the pictures."""

import csv
import io
import json
import math
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from novelette import heatmap
from novelette.data.images import ColourPicture
from novelette.data.sources import FolderSource, Source, SubsetSource, UnreadablePicture
from novelette.errors import InputError
from novelette.files import check_writable, write_file
from novelette.predictions import Predictions
from novelette.progress import progress
from novelette.words import counted

PAGE = "index.html"
LONGEST = 255  # bytes of a name, on most file systems
SCALED_BY = 64  # pictures that set the common colour scale of a folder of heat maps


class Mapper(Protocol):
    """The part of a Detector, or of a Runtime, that heat maps need."""

    @property
    def method(self) -> str: ...
    def heatmap(self, picture: NDArray[np.uint8]) -> NDArray[np.float32] | None: ...


def check(output: Path | None, heatmaps: Path | None = None, *, endings: tuple[str, ...] = (".csv", ".jsonl"), force: bool) -> None:
    """Refuse, before any work, outputs that cannot or must not be written. Raises: InputError."""
    if output is not None and output.suffix not in endings:
        raise InputError(f"-o {output} must end in {' or '.join(endings)}")
    for path in (output, heatmaps):
        if path is None:
            continue
        if path.exists() and not force and not (path.is_dir() and not any(path.iterdir())):
            over = "replace it" if path is output else "write maps into it, replacing those of the same names"
            raise InputError(f"{path} exists: give --force to {over}, or give another name")
        if path.exists() and path.is_dir() != (path is heatmaps):
            raise InputError(f"{path} is {'a folder' if path.is_dir() else 'a file'} and cannot be replaced: give another name")
        check_writable(path if path.is_dir() else path.absolute().parent)


def check_report(folder: Path | None, *, force: bool) -> None:
    """Refuse, before any work, a folder that a report cannot or must not be written to. Raises: InputError."""
    if folder is None:
        return
    if (folder / PAGE).exists() and not force:
        raise InputError(f"{folder / PAGE} exists: give --force to replace it, or another -o")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, and a report is a folder: give another -o")
    check_writable(folder)


def check_heatmaps(detector: Mapper) -> None:
    """Refuse, before any work, heat maps of a method that has none.   Raises: InputError."""
    if detector.heatmap(np.zeros((32, 32), np.uint8)) is None:
        raise InputError(f"{detector.method} cannot say where a picture is novel: leave out --heatmaps")


def rows(predictions: Predictions, *, every: bool = False) -> Iterator[dict[str, Any]]:
    """A row a readable picture, in order; null p-value and verdict where there is no calibration or threshold.

    A classifier's have the most probable class too, and `unknown` in place of `novel`.

    Args: every: with the probability of every class.
    """
    of_classes, labels, verdict = predictions.probability, predictions.label, "novel" if predictions.probability is None else "unknown"
    for i, name in enumerate(predictions.names):
        p = float(predictions.p_value[i])
        row: dict[str, Any] = {"path": name}
        if of_classes is not None:
            row |= {"label": labels[i], "probability": float(of_classes[i].max())}
        row |= {
            "score": float(predictions.score[i]),
            "p_value": None if math.isnan(p) else p,
            verdict: None if predictions.novel is None else bool(predictions.novel[i]),
        }
        if every and of_classes is not None:
            row |= {f"probability of {k}": float(share) for k, share in zip(predictions.classes, of_classes[i], strict=True)}
        yield row


def columns(predictions: Predictions, *, every: bool = False) -> list[str]:
    """The names of a row's values."""
    if predictions.probability is None:
        return ["path", "score", "p_value", "novel"]
    own = ["path", "label", "probability", "score", "p_value", "unknown"]
    return own + [f"probability of {k}" for k in predictions.classes if every]


def csv_text(predictions: Predictions, *, every: bool = False) -> str:
    """The rows as CSV; nulls are empty, `novel` and `unknown` are true or false."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns(predictions, every=every))
    for row in rows(predictions, every=every):
        writer.writerow([_cell(name, value) for name, value in row.items()])
    return text.getvalue()


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if name == "score" else f"{value:.6g}" if isinstance(value, float) else str(value)


def write(predictions: Predictions, output: Path, *, every: bool = False) -> None:
    """Write the rows as CSV or JSON lines, by the file's ending, whole or not at all.   Args: every: as of `rows`."""
    if output.suffix == ".csv":
        write_file(output, csv_text(predictions, every=every))
    else:
        write_file(output, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows(predictions, every=every)))


def sentence(predictions: Predictions, i: int) -> str:
    """One picture in words."""
    if predictions.probability is not None:
        return _class_sentence(predictions, i)
    p, novel = predictions.p_value[i], predictions.novel
    verdict = "" if novel is None else ", novel" if novel[i] else ", normal"
    return f"{predictions.names[i]}: score {predictions.score[i]:.6g}" + ("" if math.isnan(p) else f", p = {p:.4g}") + verdict


def _class_sentence(predictions: Predictions, i: int) -> str:
    assert predictions.probability is not None
    label, share = predictions.label[i], float(predictions.probability[i].max())
    if predictions.novel is not None and predictions.novel[i]:
        return f"{predictions.names[i]}: unknown, most like {label} (probability {share:.3f}, p = {predictions.p_value[i]:.4g})"
    return f"{predictions.names[i]}: {label}, probability {share:.3f}"


def summary(predictions: Predictions) -> str:
    """How many pictures, and how many are novel, or of no class that is known."""
    count, verdict = counted(len(predictions.names), "picture"), "novel" if predictions.probability is None else "unknown"
    if predictions.novel is None:
        return f"{count}; without a threshold none is called {verdict}"
    return f"{count}, {int(predictions.novel.sum()):,} {verdict}"


def write_heatmaps(detector: Mapper, source: Source, folder: Path, *, bar: bool = False) -> int:
    """Write PATH.png for every readable picture: the picture with its heat map laid over, all on one colour scale.

    Args: detector: that has heat maps (`check_heatmaps`).
    Returns: how many.   Raises: InputError that names a map that cannot be written.
    """
    step = max(1, len(source) // SCALED_BY)
    sample = [_small(heat) for _, _, heat in _maps(detector, SubsetSource(source, range(0, len(source), step)))]
    scale = heatmap.heat_scale(sample)
    count = 0
    with progress("heat maps", len(source), shown=bar) as show:
        for name, picture, heat in _maps(detector, source):
            shown = io.BytesIO()
            Image.fromarray(heatmap.overlay(picture, heat, scale)).save(shown, "PNG")
            write_file(folder / _below(name), shown.getvalue())
            count += 1
            show(count)
    return count


def without_maps(source: Source, heatmaps: Path | None) -> Source:
    """The pictures of a folder without those below the folder of its heat maps, which an earlier run has put there.

    Raises: InputError when there are no others.
    """
    if heatmaps is None or not isinstance(source, FolderSource) or source.listed:
        return source
    root, maps = Path(os.path.realpath(source.root)), os.path.realpath(heatmaps)
    kept = [i for i, file in enumerate(source.files) if not (root / file).is_relative_to(maps)]
    if not kept:
        raise InputError(f"--heatmaps {heatmaps} holds all pictures of the source, and what lies there is not scored: give another folder")
    return source if len(kept) == len(source) else SubsetSource(source, kept)


def _below(name: str) -> Path:
    """A picture's name as a path that stays below whatever folder it is put in: x/a.jpg -> x/a.jpg.png."""
    parts = PurePath(name + ".png").parts
    return Path(*("_" if part == ".." else _short(part) for part in parts if part != PurePath(name).anchor))


def _short(part: str) -> str:
    """A name of a file or folder; one that is longer than file systems take is cut, and told apart from its like by its hash."""
    if len(part.encode()) <= LONGEST:
        return part
    return part.encode()[: LONGEST - 60].decode(errors="ignore") + f"-{sha256(part.encode()).hexdigest()[:32]}{part[-4:]}"


def _small(heat: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every so manyth pixel, at most 256 a side: enough for a scale."""
    step = -(-max(heat.shape) // 256)
    return heat[::step, ::step].copy()


def _maps(detector: Mapper, source: Source) -> Iterator[tuple[str, Any, Any]]:
    for i, name in enumerate(source.names):
        try:
            picture = source.read(i)
            heat = detector.heatmap(picture)
        except (UnreadablePicture, ColourPicture):
            continue  # `score` has listed it
        assert heat is not None
        yield name, picture, heat
