"""The threshold of least cost, where a person says what a missed novelty costs and how often one comes (technical report, 4.2).

A false alarm costs 1, a miss w. Of all pictures the share π is novel. Calling novel what scores above t costs, on average over pictures,

    R(t) = (1 - π) P(s > t | normal) + w π P(s ≤ t | novel)

Between two neighbouring calibration scores false alarms stay the same while misses fall as t does, so the best t of any interval is the
calibration score at its lower end: the best threshold of all is one of them, and belongs to a false-alarm rate k / (n + 1).
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from novelette.calibrating import score_unseen
from novelette.data.select import Where, grouped_as, labelled_pictures
from novelette.detector import Detector
from novelette.errors import InputError
from novelette.metrics import share_interval
from novelette.words import counted


@dataclass(frozen=True)
class Weighed:
    """What a threshold of least cost rests on.

    Attributes:
        miss_cost, novel_prior: w and π, as they were given.
        normal, novel: labelled pictures that training did not see.   missed: how many of the novel ones it calls normal.
        expected_cost: R of the threshold, a picture.
    """

    miss_cost: float
    novel_prior: float
    normal: int
    novel: int
    missed: int
    expected_cost: float


def expected_costs(
    calibration: NDArray[np.floating], novel: NDArray[np.floating], *, miss_cost: float, novel_prior: float
) -> NDArray[np.float64]:
    """R_k of calling novel what scores above the k-th largest calibration score: nothing at k = 0, everything at k = n + 1.

        R_k = (1 - π) k / (n + 1) + w π #{novel scores ≤ t_k} / m

    k / (n + 1) is the false-alarm rate that the threshold promises on average (novelette.calibrate), not the share of the n above it.

    Args: calibration: scores of normal pictures, (n,), ascending.   novel: scores of novel ones, (m,), m > 0.
    Returns: (n + 2,).
    """
    n = len(calibration)
    thresholds = np.concatenate([[np.inf], calibration[::-1], [-np.inf]])
    missed = np.searchsorted(np.sort(novel), thresholds, side="right") / len(novel)
    return (1 - novel_prior) * np.arange(n + 2) / (n + 1) + miss_cost * novel_prior * missed


def calibrate_by_cost(
    detector: Detector, source: Any, where: Where, *, miss_cost: float, novel_prior: float, bar: bool = False
) -> tuple[Detector, Weighed, dict[str, str]]:
    """The detector with the false-alarm rate of least cost, by labelled pictures that its training did not see: they calibrate it anew.

    Returns: the detector, what the rate rests on, and name -> why of unreadable pictures.
    Raises: InputError when pictures of a kind are missing, or when it costs least to call everything, or nothing, novel.
    """
    if not (0 < novel_prior < 1 and 0 < miss_cost < np.inf):
        raise InputError(f"--miss-cost {miss_cost:g} must be a finite number above 0, and --novel-prior {novel_prior:g} between 0 and 1")
    chosen = labelled_pictures(source, grouped_as(where, detector.provenance.get("source")))
    assert chosen.labels is not None
    scored = score_unseen(detector, chosen, bar=bar)
    is_novel = chosen.labels[scored.indices] == 1
    normal, novel = np.sort(scored.scores[~is_novel].astype(np.float64)), scored.scores[is_novel]
    if not len(normal) or not len(novel):
        kind = "novel" if len(normal) else "normal"
        raise InputError(
            f"{chosen.title}: there is no {kind} picture that training did not see, and the expected cost needs both kinds: give more"
        )
    costs = expected_costs(normal, novel, miss_cost=miss_cost, novel_prior=novel_prior)
    k = int(costs.argmin())  # of equal costs the one with the fewest false alarms
    if k in (0, len(normal) + 1):
        what = "nothing novel" if k == 0 else "every picture novel"
        raise InputError(
            f"with --miss-cost {miss_cost:g} and --novel-prior {novel_prior:g} it costs least to call {what}, {costs[k]:.3g} a picture "
            f"on {counted(len(normal), 'normal picture')} and {counted(len(novel), 'novel one')}: no threshold was set"
        )
    missed = int((novel <= normal[-k]).sum())
    weighed = Weighed(miss_cost, novel_prior, len(normal), len(novel), missed, round(float(costs[k]), 6))
    changed = detector.recalibrated(normal, k / (len(normal) + 1))
    changed = replace(changed, provenance=changed.provenance | {"cost": asdict(weighed)})
    return changed, weighed, {chosen.source.names[i]: why for i, why in scored.unreadable.items()}


def cost_words(detector: Detector, weighed: Weighed) -> str:
    """What a threshold of least cost does, in two sentences."""
    low, high = share_interval(weighed.missed, weighed.novel)
    never, always = weighed.miss_cost * weighed.novel_prior, 1 - weighed.novel_prior
    return (
        f"threshold {detector.threshold:.6g}: a false-alarm rate of {detector.false_alarm_rate:.3g}, and {weighed.missed:,} of "
        f"{counted(weighed.novel, 'novel picture')} missed ({100 * low:.0f} to {100 * high:.0f} % with 95 % confidence)\n"
        f"expected cost {weighed.expected_cost:.4g} a picture, where a false alarm costs 1; calling nothing novel costs {never:.4g}, "
        f"calling everything novel {always:.4g}"
    )
