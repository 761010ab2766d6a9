"""A fitted classifier: a detector of what belongs to none of its classes that also says which class."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from novelette import accounting
from novelette.classify.certainty import Scorer
from novelette.data.images import as_tensor, stream
from novelette.data.sources import Source, open_source
from novelette.detector import FORWARD, Detector
from novelette.predictions import Predictions
from novelette.progress import progress


class Read(NamedTuple):
    """What a classifier reads of a source's readable pictures.

    Attributes: indices: (n,) into the source.   hashes: of their contents, (n,).   probability: (n, K).   score: (n,).
    """

    indices: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    probability: NDArray[np.float32]
    score: NDArray[np.float32]
    unreadable: dict[int, str]


@dataclass(frozen=True)
class Classifier:
    """A network with the names of its classes.

    Attributes:
        detector: of pictures that belong to none of the classes; its scorer holds the network.
        player: the network's kind, such as mlp.
        classes: names, in the order of probabilities.
    """

    detector: Detector
    player: str
    classes: tuple[str, ...]

    @property
    def scorer(self) -> Scorer:
        assert isinstance(self.detector.scorer, Scorer)
        return self.detector.scorer

    @property
    def net(self) -> nn.Module:
        """Images (N, C, S, S) in [-1, 1] to scores (N, K)."""
        return self.scorer.reading.net

    def to(self, device: torch.device) -> "Classifier":
        """Move the network, in place."""
        self.detector.to(device)
        return self

    def read_pixels(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities (N, K) and scores (N,) of prepared pictures, uint8 (N, 1, C, S, S)."""
        found = [self.scorer.both(as_tensor(pixels[i : i + FORWARD, 0], self.detector.device)) for i in range(0, len(pixels), FORWARD)]
        probability, score = (torch.cat(values).float().cpu().numpy() for values in zip(*found, strict=True))
        return probability, score

    def read(self, source: Source, *, show: Callable[[int], None] | None = None) -> Read:
        """Every readable picture, streaming."""
        unreadable: dict[int, str] = {}
        indices, hashes = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
        probability, score = [np.zeros((0, len(self.classes)), np.float32)], [np.zeros(0, np.float32)]
        for chunk in stream(source, self.detector.preprocessing, unreadable=unreadable, progress=show):
            indices.append(chunk.indices)
            hashes.append(chunk.hashes)
            p, s = self.read_pixels(chunk.pixels)
            probability.append(p)
            score.append(s)
        return Read(np.concatenate(indices), np.concatenate(hashes), np.concatenate(probability), np.concatenate(score), unreadable)

    def predict(self, images: Any, *, bar: bool = False) -> Predictions:
        """The class of each picture of a folder, a file, an array or a Source, and whether it belongs to none."""
        source = open_source(images)
        with progress("classify", len(source), shown=bar) as show:
            read = self.read(source, show=show)
        judged = self.detector.judge(read.score)
        return Predictions.of(source, read.indices, read.score, *judged, read.unreadable, read.probability, self.classes)

    @torch.inference_mode()
    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Images (N, C, S, S) in [-1, 1] to a score for each class, (N, K)."""
        scores: torch.Tensor = self.net(x)
        return scores

    def cost(self) -> accounting.Cost:
        """What telling the class of one image takes; what tells whether it has none is not counted."""
        how = self.detector.preprocessing
        return accounting.count(self.net, torch.zeros(1, how.channels, how.size, how.size, device=self.detector.device))

    def describe(self) -> dict[str, Any]:
        """What is known of a classifier without a look at the clock or the disk."""
        said = self.detector.describe()
        return {"method": said.pop("method"), "player": self.player, "classes": list(self.classes)} | said | asdict(self.cost())
