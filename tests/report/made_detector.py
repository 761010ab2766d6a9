"""A detector that needs no fitting, pictures for it, and evaluations made of given scores."""

import numpy as np
from pydantic import BaseModel
from sklearn.datasets import load_digits

from novelette import calibrate, metrics
from novelette.data.images import Preprocessing, load
from novelette.data.sources import ArraySource
from novelette.evaluate import Evaluation
from novelette.heatmap import smooth, to_picture


class Config(BaseModel):
    widths: tuple[int, ...] = (2, 4)
    learning_rate: float = 0.002


GREY_32 = Preprocessing()


class MeanPicture:
    """Scores by the distance to the mean normal picture: a detector that needs no fitting."""

    method, config, seed = "mean-picture", Config(), 3

    def __init__(self, pictures, preprocessing=GREY_32, rate=0.05):
        self.preprocessing, self.false_alarm_rate = preprocessing, rate
        images = load(ArraySource(pictures), preprocessing).pixels
        self.train = images[len(images) // 3 :]
        self.mean = self.train.mean(axis=(0, 1))
        self.calibration = np.sort(self.score_pixels(images[: len(images) // 3]).astype(np.float64))
        self.provenance = {"source": {"path": "good <parts>", "pictures": len(self.train)}, "versions": {"numpy": "2"}}

    @property
    def threshold(self):
        return calibrate.threshold(self.calibration, self.false_alarm_rate)

    def _error(self, images):
        return np.abs(images.astype(np.float32) - self.mean) / 255

    def score_pixels(self, pixels):
        return self._error(pixels).mean(axis=(2, 3, 4)).max(axis=1).astype(np.float32)

    seen = np.zeros(0, np.uint64)

    def saw(self, hashes):
        return np.isin(hashes, self.seen)

    def heatmap(self, picture):
        from novelette.data.images import prepare

        maps = self._error(prepare(picture, self.preprocessing)).mean(axis=1)
        return to_picture(smooth(maps), self.preprocessing, picture.shape[:2])


def digits():
    """(normal zeros for fitting, pictures to evaluate, their labels): scikit-learn's digits, 8 x 8."""
    data = load_digits()
    images, zero = (data.images * 15).astype(np.uint8), data.target == 0
    return images[zero][:120], np.concatenate([images[zero][120:], images[~zero][:80]]), np.array([0] * 58 + [1] * 80)


def made(scores, labels, threshold=0.5, **changes):
    """An Evaluation of the given scores, without pictures."""
    scores, labels = np.asarray(scores, np.float32), np.asarray(labels)
    both = len(set(labels.tolist())) == 2
    low, high = metrics.auroc_interval(scores, labels, seed=0) if both else (None, None)
    alarms, misses = metrics.rates_at(scores, labels, threshold) if threshold is not None else (np.nan, np.nan)
    fields = {
        "names": tuple(f"n{i}" for i in range(len(scores))),
        "indices": np.arange(len(scores)),
        "scores": scores,
        "labels": labels,
        "threshold": threshold,
        "auroc": metrics.auroc(scores, labels) if both else None,
        "auroc_low": low,
        "auroc_high": high,
        "aupr": metrics.aupr(scores, labels) if both else None,
        "fpr95": metrics.fpr_at_tpr(scores, labels) if both else None,
        "precision": None,
        "false_alarm_rate": None if np.isnan(alarms) else alarms,
        "miss_rate": None if np.isnan(misses) else misses,
        "kinds": (),
        "n_normal": int((labels == 0).sum()),
        "n_novel": int((labels == 1).sum()),
        "seconds": 1.0,
        "unreadable": {},
        "notes": (),
    }
    return Evaluation(**fields | changes)
