"""What a GAN's generator descends, and what that does to modes (technical report, section 5.2; Goodfellow et al., 2014, Theorem 1).

    V(G, D) = E_p[log D(x)] + E_q[log(1 - D(x))],    C(G) = max_D V(G, D) = -log 4 + 2 JSD(p ‖ q)

Densities on a line, as values on an even grid, and integrals as sums.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Vector = NDArray[np.float64]

GRID = np.linspace(-48, 48, 961)
STEP = float(GRID[1] - GRID[0])
GOLDEN, NARROWINGS = (np.sqrt(5) - 1) / 2, 60  # each leaves this share of the interval: 3e-13 in all
FARTHEST = 40.0  # mean: beyond, a Gaussian leaves the grid
NARROWEST = 4 * STEP  # deviation: a narrower Gaussian falls between the places of the grid
REACH = 2.0  # standard deviations around a mode that are its own
KEPT = 0.1  # of a mode's mass: a fit that has less of it there has dropped it


@dataclass(frozen=True)
class Mixture:
    """Gaussians on a line.   Attributes: weights (adding up to 1), means, deviations: (k,)."""

    weights: Vector
    means: Vector
    deviations: Vector

    def log(self) -> Vector:
        """Its log density on the grid."""
        z = (GRID[:, None] - self.means) / self.deviations
        parts = np.log(self.weights) - np.log(self.deviations) - z**2 / 2 - np.log(2 * np.pi) / 2
        out: Vector = np.logaddexp.reduce(parts, axis=1)
        return out

    def together(self, which: Sequence[int]) -> tuple[float, float, float]:
        """Weight, mean and deviation of some components taken as one."""
        w, m, d = (values[list(which)] for values in (self.weights, self.means, self.deviations))
        mean = float(w @ m / w.sum())
        return float(w.sum()), mean, float(np.sqrt(w @ (d**2 + m**2) / w.sum() - mean**2))

    def modes_kept(self, of: "Mixture") -> int:
        """How many components of another mixture this one has mass at: KEPT of theirs at least, within REACH deviations."""
        own, its = np.exp(self.log()), np.exp(of.log())
        near = [np.abs(GRID - mean) < REACH * deviation for mean, deviation in zip(of.means, of.deviations, strict=True)]
        return sum(bool(own[where].sum() >= KEPT * its[where].sum()) for where in near)


def kl(log_p: Vector, log_q: Vector) -> float:
    """KL(p ‖ q) = ∫ p log(p / q)."""
    return float(STEP * (np.exp(log_p) * (log_p - log_q)).sum())


def js(log_p: Vector, log_q: Vector) -> float:
    """JSD(p ‖ q) = ½ KL(p ‖ m) + ½ KL(q ‖ m), m = (p + q) / 2: from 0 to log 2."""
    log_m = np.logaddexp(log_p, log_q) - np.log(2)
    return (kl(log_p, log_m) + kl(log_q, log_m)) / 2


DIVERGENCES: Mapping[str, Callable[[Vector, Vector], float]] = MappingProxyType(
    {"KL(p ‖ q)": kl, "JS": js, "KL(q ‖ p)": lambda log_p, log_q: kl(log_q, log_p)}
)


def best_value(log_p: Vector, log_q: Vector) -> float:
    """max_D V(G, D), found by golden section at every place of the grid, without the formula of the best D."""
    p, q = STEP * np.exp(log_p), STEP * np.exp(log_q)
    low, high = np.zeros(len(GRID)), np.ones(len(GRID))

    def value(d: Vector) -> Vector:
        out: Vector = p * np.log(d) + q * np.log1p(-d)
        return out

    for _ in range(NARROWINGS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        up = value(left) < value(right)
        low, high = np.where(up, left, low), np.where(up, high, right)
    return float(value((low + high) / 2).sum())


def fit(divergence: Callable[[Vector, Vector], float], data: Mixture, components: int) -> Mixture:
    """The mixture q of so many Gaussians that is nearest to the data p: the best of descents from every one of `starts`."""
    log_p = data.log()
    found = [minimize(lambda v: divergence(log_p, unpacked(v).log()), start, method="BFGS") for start in starts(data, components)]
    return unpacked(min(found, key=lambda one: float(one.fun)).x)


def starts(data: Mixture, components: int) -> list[Vector]:
    """Every way to share out the data's modes among the components, some modes left out: each component as its modes together are."""
    out: dict[frozenset[tuple[int, ...]], Vector] = {}
    for owners in product(range(-1, components), repeat=len(data.means)):
        groups = [tuple(i for i, owner in enumerate(owners) if owner == own) for own in range(components)]
        if all(groups):
            out.setdefault(frozenset(groups), packed(*(np.array(values) for values in zip(*map(data.together, groups), strict=True))))
    return list(out.values())


def packed(weights: Vector, means: Vector, deviations: Vector) -> Vector:
    """A mixture as numbers that a descent may change freely, (3 k - 1,): logits of the weights less the last's, means, log deviations."""
    return np.concatenate([np.log(weights[:-1] / weights[-1]), means, np.log(deviations)])


def unpacked(v: Vector) -> Mixture:
    """The inverse of `packed`."""
    k = (len(v) + 1) // 3
    logits = np.append(v[: k - 1], 0.0)
    deviations = np.maximum(np.exp(v[2 * k - 1 :]), NARROWEST)
    means = np.clip(v[k - 1 : 2 * k - 1], -FARTHEST, FARTHEST)
    return Mixture(np.exp(logits - np.logaddexp.reduce(logits)), means, deviations)
