"""A detector: a fitted scorer with the preprocessing, the calibration and the provenance that make its scores mean something."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from torch import Tensor, nn

from novelette import accounting, calibrate, heatmap
from novelette.data.images import Preprocessing, as_tensor, prepare, stream
from novelette.data.sources import Source, open_source
from novelette.predictions import Predictions
from novelette.progress import progress

FORWARD = 256  # images a forward pass: bounds memory, and scores do not depend on it


class Scorer(Protocol):
    """What a method's `fit` returns. Higher scores are more novel; a score never depends on the other images of the batch.

    `keeps_pictures`: whether its state holds training pictures, so that who has the detector has them too.
    """

    keeps_pictures: bool

    def score(self, x: Tensor) -> Tensor:
        """Images (N, C, S, S) in [-1, 1] to novelty (N,)."""

    def score_own(self, x: Tensor) -> Tensor:
        """Novelty of training images, (N,), each as if it had not been among them where the method keeps pictures."""

    def heatmap(self, x: Tensor) -> Tensor | None:
        """Images (N, C, S, S) to where they are novel, (N, S, S) from 0, or None where a method cannot say."""

    def module(self) -> nn.Module | None:
        """The network from images to scores, or None where there is none."""

    def state(self) -> dict[str, Tensor]:
        """Everything that `from_state(config, state, channels, size)` needs."""


class Scored(NamedTuple):
    """Scores of the readable pictures of a source: indices (n,) into it, scores (n,) float32; why the others could not be read."""

    indices: NDArray[np.int64]
    scores: NDArray[np.float32]
    unreadable: dict[int, str]


@dataclass(frozen=True)
class Detector:
    """A scorer that knows its preprocessing, its threshold and where it came from.

    Attributes:
        calibration: scores of held-out normal pictures, (n,) float64, ascending.
        trained_on: content hashes of the pictures that training saw, (N,) uint64, ascending.
        false_alarm_rate: the stated rate on normal pictures, in (0, 1).
        provenance: what it was fitted on and by which software, as written to detector.json.
    """

    method: str
    config: BaseModel
    preprocessing: Preprocessing
    scorer: Scorer
    calibration: NDArray[np.float64]
    trained_on: NDArray[np.uint64]
    false_alarm_rate: float
    seed: int
    provenance: dict[str, Any]

    @property
    def threshold(self) -> float | None:
        """The score above which a picture is called novel; None when there are too few calibration pictures for the rate."""
        return calibrate.threshold(self.calibration, self.false_alarm_rate)

    @property
    def device(self) -> torch.device:
        module = self.scorer.module()
        return torch.device("cpu") if module is None else next(iter(module.state_dict().values())).device

    def to(self, device: torch.device) -> "Detector":
        """Move the scorer, in place."""
        module = self.scorer.module()
        if module is not None:
            module.to(device)
        return self

    def score_pixels(self, pixels: NDArray[np.uint8], *, own: bool = False) -> NDArray[np.float32]:
        """Scores of prepared pictures: uint8 (N, T, C, S, S) to float32 (N,), the worst of a picture's T tiles.

        Args: own: they are the training pictures (Scorer.score_own).
        """
        if len(pixels) == 0:
            return np.zeros(0, np.float32)
        tiles = pixels.reshape(-1, *pixels.shape[2:])
        parts = [tiles[i : i + FORWARD] for i in range(0, len(tiles), FORWARD)]
        scores = torch.cat(self._side_by_side(parts, self.scorer.score_own if own else self.scorer.score)).float().cpu().numpy()
        return scores.reshape(pixels.shape[:2]).max(axis=1)

    def _side_by_side(self, parts: list[NDArray[np.uint8]], score: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """Scores of each part, uint8 (n, C, S, S); on the CPU a part a core.

        A core to itself, with one thread, is faster for small networks than two cores that wait for each other in every layer, and on a
        busy machine a hundred times faster.
        """
        threads, device = torch.get_num_threads(), self.device

        def score_part(part: NDArray[np.uint8]) -> Tensor:
            return score(as_tensor(part, device))

        if device.type != "cpu" or len(parts) < 2 or threads < 2:
            return [score_part(part) for part in parts]
        try:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                return list(pool.map(score_part, parts))
        finally:
            torch.set_num_threads(threads)

    def score_source(self, source: Source, *, progress: Callable[[int], None] | None = None) -> Scored:
        """Scores of every readable picture, streaming: memory does not grow with the number of pictures' pixels."""
        unreadable: dict[int, str] = {}
        indices, scores = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        for chunk in stream(source, self.preprocessing, unreadable=unreadable, progress=progress):
            indices.append(chunk.indices)
            scores.append(self.score_pixels(chunk.pixels))
        return Scored(np.concatenate(indices), np.concatenate(scores), unreadable)

    def score(self, images: Any) -> NDArray[np.float32]:
        """Scores of pictures: a folder, a file, or an array as `open_source` takes it. Returns: (N,) float32, the readable ones."""
        return self.score_source(open_source(images)).scores

    def predict(self, images: Any, *, bar: bool = False) -> Predictions:
        """Score, p-value and verdict of each picture of a folder, a file, an array or a Source."""
        source = open_source(images)
        with progress("score", len(source), shown=bar) as show:
            scored = self.score_source(source, progress=show)
        return Predictions.of(source, scored.indices, scored.scores, *self.judge(scored.scores), scored.unreadable)

    def judge(self, scores: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
        """p-values (N,), NaN without calibration, and whether each score is novel, None without a threshold."""
        if len(self.calibration) == 0:
            return np.full(len(scores), np.nan), None
        p = calibrate.p_values(scores, self.calibration)
        return p, None if self.threshold is None else scores > self.threshold

    def heatmap(self, picture: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Where a picture (H, W) or (H, W, 3) is novel: (H, W) float32 from 0, smoothed; None where the method cannot say."""
        tiles = as_tensor(prepare(picture, self.preprocessing), self.device)
        maps = self.scorer.heatmap(tiles)
        if maps is None:
            return None
        smooth = heatmap.smooth(maps.float().cpu().numpy())
        return heatmap.to_picture(smooth, self.preprocessing, (picture.shape[0], picture.shape[1]))

    def saw(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which pictures, by content hash (N,), training saw: (N,)."""
        return np.isin(hashes, self.trained_on)

    def recalibrated(self, scores: NDArray[np.floating] | None, false_alarm_rate: float) -> "Detector":
        """The same detector with other calibration scores (None keeps them) or another stated rate."""
        calibration = self.calibration if scores is None else np.sort(np.asarray(scores, np.float64))
        return replace(self, calibration=calibration, false_alarm_rate=false_alarm_rate)

    def cost(self) -> accounting.Cost | None:
        """What scoring one image takes; None where the method has no network. A picture of T tiles is T images."""
        module = self.scorer.module()
        size, channels = self.preprocessing.size, self.preprocessing.channels
        return None if module is None else accounting.count(module, torch.zeros(1, channels, size, size, device=self.device))

    def describe(self) -> dict[str, Any]:
        """What is known of a detector without a look at the clock or the disk."""
        cost = self.cost()
        return {
            "method": self.method,
            **({} if cost is None else asdict(cost)),
            "image_size": self.preprocessing.size,
            "channels": self.preprocessing.channels,
            "frame": self.preprocessing.frame,
            "tiles": self.preprocessing.tiles,
            "threshold": self.threshold,
            "false_alarm_rate": self.false_alarm_rate,
            "calibration_pictures": len(self.calibration),
            "contains_training_pictures": self.scorer.keeps_pictures,
            "seed": self.seed,
            "version": self.provenance.get("versions", {}).get("novelette"),
            "config": self.config.model_dump(mode="json"),
            "provenance": self.provenance,
        }
