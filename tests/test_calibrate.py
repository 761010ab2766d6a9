"""Split-conformal calibration: p-values by hand, the threshold, and the promise that the stated false-alarm rate is kept."""

import os
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from novelette.calibrate import HELD_OUT, held_out, joined_by_copies, p_values, pictures_needed, threshold
from novelette.data.images import as_tensor
from novelette.data.named import load_named
from novelette.data.pixels import content_hash
from novelette.data.roots import search_order
from novelette.errors import InputError
from novelette.methods import knn

RATES = st.fractions(Fraction(1, 200), Fraction(199, 200), max_denominator=200)


def random_hashes(n, seed=0):
    return np.random.default_rng(seed).integers(0, 2**64, n, dtype=np.uint64)


# p-values and the threshold


def test_p_values_by_hand():
    calibration = np.array([1.0, 2.0, 3.0, 4.0])
    assert p_values(np.array([0.5, 1.5, 3.5, 9.0]), calibration).tolist() == [5 / 5, 4 / 5, 2 / 5, 1 / 5]


def test_a_tie_counts_as_at_least_as_strange():
    calibration = np.array([1.0, 2.0, 2.0, 2.0, 3.0])
    assert p_values(np.array([1.0, 2.0, 3.0]), calibration).tolist() == [6 / 6, 5 / 6, 2 / 6]


def test_without_calibration_every_p_value_is_1():
    assert p_values(np.array([-1.0, 7.0]), np.zeros(0)).tolist() == [1, 1]


def test_threshold_by_hand():
    calibration = np.arange(1.0, 20.0)  # n = 19
    assert threshold(calibration, 0.05) == 19  # ⌊0.05 · 20⌋ = 1: the largest
    assert threshold(calibration, 0.10) == 18
    assert threshold(calibration, 0.149) == 18
    assert threshold(calibration, 0.15) == 17


def test_a_rate_that_binary_numbers_cannot_write_loses_no_picture():
    assert 0.29 * 100 < 29  # as floats
    assert threshold(np.arange(1.0, 100.0), 0.29) == 99 - 29 + 1


@given(st.lists(st.integers(0, 12), max_size=60), st.lists(st.integers(-1, 13), min_size=1, max_size=20), RATES)
@settings(max_examples=200, deadline=None)
def test_p_at_most_the_rate_and_a_score_above_the_threshold_are_the_same(calibration, scores, rate):
    calibration, scores = np.sort(np.array(calibration, float)), np.array(scores, float)
    t = threshold(calibration, float(rate))
    counts = [1 + sum(c >= s for c in calibration) for s in scores]  # exact: the p-value's numerator, in plain loops
    small = [Fraction(count, len(calibration) + 1) <= rate for count in counts]
    assert p_values(scores, calibration).tolist() == pytest.approx([count / (len(calibration) + 1) for count in counts])
    if t is None:
        assert not any(small)
    else:
        assert (scores > t).tolist() == small


