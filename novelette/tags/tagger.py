"""A tagger: what pictures are seen by, a vocabulary, and the scorer that some method left."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from torch import nn

from novelette.data.sources import Source
from novelette.methods.feature_knn import Seeing
from novelette.tags.features import Look, Seen, see
from novelette.tags.ranking import ranked


@dataclass(frozen=True)
class Tagger:
    """Everything that suggesting needs; there is no text in it.

    Attributes:
        vocabulary: the tags that it can suggest, more frequent ones first.
        scorer: vectors (Q, F) to scores (Q, K), a `Scorer` of its method.   seeing: pictures to vectors.
        trained_on: content hashes of its training pictures, ascending.   provenance: where it came from.
    """

    method: str
    config: BaseModel
    look: Look
    vocabulary: tuple[str, ...]
    scorer: nn.Module
    seeing: Seeing
    trained_on: NDArray[np.uint64]
    seed: int
    provenance: dict[str, Any] = field(default_factory=dict)

    def see(self, source: Source, *, bar: bool = False) -> Seen:
        """The vectors of a source's pictures.   Raises: InputError when none can be read."""
        return see(source, self.look, self.seeing, self.provenance["perceptual"], work=None, bar=bar)

    def scores(self, seen: Seen) -> NDArray[np.float32]:
        """A score for each picture that was seen and each tag, (N, K)."""
        found: torch.Tensor = self.scorer.scores(seen.vectors)  # type: ignore[operator]
        return found.numpy()

    def suggest(self, scores: NDArray[np.floating], n: int) -> list[list[tuple[str, float]]]:
        """For each picture's scores (N, K) its n likeliest tags, likeliest first, with their scores."""
        first = ranked(scores)[:, :n]
        return [[(self.vocabulary[k], float(own[k])) for k in order] for own, order in zip(scores, first, strict=True)]

    def saw(self, hashes: Sequence[int] | NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which pictures, by content hash (N,), training saw: (N,)."""
        return np.isin(hashes, self.trained_on)
