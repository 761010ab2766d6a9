"""KL and JS on a line, the value of the GAN's game, and which modes a fit drops."""

import numpy as np
import pytest
from scipy.stats import norm

from novelette.studies.divergence import DIVERGENCES, GRID, Mixture, best_value, fit, js, kl, packed, starts, unpacked

ONE = Mixture(np.ones(1), np.zeros(1), np.ones(1))


def gaussian(mean, deviation):
    return Mixture(np.ones(1), np.array([mean]), np.array([deviation]))


def pair(distance):
    return Mixture(np.array([0.6, 0.4]), np.array([-distance, distance]), np.ones(2))


def test_a_mixtures_density_is_the_weighted_sum():
    mixture = Mixture(np.array([0.25, 0.75]), np.array([-1.0, 2.0]), np.array([0.5, 2.0]))
    expected = 0.25 * norm.pdf(GRID, -1, 0.5) + 0.75 * norm.pdf(GRID, 2, 2)
    np.testing.assert_allclose(np.exp(mixture.log()), expected, atol=1e-12)


def test_kl_of_two_gaussians_is_the_closed_form():
    # log(σ₂/σ₁) + (σ₁² + (μ₁ - μ₂)²) / 2σ₂² - ½ = log 2 + (1 + 9) / 8 - ½
    assert kl(ONE.log(), gaussian(3.0, 2.0).log()) == pytest.approx(np.log(2) + 10 / 8 - 0.5, abs=1e-9)


def test_js_by_hand():
    assert js(ONE.log(), ONE.log()) == pytest.approx(0, abs=1e-12)
    assert js(gaussian(-20, 1).log(), gaussian(20, 1).log()) == pytest.approx(np.log(2))  # nothing in common
    # one of two far modes of weight ½ kept: ½ KL(p ‖ m) + ½ KL(q ‖ m), p = (½, ½), q = (1, 0), m = (¾, ¼)
    far = Mixture(np.array([0.5, 0.5]), np.array([-20.0, 20.0]), np.ones(2))
    expected = (0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25) + np.log(1 / 0.75)) / 2
    assert js(far.log(), gaussian(-20, 1).log()) == pytest.approx(expected)


@pytest.mark.parametrize("q", [ONE, gaussian(2.0, 3.0), pair(4.0)])
def test_the_best_discriminators_value_is_minus_log_4_and_twice_js(q):
    p = pair(2.0).log()
    assert best_value(p, q.log()) == pytest.approx(-np.log(4) + 2 * js(p, q.log()), abs=1e-9)


def test_numbers_for_a_descent_are_a_mixture_again():
    mixture = Mixture(np.array([0.2, 0.5, 0.3]), np.array([1.0, -2, 3]), np.array([1.0, 0.5, 2]))
    again = unpacked(packed(mixture.weights, mixture.means, mixture.deviations))
    for a, b in zip(vars(again).values(), vars(mixture).values(), strict=True):
        np.testing.assert_allclose(a, b)


def test_starts_are_every_way_to_share_out_the_modes():
    assert len(starts(pair(3.0), 1)) == 3  # the one, the other, both
    assert len(starts(pair(3.0), 2)) == 1
    both = unpacked(starts(pair(3.0), 1)[-1])
    assert (both.means[0], both.deviations[0]) == pytest.approx((-0.6, np.sqrt(1 + 9 - 0.36)))


def test_maximum_likelihood_matches_moments():
    fitted = fit(kl, pair(3.0), 1)
    assert (fitted.means[0], fitted.deviations[0]) == pytest.approx((-0.6, np.sqrt(1 + 9 - 0.36)), abs=1e-3)


def test_far_modes_are_dropped_by_js_and_covered_by_kl_near_ones_by_neither():
    kept = {(name, d): fit(DIVERGENCES[name], pair(d), 1).modes_kept(pair(d)) for name in DIVERGENCES for d in (2.0, 8.0)}
    assert kept == {
        ("KL(p ‖ q)", 2.0): 2,
        ("KL(p ‖ q)", 8.0): 2,
        ("JS", 2.0): 2,
        ("JS", 8.0): 1,
        ("KL(q ‖ p)", 2.0): 2,
        ("KL(q ‖ p)", 8.0): 1,
    }
    assert fit(js, pair(8.0), 1).means[0] == pytest.approx(-8, abs=0.05)  # the heavier
