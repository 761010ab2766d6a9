"""A bundle where an evaluation and its report expect a detector: what ships is what is measured."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from novelette.data.framing import uncut
from novelette.data.images import Preprocessing
from novelette.fitting import configured
from novelette.runtime import Runtime


@dataclass(frozen=True)
class Shipped:
    """A loaded bundle. It names neither its training pictures nor their folder, so none is known to have been seen."""

    runtime: Runtime

    @property
    def method(self) -> str:
        return self.runtime.method

    @property
    def config(self) -> BaseModel:
        config: BaseModel = configured(self.method, self.runtime.card.config)
        return config

    @property
    def preprocessing(self) -> Preprocessing:
        return self.runtime.preprocessing

    @property
    def threshold(self) -> float | None:
        return self.runtime.threshold

    @property
    def false_alarm_rate(self) -> float:
        return self.runtime.card.false_alarm_rate

    @property
    def calibration(self) -> NDArray[np.float64]:
        return self.runtime.calibration

    @property
    def provenance(self) -> dict[str, Any]:
        return self.runtime.card.provenance

    @property
    def seed(self) -> int:
        return self.runtime.card.seed

    def score_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scores of prepared pictures: uint8 (N, T, C, S, S) to float32 (N,)."""
        return self.runtime.run(uncut(pixels)).score

    def saw(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """False for every picture, (N,): a bundle does not know."""
        return np.zeros(len(hashes), bool)

    def heatmap(self, picture: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """As Runtime.heatmap."""
        return self.runtime.heatmap(picture)
