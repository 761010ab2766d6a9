"""The network that a bundle holds: from uint8 pixels to score, p-value, label and heat map, in operations that an ONNX graph can hold.

The scorer's layers are exchanged for others that compute the same and are faster as a graph: per-image GroupNorm for InstanceNorm, which
is one operation, and convolutions from or to one pixel for products of matrices, which read their weights once for a batch.
"""

import copy
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import linear

from novelette.detector import Detector
from novelette.methods import feature_knn, knn, piad

TIE = 1e-5  # relative: how far two computations of one score may lie apart and still be the same score
NO_THRESHOLD = -1  # the label where there is none; 0 is normal, and 1 novel


class Graph(nn.Module):
    """A detector from pixels to verdicts. Images of T = tiles² tiles are cut here; their score is the highest tile's.

    Input: uint8 (N, H, W, C), H = W = tiles · size: pictures framed and resized, red first where C = 3.
    Outputs:
        score (N,) float32.   p_value (N,) float32 in (0, 1], NaN without calibration.   label (N,) int64: 0 normal, 1 novel, -1 without
        a threshold.   heatmap, where the method has one, (N, T, S, S) float32 from 0, tile by tile, not smoothed.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.scorer = _for_a_graph(detector)
        self.scores = self.scorer.module()  # here, so that its tensors are the graph's
        self.verdict = Verdict(detector.calibration, detector.threshold)
        self.tiles, self.size = detector.preprocessing.tiles, detector.preprocessing.size

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        n, tiles, size, channels = pixels.shape[0], self.tiles, self.size, pixels.shape[3]
        cut = pixels.reshape(n, tiles, size, tiles, size, channels).permute(0, 1, 3, 5, 2, 4)
        x = cut.reshape(n * tiles**2, channels, size, size).to(torch.float32).div(127.5).sub(1)  # data.images.as_tensor
        score = self.scores(x).reshape(n, tiles**2).amax(1)
        p_value, label = self.verdict(score)
        heat = self.scorer.heatmap(x)
        return (score, p_value, label) if heat is None else (score, p_value, label, heat.reshape(n, tiles**2, size, size))


class Verdict(nn.Module):
    """Scores (N,) to p-values (N,) and labels (N,): novelette.calibrate as a graph.

        p(s) = (1 + #{c ≥ s}) / (n + 1),  c the n calibration scores;   label 1 where s lies above the threshold, one of the c

    A calibration picture that is scored again has to meet its own score, which other arithmetic gives in slightly other digits. So every c
    is raised by TIE of itself. The count takes two steps of √n comparisons: which row of a sorted square, then where in the row.
    """

    rows: Tensor

    def __init__(self, calibration: NDArray[np.float64], threshold: float | None) -> None:
        super().__init__()
        self.n, self.threshold = len(calibration), None if threshold is None else float(_raised(np.array([threshold]))[0])
        side = max(1, math.isqrt(max(0, self.n - 1)) + 1)
        square = np.full(side * side, -np.inf, np.float32)  # what fills the square up is at least no score
        square[side * side - self.n :] = _raised(calibration)
        self.register_buffer("rows", torch.from_numpy(square.reshape(side, side)))

    def forward(self, score: Tensor) -> tuple[Tensor, Tensor]:
        label = torch.full_like(score, NO_THRESHOLD, dtype=torch.int64) if self.threshold is None else (score > self.threshold).long()
        if self.n == 0:
            return torch.full_like(score, torch.nan), label
        side = len(self.rows)
        row = (self.rows[:, -1] < score[:, None]).sum(1).clamp(max=side - 1)
        at_least = (side - 1 - row) * side + (self.rows[row] >= score[:, None]).sum(1)
        return (1 + at_least).to(torch.float32) / (self.n + 1), label


class AsMatrix(nn.Module):
    """A convolution between one pixel and k x k pixels, stride 1 and no bias, as a product of matrices.

    Args: layer: Conv2d whose input is k x k, or ConvTranspose2d whose input is 1 x 1; k its kernel.
    """

    def __init__(self, layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        weight, to_one = layer.weight.detach(), isinstance(layer, nn.Conv2d)
        self.shape = (weight.shape[0], 1, 1) if to_one else weight.shape[1:]
        self.weight = nn.Parameter((weight.flatten(1) if to_one else weight.flatten(1).T).contiguous())

    def forward(self, x: Tensor) -> Tensor:
        return linear(x.flatten(1), self.weight).unflatten(1, self.shape)


class AllAtOnce(nn.Module):
    """A kNN scorer's distances and heat maps over all training images at once, where knn.nearest goes block by block."""

    images: Tensor

    def __init__(self, scorer: knn.Scorer) -> None:
        super().__init__()
        self.config = scorer.config
        self.register_buffer("images", scorer.neighbours.images)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, S, S) in [-1, 1] to the mean, or k-th, distance to the k nearest training images, (N,)."""
        distances, _ = self._nearest(knn.vectors(x, self.config.metric))
        return distances.mean(1) if self.config.reduce == "mean" else distances[:, -1]

    def module(self) -> nn.Module:
        return self

    def heatmap(self, x: Tensor) -> Tensor:
        """knn.Scorer.heatmap: (N, C, S, S) -> (N, S, S). The search is the score's own, which a graph holds once."""
        queries = knn.vectors(x, self.config.metric)
        _, index = self._nearest(queries)
        return (queries - self._rows()[index[:, 0]]).abs().view_as(x).mean(1)

    def _rows(self) -> Tensor:
        return knn.vectors(self.images.to(torch.float32).div(127.5).sub(1), self.config.metric)

    def _nearest(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        return _nearest(queries, self._rows(), self.config.k)


class AllFeaturesAtOnce(nn.Module):
    """A feature-kNN scorer's distances and heat maps over the vectors of all training images at once."""

    vectors: Tensor

    def __init__(self, scorer: feature_knn.Scorer) -> None:
        super().__init__()
        self.k, self.seeing = scorer.config.k, scorer.scoring.seeing
        self.register_buffer("vectors", scorer.scoring.vectors)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, S, S) in [-1, 1] to the mean distance to the k nearest training images, (N,)."""
        return _nearest(self.seeing(x), self.vectors, self.k)[0].mean(1)

    def module(self) -> nn.Module:
        return self

    def heatmap(self, x: Tensor) -> Tensor:
        """feature_knn.Scorer.heatmap: (N, C, S, S) -> (N, S, S)."""
        f = self.seeing.positions(x)
        _, index = _nearest(self.seeing(x), self.vectors, self.k)
        return feature_knn.not_shown(f, self.vectors[index[:, 0]], x.shape[-1])


class WholeBatch(nn.Module):
    """A PIAD scorer's scores and heat maps of a batch of any size at once, where the scorer goes part by part."""

    def __init__(self, scorer: piad.Scorer) -> None:
        super().__init__()
        self.scoring = scorer.scoring

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, S, S) in [-1, 1] to scores (N,)."""
        out: Tensor = self.scoring(x)
        return out

    def module(self) -> nn.Module:
        return self

    def heatmap(self, x: Tensor) -> Tensor:
        """piad.Scorer.heatmap: (N, C, S, S) -> (N, S, S). E, G and the layers that look are the score's own, which a graph holds once."""
        return self.scoring.heatmap(x)


