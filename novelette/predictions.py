"""What a detector or a classifier says of pictures, whether torch computed it or a bundle's graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from novelette.data.sources import Source

NO_SCORE = "its score is not a finite number, and says nothing"  # why it is left out


@dataclass(frozen=True)
class Predictions:
    """What a detector says of pictures, in their order.

    Attributes:
        names: of the pictures that have a score.   score: (n,) float32, finite.   p_value: (n,) in (0, 1], NaN without calibration.
        novel: (n,) bool, p ≤ the false-alarm rate; None without a threshold.
        unreadable: name -> why, of the pictures that could not be read, or have no finite score.
        probability: (n, K) of each class, where a classifier says it; novel is then what belongs to none of them.   classes: their names.
    """

    names: list[str]
    score: NDArray[np.float32]
    p_value: NDArray[np.float64]
    novel: NDArray[np.bool_] | None
    unreadable: dict[str, str]
    probability: NDArray[np.float32] | None = None
    classes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        source: Source,
        indices: NDArray[np.int64],
        score: NDArray[np.float32],
        p_value: NDArray[np.float64],
        novel: NDArray[np.bool_] | None,
        unreadable: Mapping[int, str],
        probability: NDArray[np.float32] | None = None,
        classes: tuple[str, ...] = (),
    ) -> "Predictions":
        """What is said of the readable pictures `indices`, (n,), of a source, less those without a finite score."""
        told = np.isfinite(score)
        left_out = {int(i): NO_SCORE for i in indices[~told]} | dict(unreadable)
        return cls(
            [source.names[i] for i in indices[told]],
            score[told],
            p_value[told],
            None if novel is None else novel[told],
            {source.names[i]: why for i, why in sorted(left_out.items())},
            None if probability is None else probability[told],
            classes,
        )

    @property
    def label(self) -> list[str]:
        """The most probable class of each picture; [] where nothing is said of classes."""
        return [] if self.probability is None else [self.classes[k] for k in self.probability.argmax(1)]


def without_rank(scores: NDArray[np.floating], names: Sequence[str]) -> str | None:
    """What is said of the first score that is not finite, of (N,): it can be compared with no other. None where all are finite."""
    strange = np.flatnonzero(~np.isfinite(scores))
    return f"the score of {names[strange[0]]} is {scores[strange[0]]}, which cannot be compared" if len(strange) else None
