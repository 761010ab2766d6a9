"""Drift: whether the scores of a stream of pictures still look like the calibration's, told while they come.

A conformal test martingale (Vovk, Nouretdinov, Gammerman: Testing exchangeability on-line, ICML 2003): a gambler bets that each new score
is not one more of its kind, at odds that are fair as long as it is. Money made is evidence of drift.
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from novelette.words import counted

ODDS = 20  # an alarm at 20 to 1: without drift, one stream in twenty ever gets there
HISTORY = 2**16  # scores that are remembered, calibration's among them; a longer stream is compared with these
MOST_LOG10 = 300  # where the gambler stops counting his money


class Drift:
    """A gambler who watches scores, from a capital of 1.

    Each score s has a smoothed p-value among the calibration scores and those that came before,

        p = (#{c > s} + u (#{c = s} + 1)) / (n + 1),        u uniform in [0, 1],

    and p-values of exchangeable scores are independent and uniform. At every picture k he puts 1 / (k (k + 1)) of his first capital on
    bets f_i, equal shares, each a density on [0, 1], and lets what is there ride:

        capital after m pictures = 1 / (m + 1) + Σ_k 1 / (k (k + 1)) mean_i Π_{j = k..m} f_i(p_j)

    It has expectation 1 whatever m is, so that it reaches ODDS with a probability of at most 1 / ODDS (Ville). A stream that drifts at its
    k-th picture is met by money that was put down there: it costs the logarithm of k, not what earlier bets lost.

    Args: calibration: scores of normal pictures, (n,), at least 1.   seed: of u, which parts ties.
    Raises: ValueError without calibration scores.
    Deviation: memory is bounded, so that only the first HISTORY scores are ranked among; of later p-values "independent" is nearly true.
    """

    def __init__(self, calibration: ArrayLike, *, seed: int = 0) -> None:
        self._known = sorted(np.asarray(calibration, np.float64).tolist())
        if not self._known:
            raise ValueError("drift is from calibration scores, and there are none")
        self._rng = np.random.default_rng(seed)
        self._log_riding = np.full(len(bets(0.5)), -np.inf)
        self.seen = 0  # scores so far
        self.log10_capital = 0.0
        self.first: int | None = None  # after how many scores the capital reached ODDS

    @property
    def drifted(self) -> bool:
        """Whether the capital has ever reached ODDS."""
        return self.first is not None

    def see(self, scores: Iterable[float] | NDArray[np.floating]) -> list[tuple[float, float]]:
        """Bet on scores, (n,), in their order.   Returns: of each its p-value and the base-10 logarithm of the capital after it.

        Raises: ValueError for a score that is not finite, which has no rank.
        """
        return [self._bet(float(score)) for score in scores]

    def _bet(self, score: float) -> tuple[float, float]:
        if not math.isfinite(score):
            raise ValueError(f"a score of {score} has no rank")
        p = self._p_value(score)
        self.seen += 1
        k = self.seen
        put_down = -math.log(k * (k + 1) * len(self._log_riding))
        self._log_riding = np.logaddexp(self._log_riding, put_down) + np.log(bets(p))
        log_capital = float(np.logaddexp(np.logaddexp.reduce(self._log_riding), -math.log(k + 1)))
        self.log10_capital = min(log_capital / math.log(10), MOST_LOG10)
        self._log_riding = np.minimum(self._log_riding, MOST_LOG10 * math.log(10))
        if self.first is None and self.log10_capital >= math.log10(ODDS):
            self.first = k
        return p, self.log10_capital

    def _p_value(self, score: float) -> float:
        left, right, n = bisect_left(self._known, score), bisect_right(self._known, score), len(self._known)
        p = (n - right + self._rng.random() * (right - left + 1)) / (n + 1)
        if n < HISTORY:
            insort(self._known, score)
        return p


@dataclass(frozen=True)
class Course:
    """A whole stream as a gambler saw it: p_values and log10_capital, (n,) each, and the picture of the alarm, from 1, or None."""

    p_values: NDArray[np.float64]
    log10_capital: NDArray[np.float64]
    first: int | None

    def sentence(self, names: Sequence[str]) -> str:
        """The finding in words.   Args: names: of the n pictures."""
        seen = counted(len(names), "picture")
        if self.first is not None:
            return f"drift: odds of {ODDS} to 1 that something had changed by {names[self.first - 1]}, {self.first:,} of {seen}"
        best = 10.0 ** float(self.log10_capital.max(initial=0.0))
        return f"no drift in {seen}: odds of at most {best:.1f} to 1 that something has changed, where an alarm needs {ODDS} to 1"

    def to_json(self) -> dict[str, Any]:
        """The finding in JSON's types."""
        last, most = (round(float(v), 4) for v in (self.log10_capital[-1], self.log10_capital.max()))
        return {
            "pictures": len(self.p_values),
            "drifted": self.first is not None,
            "first": self.first,
            "log10_odds": last,
            "most_log10_odds": most,
            "median_p_value": round(float(np.median(self.p_values)), 4),
        }


def course_of(scores: ArrayLike, calibration: ArrayLike, *, seed: int = 0) -> Course:
    """What a gambler makes of scores (n,), n at least 1, in their order.   Raises: ValueError without calibration scores."""
    gambler = Drift(calibration, seed=seed)
    p_values, capital = np.array(gambler.see(np.asarray(scores, np.float64))).T
    return Course(p_values, capital, gambler.first)


def bets(p: float) -> NDArray[np.float64]:
    """What one unit becomes on each of seven bets when the p-value is p: densities on [0, 1], all positive.

    Scores have risen, much or a little; fallen, much or a little; lie further apart; lie closer together; some few are extreme.
    """
    middle, apart = p - 0.5, 4 * abs(p - 0.5) - 1
    few = 0.5 / math.sqrt(max(p, 1e-12))
    return np.array([1 - 1.9 * middle, 1 - 0.8 * middle, 1 + 1.9 * middle, 1 + 0.8 * middle, 1 + 0.9 * apart, 1 - 0.9 * apart, few])
