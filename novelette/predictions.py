"""What a detector says of pictures, whether torch computed it or a bundle's graph."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Predictions:
    """What a detector says of pictures, in their order.

    Attributes:
        names: of the readable pictures.   score: (n,) float32.   p_value: (n,) in (0, 1], NaN without calibration.
        novel: (n,) bool, p ≤ the false-alarm rate; None without a threshold.
        unreadable: name -> why, of the pictures that could not be read.
    """

    names: list[str]
    score: NDArray[np.float32]
    p_value: NDArray[np.float64]
    novel: NDArray[np.bool_] | None
    unreadable: dict[str, str]
