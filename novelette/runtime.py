"""Scores pictures with an exported detector: numpy, Pillow and onnxruntime, no torch.

    from novelette import runtime
    detector = runtime.load("part.bundle")
    print(detector.predict("new_parts/").novel)

Pictures are decoded, framed and resized by the code that prepared them for training. The graph does the rest.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from novelette import bundle, heatmap
from novelette.data.framing import uncut
from novelette.data.images import Preprocessing, prepare, stream
from novelette.data.sources import Source, open_source
from novelette.errors import InputError
from novelette.predictions import Predictions
from novelette.progress import progress

BATCH_SIZE = 256  # images of one run of the graph, tiles counted: bounds memory, and scores do not depend on it
SMALLEST_PART = 32  # images that are worth a thread of their own
SCORED = ["score", "p_value", "label"]  # what is asked of the graph where no heat map is


class Verdicts(NamedTuple):
    """What the graph says of n images.

    Attributes:
        score, p_value: (n,) float32.   label: (n,) int64: 1 novel, 0 normal, -1 no threshold.
        probability: (n, K) float32, of each of K classes; K = 0 for a detector, which knows none.
    """

    score: NDArray[np.float32]
    p_value: NDArray[np.float32]
    label: NDArray[np.int64]
    probability: NDArray[np.float32]

    def finite(self) -> "Verdicts":
        """Those on images that have a score: one that is no finite number says nothing."""
        told = np.isfinite(self.score)
        return Verdicts(self.score[told], self.p_value[told], self.label[told], self.probability[told])


def nothing(classes: int) -> Verdicts:
    """The verdicts on no image."""
    none = np.zeros(0, np.float32)
    return Verdicts(none, none, np.zeros(0, np.int64), np.zeros((0, classes), np.float32))


class Runtime:
    """An exported detector or classifier, ready to score. `card` is what bundle.json says, `classes` the names of a classifier's.

    A run of the graph takes one thread; `threads` runs go on side by side, since for a small network a core to itself is faster than two
    that wait for each other in every layer.

    Args: threads: 1 or more.   batch_size: images of one run, a picture's tiles counted, 1 or more.
    Raises: InputError when this onnxruntime cannot run the graph, or a number is below 1.
    """

    def __init__(self, read: bundle.Bundle, *, threads: int, batch_size: int = BATCH_SIZE) -> None:
        for option, value in (("threads", threads), ("batch size", batch_size)):
            if value < 1:
                raise InputError(f"{option} {value} is too small: give 1 or more")
        self.card, self.threads, self.batch_size = read.card, threads, batch_size
        self.classes = read.card.classes if isinstance(read.card, bundle.ClassifierCard) else ()
        self._session = _session(read.model)
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    @property
    def method(self) -> str:
        """The name of the method that was fitted."""
        return self.card.method

    @property
    def preprocessing(self) -> Preprocessing:
        """How a picture becomes an image."""
        return self.card.preprocessing

    @property
    def threshold(self) -> float | None:
        """The score above which a picture is called novel."""
        return self.card.threshold

    @property
    def calibration(self) -> NDArray[np.float64]:
        """Scores of normal pictures that the detector was not trained on, sorted, (n,)."""
        return np.array(self.card.calibration, np.float64)

    def run(self, images: NDArray[np.uint8]) -> Verdicts:
        """Score images, the graph's own input: uint8 (n, H, W, C), as bundle.json states H, W and C.

        Raises: ValueError for another type or shape.
        """
        shape = self.card.inputs[0].shape[1:]
        if images.dtype != np.uint8 or images.shape[1:] != shape:
            raise ValueError(f"images are uint8 (n, {', '.join(map(str, shape))}), not {images.dtype} {images.shape}")
        if len(images) == 0:
            return nothing(len(self.classes))
        parts = self._parts(images)
        if len(parts) == 1 or self._pool is None:
            found = [self._verdicts(part) for part in parts]
        else:
            found = list(self._pool.map(self._verdicts, parts))
        return found[0] if len(found) == 1 else _joined(found)

    def predict(self, images: Any, *, bar: bool = False) -> Predictions:
        """Score, p-value and verdict of each picture of a folder, a file, an array or a Source, streaming.

        Raises: InputError when there is no picture there, or none can be read.
        """
        source = open_source(images)
        with progress("score", len(source), shown=bar) as show:
            indices, found, unreadable = self._scored(source, show)
        p_value = found.p_value.astype(np.float64)
        novel = None if self.threshold is None else found.label == 1
        of_classes = (found.probability, self.classes) if self.classes else ()
        return Predictions.of(source, indices, found.score, p_value, novel, unreadable, *of_classes)

    def score(self, images: Any) -> NDArray[np.float32]:
        """Scores of the readable pictures of whatever `predict` takes: (N,)."""
        return self.predict(images).score

    def heatmap(self, picture: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Where a picture (H, W) or (H, W, 3) is novel: (H, W) float32 from 0, smoothed; None where the method cannot say."""
        if self.card.output("heatmap") is None:
            return None
        image = uncut(prepare(picture, self.preprocessing)[None])
        asked = {given.name: np.array(True) for given in self.card.inputs if given.name == "with_heatmap"}  # older graphs compute it anyway
        maps = self._session.run(["heatmap"], {"pixels": image, **asked})[0][0]
        return heatmap.to_picture(heatmap.smooth(maps), self.preprocessing, (picture.shape[0], picture.shape[1]))

    def _scored(self, source: Source, show: Callable[[int], None]) -> tuple[NDArray[np.int64], Verdicts, dict[int, str]]:
        unreadable: dict[int, str] = {}
        indices, found = [np.zeros(0, np.int64)], [nothing(len(self.classes))]
        chunk_size = self.threads * self.batch_size
        for chunk in stream(source, self.preprocessing, chunk_size=chunk_size, unreadable=unreadable, progress=show):
            indices.append(chunk.indices)
            found.append(self.run(uncut(chunk.pixels)))
        return np.concatenate(indices), _joined(found), unreadable

    def _parts(self, images: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        """Images (n, ...) in parts of at most a batch, as many as there are threads where n is small."""
        tiles = self.preprocessing.tiles**2
        step = min(max(1, self.batch_size // tiles), max(-(-SMALLEST_PART // tiles), -(-len(images) // self.threads)))
        return [images[i : i + step] for i in range(0, len(images), step)]

    def _verdicts(self, images: NDArray[np.uint8]) -> Verdicts:
        if self.classes:
            return Verdicts(*self._session.run([*SCORED, "probability"], {"pixels": images}))
        score, p_value, label = self._session.run(SCORED, {"pixels": images})
        return Verdicts(score, p_value, label, np.zeros((len(images), 0), np.float32))


def load(path: str | Path, *, threads: int | None = None, batch_size: int = BATCH_SIZE) -> Runtime:
    """Read a bundle and make it ready.

    Args: threads: runs of the graph at a time; as many as this process has cores if not given.   batch_size: images of one run.
    Raises: InputError when the bundle is missing, damaged or of a newer schema, or onnxruntime cannot run it.
    """
    return Runtime(bundle.read(path), threads=cores() if threads is None else threads, batch_size=batch_size)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _session(model: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it has to say of a graph that it refuses is in the exception
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions have no common class
        raise InputError(f"onnxruntime {ort.__version__} cannot run this graph ({type(error).__name__}): update onnxruntime") from error


def _joined(found: Sequence[Verdicts]) -> Verdicts:
    return Verdicts(*map(np.concatenate, zip(*found, strict=True)))