def _nearest(queries: Tensor, rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest of twice as many candidates, their distances from differences, as in knn.nearest: (N, k) each, nearest first."""
    k = min(k, len(rows))
    apart = rows.square().sum(1) - 2 * linear(queries, rows)
    candidates = apart.topk(min(2 * k, len(rows)), largest=False)[1]
    exact = (rows[candidates] - queries[:, None]).norm(dim=2)
    distances, order = exact.topk(k, largest=False)
    return distances, candidates.gather(1, order)


def _for_a_graph(detector: Detector) -> Any:
    """A copy of a detector's scorer whose layers a graph holds well."""
    if isinstance(detector.scorer, knn.Scorer):
        return AllAtOnce(detector.scorer)
    if isinstance(detector.scorer, feature_knn.Scorer):
        return AllFeaturesAtOnce(detector.scorer)
    if isinstance(detector.scorer, piad.Scorer):
        return WholeBatch(detector.scorer)
    scorer = copy.deepcopy(detector.scorer)
    module = scorer.module()
    assert module is not None
    _exchange(module)
    return scorer


def _exchange(net: nn.Module) -> None:
    """Exchange the layers of a network for those of this module, in place."""
    for name, layer in net.named_children():
        if isinstance(layer, nn.GroupNorm) and layer.num_groups == layer.num_channels:
            per_image = nn.InstanceNorm2d(layer.num_channels, eps=layer.eps, affine=True)
            per_image.load_state_dict(layer.state_dict())
            setattr(net, name, per_image)
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and _between_4_px_and_1(layer):
            setattr(net, name, AsMatrix(layer))
        else:
            _exchange(layer)


def _between_4_px_and_1(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether it is the first or last convolution of novelette.nets."""
    return (layer.kernel_size, layer.stride, layer.padding, layer.bias) == ((4, 4), (1, 1), (0, 0), None)


def _raised(scores: NDArray[np.float64]) -> NDArray[np.float32]:
    return (scores + TIE * np.abs(scores)).astype(np.float32)
