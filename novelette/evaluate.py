"""The honest figures of a detector on labelled pictures, with plain k-nearest-neighbours on the same pictures beside them."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from novelette import metrics
from novelette.calibrate import with_mates
from novelette.data.images import Preprocessing, as_tensor, stream
from novelette.data.sources import Source
from novelette.errors import InputError
from novelette.predictions import without_rank

NEIGHBOURS = 5  # k of both kNNs, as in the published comparisons
BLOCK = 256  # images that a kNN sees at a time

Score = Callable[[NDArray[np.uint8]], NDArray[np.float32]]  # prepared pictures (n, T, C, S, S) -> scores (n,)


class Scoring(Protocol):
    """The part of a Detector that an evaluation needs."""

    @property
    def preprocessing(self) -> Preprocessing: ...
    @property
    def threshold(self) -> float | None: ...
    def score_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]: ...
    def saw(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]: ...


class Beside(NamedTuple):
    """A kNN's AUROC, and the detector's less it, with the standard error of that difference; None with one picture of a kind."""

    name: str
    auroc: float
    difference: float
    error: float | None

    @property
    def sampling(self) -> float:
        """What sampling error explains of the difference, either way (95 %)."""
        return math.inf if self.error is None else metrics.Z_95 * self.error


class Kind(NamedTuple):
    """Novel pictures of a kind, such as those of a folder.

    Attributes: called_novel: how many; None without a threshold.   auroc: against all normal pictures; None without any.
    """

    name: str
    pictures: int
    called_novel: int | None
    auroc: float | None

    def to_json(self) -> dict[str, Any]:
        share = None if self.called_novel is None else self.called_novel / self.pictures
        return {"pictures": self.pictures, "called_novel": self.called_novel, "share": share, "auroc": self.auroc}


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """Scores of labelled pictures, and what they come to. A figure that could not be computed is None, and `notes` says why.

    Attributes:
        names, indices, scores, labels: of the n readable pictures: names; positions in the source (n,); (n,) float32; (n,) of 0 and 1.
        auroc, auroc_low, auroc_high: with its 95 % bootstrap interval.   aupr.   fpr95: false-positive rate at 95 % true positives.
        precision, false_alarm_rate, miss_rate: at the detector's threshold; None without one.
        knn_auroc, knn_cosine_auroc: of k-nearest-neighbours, Euclidean and cosine, on the same pictures.
        knn_difference, knn_difference_error, ...: the detector's AUROC less a kNN's, and the standard error of that: on the same pictures.
        pixel_auroc, mean_picture_auroc, n_masks: of the heat maps against masks, and of |x - mean training picture|, where there are masks.
        kinds: of the novel pictures, the hardest first; none where there are not at least two.
        seconds: that the detector took, decoding included, the kNNs and the interval not.
        unreadable: name -> why, of the pictures that were left out.   notes: sentences for a person.
    """

    names: tuple[str, ...]
    indices: NDArray[np.int64]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    unreadable: dict[str, str]
    notes: tuple[str, ...]
    kinds: tuple[Kind, ...]
    auroc: float | None = None
    auroc_low: float | None = None
    auroc_high: float | None = None
    aupr: float | None = None
    fpr95: float | None = None
    precision: float | None = None
    false_alarm_rate: float | None = None
    miss_rate: float | None = None
    knn_auroc: float | None = None
    knn_cosine_auroc: float | None = None
    knn_difference: float | None = None
    knn_difference_error: float | None = None
    knn_cosine_difference: float | None = None
    knn_cosine_difference_error: float | None = None
    n_normal: int
    n_novel: int
    seconds: float
    threshold: float | None
    pixel_auroc: float | None = None
    mean_picture_auroc: float | None = None
    n_masks: int = 0

    @property
    def beside(self) -> list[Beside]:
        """The kNNs that could be fitted."""
        both = (
            ("Euclidean", self.knn_auroc, self.knn_difference, self.knn_difference_error),
            ("cosine", self.knn_cosine_auroc, self.knn_cosine_difference, self.knn_cosine_difference_error),
        )
        return [Beside(name, area, gap, error) for name, area, gap, error in both if area is not None and gap is not None]

    def to_json(self) -> dict[str, Any]:
        """The figures as a JSON object, flat but for the kinds, null for what could not be computed."""
        of_pictures = ("names", "indices", "scores", "labels", "unreadable", "notes", "kinds")
        out: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in of_pictures}
        out["kinds"] = {kind.name: kind.to_json() for kind in self.kinds}
        return out | {"unreadable": len(self.unreadable), "note": " ".join(self.notes) or None}


def evaluate(
    detector: Scoring,
    source: Source,
    labels: ArrayLike,
    *,
    train: NDArray[np.uint8] | None,
    groups: NDArray[np.int64] | None = None,
    kinds: Sequence[str] | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Score labelled pictures, once, with the detector and with both kNNs, and compute every figure.

    Args:
        source, labels: pictures, and as many labels: 1 novel, 0 normal.
        train: the detector's own training pictures, prepared as it prepares them, uint8 (N, C, S, S) or (N, T, C, S, S), for the kNNs;
            None when they are not at hand.
        groups: (N,), where pictures of one number show the same thing; None where each stands alone.
        kinds: the name of each picture's kind, N; None where they are not known.
        seed: of the bootstrap.   progress: called with the number of pictures done.
    Raises: InputError if the labels do not fit the pictures, no picture can be read, or a score is not finite.
    """
    labels = np.asarray(labels).astype(np.int64)
    if labels.shape != (len(source),):
        raise InputError(f"{len(source)} pictures need as many labels, 0 (normal) or 1 (novel), and {labels.size} were given")
    if len(strange := labels[~np.isin(labels, (0, 1))]):
        raise InputError(f"the label {strange[0]} is neither 0 (normal) nor 1 (novel): give one of these to each picture")
    scored = _score_once(detector, source, knns(train), progress)
    names = tuple(source.names[i] for i in scored.indices)
    if wrong := without_rank(scored.scores["detector"], names):
        raise InputError(f"{wrong}: leave the picture out, or fit the detector again")
    labels = labels[scored.indices]
    n_normal, n_novel = int((labels == 0).sum()), int((labels == 1).sum())
    groups = None if groups is None else groups[scored.indices]
    seen = with_mates(detector.saw(scored.hashes), scored.hashes, groups).sum()
    notes = _notes(train, n_normal, n_novel, int(seen), groups is not None, detector.threshold)
    figures = _figures(scored, labels, detector.threshold, seed)
    return Evaluation(
        names=names,
        indices=scored.indices,
        scores=scored.scores["detector"],
        labels=labels,
        threshold=detector.threshold,
        n_normal=n_normal,
        n_novel=n_novel,
        seconds=scored.seconds,
        unreadable={source.names[i]: why for i, why in sorted(scored.unreadable.items())},
        notes=tuple(notes),
        kinds=() if kinds is None else by_kind(scored.scores["detector"], labels, [kinds[i] for i in scored.indices], detector.threshold),
        **figures,
    )