@given(RATES)
@settings(max_examples=200, deadline=None)
def test_pictures_needed_is_the_fewest_that_give_a_threshold(rate):
    n = pictures_needed(float(rate))
    assert n == max(1, -(-rate.denominator // rate.numerator) - 1)
    assert threshold(np.zeros(n), float(rate)) is not None
    assert n == 1 or threshold(np.zeros(n - 1), float(rate)) is None


@pytest.mark.parametrize(("rate", "n"), [(0.05, 19), (0.01, 99), (0.001, 999), (0.1, 9), (0.5, 1), (0.9, 1), (0.03, 33)])
def test_pictures_needed_by_hand(rate, n):
    assert pictures_needed(rate) == n


# Which pictures calibrate


def test_about_a_fifth_is_held_out():
    n = 20_000
    tolerance = 4 * (HELD_OUT * (1 - HELD_OUT) / n) ** 0.5  # four standard errors of a share of n fair draws
    assert held_out(random_hashes(n)).mean() == pytest.approx(0.2, abs=tolerance)


def test_what_is_held_out_depends_on_the_hash_alone():
    hashes = random_hashes(500)
    chosen, order = held_out(hashes), np.random.default_rng(1).permutation(500)
    assert held_out(hashes[order]).tolist() == chosen[order].tolist()
    assert held_out(np.concatenate([hashes[::7], hashes[::7]])).tolist() == 2 * chosen[::7].tolist()
    assert [held_out(hashes[i : i + 1])[0] for i in range(50)] == chosen[:50].tolist()


def test_the_boundary_is_a_fifth_of_all_hashes():
    edge = 2**64 // 5
    assert held_out(np.array([0, edge - 1000, edge + 1000, 2**64 - 1], np.uint64)).tolist() == [True, True, False, False]


def test_about_a_fifth_of_pictures_is_held_out_by_their_own_hashes():
    rng, n = np.random.default_rng(0), 2000
    hashes = np.array([content_hash(rng.integers(0, 256, (4, 4), dtype=np.uint8)) for _ in range(n)], np.uint64)
    assert held_out(hashes).mean() == pytest.approx(0.2, abs=4 * (0.16 / n) ** 0.5)  # four standard errors


def test_a_group_is_never_parted_and_about_a_fifth_of_the_groups_is_held_out():
    groups_n, size = 4000, 5
    groups = np.random.default_rng(2).permutation(np.repeat(np.arange(groups_n) * 3 - 7, size))
    chosen = held_out(random_hashes(len(groups)), groups)
    shares = np.array([chosen[groups == group].mean() for group in np.unique(groups)])
    assert set(shares) == {0.0, 1.0}
    assert shares.mean() == pytest.approx(0.2, abs=4 * (0.16 / groups_n) ** 0.5)  # four standard errors


def test_what_is_held_out_of_groups_does_not_depend_on_order_or_on_their_numbers():
    hashes, groups = random_hashes(300), np.random.default_rng(3).integers(0, 80, 300)
    chosen, order = held_out(hashes, groups), np.random.default_rng(4).permutation(300)
    assert held_out(hashes[order], groups[order]).tolist() == chosen[order].tolist()
    assert held_out(hashes, 1000 - groups).tolist() == chosen.tolist()


def test_no_pictures_hold_nothing_out():
    none = np.zeros(0, np.uint64)
    assert held_out(none).tolist() == []
    assert held_out(none, np.zeros(0, np.int64)).tolist() == []


# The promise


@pytest.mark.parametrize(("n", "rate"), [(19, 0.05), (30, 0.05), (99, 0.05), (99, 0.01), (7, 0.3)])
def test_the_false_alarm_rate_on_fresh_scores_averages_what_was_stated(n, rate):
    """Over calibration sets of n continuous scores, the rate at the threshold averages k / (n + 1), k = ⌊rate (n + 1)⌋, never above `rate`.

    Of one calibration set the rate is Beta(k, n + 1 - k): its variance is q(1 - q) / (n + 2) with q = k / (n + 1), and m fresh scores add
    at most q(1 - q) / m. Four standard errors of a mean of `draws` are allowed.
    """
    rng, draws, fresh = np.random.default_rng(5), 3000, 200
    rates = [(rng.gumbel(size=fresh) > threshold(np.sort(rng.gumbel(size=n)), rate)).mean() for _ in range(draws)]
    q = floor(rate * (n + 1) + 1e-9) / (n + 1)
    error = (q * (1 - q) * (1 / (n + 2) + 1 / fresh) / draws) ** 0.5
    assert np.mean(rates) == pytest.approx(q, abs=4 * error)
    assert q <= rate + 1e-12


def test_p_values_of_fresh_scores_are_uniform_and_with_ties_not_smaller():
    rng, draws, n = np.random.default_rng(6), 4000, 9
    for decimals, compare in ((None, "equal"), (0, "not more")):
        p = []
        for _ in range(draws):
            scores = rng.normal(size=n + 1)
            scores = scores if decimals is None else scores.round(decimals)
            p.append(p_values(scores[:1], np.sort(scores[1:]))[0])
        for tenth in range(1, 11):
            share, q = np.mean(np.array(p) <= tenth / 10 + 1e-9), tenth / 10
            error = 4 * (q * (1 - q) / draws) ** 0.5  # four standard errors of a share
            assert share <= q + error
            assert compare != "equal" or share >= q - error


def shared_mnist():
    roots = [*search_order([]), Path(__file__).resolve().parents[2] / "shared" / "data"]
    try:
        return load_named("mnist", data_roots=[root for root in roots if os.path.isdir(root)], download=False)
    except InputError as error:
        pytest.skip(f"needs MNIST: {error}")


@pytest.mark.heavy
def test_the_false_alarm_rate_on_mnist_averages_what_was_stated():
    """Many times, one digit's pictures are cut anew into training, calibration and fresh ones; kNN is fitted, calibrated and counted.

    Given the pictures the cuts are independent, and by symmetry the rate of each has mean k / (n + 1), less what ties take; so four
    standard errors, from the spread seen, are allowed.
    """
    named = shared_mnist()
    rng, n, rate, splits = np.random.default_rng(7), 99, 0.05, 60
    threes = np.flatnonzero((named.labels == 3) & named.is_train)[:1200]
    images = torch.from_numpy(np.stack([named.source.read(int(i)) for i in threes]))[:, None]
    rates = []
    for _ in range(splits):
        train, calibration, fresh = np.split(rng.permutation(len(images)), [400, 400 + n])
        scorer = knn.fit(images[train], knn.Config(), seed=0, device=torch.device("cpu"))
        scores = [scorer.score(as_tensor(images[part])).numpy() for part in (calibration, fresh)]
        rates.append((scores[1] > threshold(np.sort(scores[0].astype(float)), rate)).mean())
    assert np.mean(rates) == pytest.approx(rate, abs=4 * np.std(rates, ddof=1) / splits**0.5)
    assert np.std(rates) > 0


def test_groups_that_share_a_copy_are_joined_and_never_parted():
    groups = np.array([7, 7, 3, 3, 5, 9])
    hashes = np.array([1, 2, 2, 4, 5, 4], np.uint64)  # 7 and 3 share picture 2, 3 and 9 share picture 4
    joined = joined_by_copies(groups, hashes)
    assert joined[0] == joined[1] == joined[2] == joined[3] == joined[5]
    assert joined[4] != joined[0]
    for seed in range(50):
        drawn = np.random.default_rng(seed).integers(0, 2**64, 6, np.uint64)[[0, 1, 1, 3, 4, 3]]
        out = held_out(drawn, groups)
        assert len(set(out[[0, 1, 2, 3, 5]].tolist())) == 1


def test_a_rate_so_near_one_that_every_score_lies_above_the_threshold():
    assert threshold(np.arange(9.0), 1 - 1e-10) == 0.0
    assert threshold(np.zeros(0), 1 - 1e-10) is None
