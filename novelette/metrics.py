"""How well scores tell novel (label 1) from normal (label 0) pictures. Higher scores are more novel; a tie counts half; numpy only.

Throughout: scores (N,) finite floats, labels (N,) of 0 and 1, and a picture is called novel when its score is **above** the threshold.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

Z_95 = 1.959963984540054  # the normal distribution's 97.5 % quantile


def auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC curve, by ranks: the chance that a novel picture outscores a normal one.

        AUROC = (Σ rank(novel) - M (M + 1) / 2) / (M N),    M novel and N normal pictures        (progressive distillation paper, Eq. 1)

    ranks running from 1 over all pictures, tied ones sharing their mean rank. What stands over M N is the number of normal pictures
    below each novel one, ties as a half, and it is counted as such.

    Returns: a number in [0, 1]; 0.5 is chance.
    Raises: ValueError if only one of the two labels is there, or a score is not finite.
    Deviation: the paper's text swaps M and N: the count inside M (M + 1) / 2 is that of the class whose ranks are summed.
    """
    normal, novel = _split(scores, labels)
    return _chance_to_outscore(normal, novel)


def auroc_interval(scores: ArrayLike, labels: ArrayLike, *, seed: int, n_resamples: int = 1000, level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of `auroc`: normal and novel pictures are drawn anew, each with replacement, n_resamples times.

    Returns: (low, high), the (1 ∓ level) / 2 quantiles of the resampled AUROCs.
    Raises: ValueError as `auroc`.
    """
    normal, novel = _split(scores, labels)
    normal, rng = np.sort(normal), np.random.default_rng(seed)
    left, right = np.searchsorted(normal, novel, "left"), np.searchsorted(normal, novel, "right")
    areas, below = np.empty(n_resamples), np.zeros(len(normal) + 1)
    for i in range(n_resamples):
        drawn = np.bincount(rng.integers(0, len(normal), len(normal)), minlength=len(normal))
        np.cumsum(drawn, out=below[1:])  # below[j]: how many drawn normals are among the j lowest
        again = rng.integers(0, len(novel), len(novel))
        areas[i] = (below[left[again]] + below[right[again]]).mean() / (2 * len(normal))
    low, high = np.quantile(areas, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def auroc_difference(a: ArrayLike, b: ArrayLike, labels: ArrayLike) -> tuple[float, float]:
    """AUROC of scores `a` less that of `b` on the same pictures, and its standard error, in closed form (DeLong et al., 1988).

    With ψ = 1, ½, 0 where a novel picture i scores above, as, below a normal one j, and v_i, v_j the means of ψ_a - ψ_b over the others,

        difference = mean v_i = mean v_j,    error² = var(v_i) / M + var(v_j) / N,    M novel and N normal pictures

    Returns: both; the error is NaN with fewer than two pictures of a kind.
    Raises: ValueError as `auroc`.
    """
    of_novel, of_normal = (one - other for one, other in zip(_placements(a, labels), _placements(b, labels), strict=True))
    few = min(len(of_novel), len(of_normal)) < 2
    error = float("nan") if few else float(np.sqrt(of_novel.var(ddof=1) / len(of_novel) + of_normal.var(ddof=1) / len(of_normal)))
    return float(of_novel.mean()), error


def _placements(scores: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Means of ψ: of each novel picture over the normal ones, (M,), and of each normal one over the novel ones, (N,)."""
    normal, novel = _split(scores, labels)
    below, above = np.sort(normal), np.sort(novel)
    of_novel = (np.searchsorted(below, novel, "left") + np.searchsorted(below, novel, "right")) / (2 * len(normal))
    of_normal = 1 - (np.searchsorted(above, normal, "left") + np.searchsorted(above, normal, "right")) / (2 * len(novel))
    return of_novel, of_normal


def roc_curve(scores: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the ROC curve, from (0, 0) to (1, 1), one for each different score.

    Returns: false-positive rates and true-positive rates, both (K + 1,) and rising.
    Raises: ValueError as `auroc`.
    """
    normal, novel = _split(scores, labels)
    false_positives, true_positives = _counts_at_each_score(normal, novel)
    return np.append(0, false_positives) / len(normal), np.append(0, true_positives) / len(novel)


def aupr(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the precision-recall curve as average precision, Σ (R_k - R_{k-1}) P_k over falling scores; novel is positive.

    Returns: a number in [0, 1]; chance is the share of novel pictures.
    Raises: ValueError as `auroc`.
    """
    normal, novel = _split(scores, labels)
    false_positives, true_positives = _counts_at_each_score(normal, novel)
    precision = true_positives / (true_positives + false_positives)
    return float((np.diff(true_positives, prepend=0) * precision).sum() / len(novel))


def fpr_at_tpr(scores: ArrayLike, labels: ArrayLike, tpr: float = 0.95) -> float:
    """The least share of normal pictures that is flagged when at least the share `tpr` of the novel ones is.

    Returns: a rate in [0, 1], lower is better.
    Raises: ValueError as `auroc`.
    """
    normal, novel = _split(scores, labels)
    false_positives, true_positives = _counts_at_each_score(normal, novel)
    needed = int(np.ceil(tpr * len(novel) - 1e-9))  # 0.95 * 20 is 19, not the next whole number above 19.000000000000004
    return float(false_positives[np.searchsorted(true_positives, needed)] / len(normal))


def precision_at(scores: ArrayLike, labels: ArrayLike, threshold: float) -> float:
    """Share of novel pictures among those above the threshold; NaN if none is above it."""
    flagged, labels = _flagged(scores, labels, threshold)
    return float(labels[flagged].mean()) if flagged.any() else float("nan")


def rates_at(scores: ArrayLike, labels: ArrayLike, threshold: float) -> tuple[float, float]:
    """(false-alarm rate, miss rate): normal pictures above the threshold, novel ones not above it; NaN for a class without pictures."""
    flagged, labels = _flagged(scores, labels, threshold)
    normal, novel = flagged[~labels], flagged[labels]
    return (
        float(normal.mean()) if len(normal) else float("nan"),
        float(1 - novel.mean()) if len(novel) else float("nan"),
    )


def pixel_auroc(maps: Iterable[np.ndarray], masks: Iterable[np.ndarray]) -> float:
    """AUROC of heat maps against defect masks over the pixels of all pictures together.

    Args:
        maps: one (H, W) a picture, of any sizes.    masks: as many, same sizes; non-zero where the picture is novel.
    Pixels where a map is NaN were never looked at (outside of a crop) and are left out.
    Raises: ValueError if a map and its mask differ in size or number, or if all pixels are of one kind.
    """
    normal, novel = [], []
    for heat, mask in zip(maps, masks, strict=True):
        heat, marked = np.asarray(heat, np.float32), np.asarray(mask) != 0
        if heat.shape != marked.shape:
            raise ValueError(f"a heat map is {heat.shape} and its mask {marked.shape}: both must be (H, W) of the picture")
        seen = ~np.isnan(heat)
        normal.append(heat[seen & ~marked])
        novel.append(heat[seen & marked])
    if not sum(map(len, normal)) or not sum(map(len, novel)):
        raise ValueError("the masks mark no pixel, or all: pixel AUROC needs pixels of both kinds")
    return _chance_to_outscore(np.concatenate(normal), np.concatenate(novel))


def rank_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's: the correlation of two lists' ranks, (N,) each, tied values sharing their mean rank; NaN where one list is all ties."""
    ranks = []
    for values in (np.asarray(a, np.float64), np.asarray(b, np.float64)):
        _, which, count = np.unique(values, return_inverse=True, return_counts=True)
        rank = (np.cumsum(count) - (count - 1) / 2)[which]
        ranks.append(rank - rank.mean())
    norm = np.linalg.norm(ranks[0]) * np.linalg.norm(ranks[1])
    return float(np.clip(ranks[0] @ ranks[1] / norm, -1, 1)) if norm > 0 else float("nan")


def share_interval(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share from `hits` of `n` independent pictures, n > 0.

    (p + z²/2n ± z √(p (1 - p)/n + z²/4n²)) / (1 + z²/n),  p = hits / n
    """
    p, z2 = hits / n, Z_95**2 / n
    middle, half = p + z2 / 2, np.sqrt(p * (1 - p) * z2 + z2**2 / 4)
    return max(0.0, float((middle - half) / (1 + z2))), min(1.0, float((middle + half) / (1 + z2)))


def mean_interval(values: ArrayLike, *, seed: int, n_resamples: int = 1000, level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean: the values (N,), N > 0, are drawn anew, with replacement, n_resamples times.

    Returns: (low, high), the (1 ∓ level) / 2 quantiles of the resampled means.
    """
    values, rng = np.asarray(values, np.float64), np.random.default_rng(seed)
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(n_resamples)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def false_alarms_by_chance(rate: float, n_calibration: int, n_normal: int, level: float = 0.95) -> tuple[int, int]:
    """How many of n_normal fresh normal pictures a conformal threshold for `rate` may flag by sampling alone.

    The threshold is the k-th highest of n calibration scores, k = ⌊rate (n + 1)⌋, so the true rate of one calibration is
    Beta(k, n + 1 - k), and the false alarms among fresh normal pictures are beta-binomial:

        P(j + 1) / P(j) = (m - j) (j + k) / ((j + 1) (m - j + n - k)),    m = n_normal

    Returns: (low, high), the smallest counts whose cumulated chance reaches (1 - level) / 2 and (1 + level) / 2.
    Raises: ValueError if there are too few calibration pictures for the rate (k = 0).
    """
    k = int(np.floor(rate * (n_calibration + 1) + 1e-9))
    if not 0 < k <= n_calibration:
        raise ValueError(f"{n_calibration} calibration pictures set no threshold for a false-alarm rate of {rate}")
    j = np.arange(n_normal)
    ratios = np.log((n_normal - j) * (j + k)) - np.log((j + 1) * (n_normal - j + n_calibration - k))
    log_p = np.append(0, np.cumsum(ratios))
    cumulated = np.cumsum(np.exp(log_p - log_p.max()))
    low, high = np.searchsorted(cumulated / cumulated[-1], [(1 - level) / 2, (1 + level) / 2])
    return int(low), int(high)


def _split(scores: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the normal and of the novel pictures, float64."""
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels)
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise ValueError(f"scores {scores.shape} and labels {labels.shape} must both be (N,)")
    if not np.isfinite(scores).all():
        raise ValueError(f"{(~np.isfinite(scores)).sum()} of {len(scores)} scores are not finite")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("labels must be 0 (normal) or 1 (novel)")
    normal, novel = scores[labels == 0], scores[labels == 1]
    if not len(normal) or not len(novel):
        missing = "normal" if not len(normal) else "novel"
        raise ValueError(f"there is no {missing} picture among {len(scores)}: this figure needs both kinds")
    return normal, novel


def _chance_to_outscore(normal: np.ndarray, novel: np.ndarray) -> float:
    """P(novel > normal) + P(novel = normal) / 2 over all pairs."""
    normal = np.sort(normal)
    below = np.searchsorted(normal, novel, "left") + np.searchsorted(normal, novel, "right")
    return float(below.mean() / (2 * len(normal)))


def _counts_at_each_score(normal: np.ndarray, novel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many normal and novel pictures score at least s, for each different score s from the highest down; both (K,)."""
    s = np.unique(np.concatenate([normal, novel]))[::-1]
    return len(normal) - np.searchsorted(np.sort(normal), s), len(novel) - np.searchsorted(np.sort(novel), s)


def _flagged(scores: ArrayLike, labels: ArrayLike, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """(above the threshold, is novel), both (N,) bool. Compared as float64: numpy would round the threshold to float32."""
    return np.asarray(scores, np.float64) > threshold, np.asarray(labels) == 1