def by_kind(scores: NDArray[np.float32], labels: NDArray[np.int64], kinds: Sequence[str], threshold: float | None) -> tuple[Kind, ...]:
    """Each kind of the novel pictures by itself, the hardest first; () for fewer than two.   Args: scores, labels, kinds: N each."""
    names, of = np.unique(kinds, return_inverse=True)
    normal, found = labels == 0, []
    for k in np.unique(of[~normal]):
        its = (of == k) & ~normal
        called = None if threshold is None else int((scores[its].astype(np.float64) > threshold).sum())
        area = metrics.auroc(scores[its | normal], labels[its | normal]) if normal.any() else None
        found.append(Kind(str(names[k]), int(its.sum()), called, area))
    return tuple(sorted(found, key=lambda kind: (kind.auroc or 0, kind.called_novel or 0))) if len(found) > 1 else ()


def knns(train: NDArray[np.uint8] | None) -> dict[str, Score]:
    """Both kNNs fitted on prepared pictures: uint8 (N, C, S, S) or (N, T, C, S, S), every tile a neighbour; {} if too few or None.

    Each gives (n, T, C, S, S) its scores (n,): the mean distance to the 5 nearest, the worst of a picture's tiles.
    """
    if train is None or _images(train) < NEIGHBOURS:
        return {}
    import torch

    from novelette.methods import knn

    images = torch.from_numpy(train.reshape(-1, *train.shape[-3:]))
    cpu = torch.device("cpu")

    def scores_of(config: knn.Config) -> Score:
        scorer = knn.fit(images, config, seed=0, device=cpu, run=None)

        def score(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            tiles = pixels.reshape(-1, *pixels.shape[2:])
            parts = [scorer.score(as_tensor(tiles[i : i + BLOCK])).numpy() for i in range(0, len(tiles), BLOCK)]
            return np.concatenate(parts).reshape(pixels.shape[:2]).max(axis=1)

        return score

    return {
        "knn_auroc": scores_of(knn.Config(k=NEIGHBOURS, metric="euclidean")),
        "knn_cosine_auroc": scores_of(knn.Config(k=NEIGHBOURS, metric="cosine")),
    }


@dataclass(frozen=True, eq=False)
class _Scored:
    """What one pass over the pictures left: scores by name, "detector" and the kNNs', each (n,)."""

    indices: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    scores: dict[str, NDArray[np.float32]]
    unreadable: dict[int, str]
    seconds: float


def _score_once(detector: Scoring, source: Source, others: dict[str, Score], progress: Callable[[int], None] | None) -> _Scored:
    """Decode each picture once and show it to the detector and to the others. Raises: InputError if none can be read."""
    unreadable: dict[int, str] = {}
    indices: list[NDArray[np.int64]] = []
    hashes: list[NDArray[np.uint64]] = []
    scores: dict[str, list[NDArray[np.float32]]] = {name: [] for name in ("detector", *others)}
    began, aside = time.perf_counter(), 0.0
    for chunk in stream(source, detector.preprocessing, unreadable=unreadable, progress=progress):
        indices.append(np.asarray(chunk.indices, np.int64))
        hashes.append(chunk.hashes)
        scores["detector"].append(detector.score_pixels(chunk.pixels))
        stopped = time.perf_counter()
        for name, score in others.items():
            scores[name].append(score(chunk.pixels))
        aside += time.perf_counter() - stopped
    seconds = time.perf_counter() - began - aside
    if not indices:
        raise InputError("there are no pictures to evaluate: give a folder with normal/ and novel/ pictures in it")
    joined = {name: np.concatenate(parts) for name, parts in scores.items()}
    return _Scored(np.concatenate(indices), np.concatenate(hashes), joined, unreadable, seconds)


def _figures(scored: _Scored, labels: NDArray[np.int64], threshold: float | None, seed: int) -> dict[str, Any]:
    """The figures that can be computed, by their names in Evaluation."""
    out: dict[str, Any] = {}
    scores = scored.scores["detector"]
    if len(np.unique(labels)) == 2:
        low, high = metrics.auroc_interval(scores, labels, seed=seed)
        out |= {"auroc": metrics.auroc(scores, labels), "auroc_low": low, "auroc_high": high}
        out |= {"aupr": metrics.aupr(scores, labels), "fpr95": metrics.fpr_at_tpr(scores, labels)}
        for name, its in scored.scores.items():
            if name != "detector":
                difference, error = metrics.auroc_difference(scores, its, labels)
                knn = name.removesuffix("_auroc")
                out |= {name: metrics.auroc(its, labels), f"{knn}_difference": difference, f"{knn}_difference_error": _known(error)}
    if threshold is not None:
        out["precision"] = _known(metrics.precision_at(scores, labels, threshold))
        alarms, misses = metrics.rates_at(scores, labels, threshold)
        out |= {"false_alarm_rate": _known(alarms), "miss_rate": _known(misses)}
    return out


def _notes(
    train: NDArray[np.uint8] | None, n_normal: int, n_novel: int, seen: int, grouped: bool, threshold: float | None
) -> Iterator[str]:
    """Sentences on what is missing, or to be taken with care."""
    if not n_normal or not n_novel:
        missing = "normal" if not n_normal else "novel"
        yield f"There are no {missing} pictures, so there is nothing to tell apart: AUROC, AUPR and FPR at 95 % TPR are not computed."
    if train is None:
        yield "The training pictures are not at hand, so the detector could not be compared with k-nearest-neighbours."
    elif _images(train) < NEIGHBOURS:
        yield f"{_images(train)} training pictures are too few for k-nearest-neighbours, which needs {NEIGHBOURS}."
    if seen:
        mates = ", or of a group with one that is" if grouped else ""
        yield (
            f"{seen} of these {n_normal + n_novel} pictures {'is' if seen == 1 else 'are'} also among the training pictures{mates}: "
            "the figures flatter the detector, and kNN still more."
        )
    if threshold is None:
        yield "The detector has no threshold, so it calls nothing novel; `novelette calibrate` sets one from normal pictures."


def _images(train: NDArray[np.uint8]) -> int:
    """How many images, tiles counted one by one, (N, C, S, S) or (N, T, C, S, S) holds."""
    return math.prod(train.shape[:-3])


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
