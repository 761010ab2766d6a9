"""The figures of an evaluation: values by hand, plain loops and scikit-learn as oracles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn import metrics as oracle

from novelette import metrics

# Worked by hand: novel 4, 3, 2 and normal 3, 1, 0. Of nine pairs, 4 wins three, 3 wins two and ties one, 2 wins two: 7.5 / 9.
SCORES, LABELS = np.array([4.0, 3.0, 2.0, 3.0, 1.0, 0.0]), np.array([1, 1, 1, 0, 0, 0])


def samples(seed, n=300, ties=True):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.7).astype(int)
    scores = rng.normal(labels, 1.0)
    return (np.round(scores, 1) if ties else scores), labels


def test_auroc_by_hand():
    assert metrics.auroc(SCORES, LABELS) == pytest.approx(7.5 / 9)


def test_auroc_is_equation_1_with_m_the_class_whose_ranks_are_summed():
    ranks = np.array([6, 4.5, 3, 4.5, 2, 1])  # by hand; the two threes share ranks 4 and 5
    m = n = 3
    assert metrics.auroc(SCORES, LABELS) == pytest.approx((ranks[LABELS == 1].sum() - m * (m + 1) / 2) / (m * n))


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=40))
@settings(max_examples=60, deadline=None)
def test_auroc_agrees_with_a_loop_over_all_pairs(pairs):
    scores, labels = np.array([p[0] for p in pairs]), np.array([int(p[1]) for p in pairs])
    if labels.min() == labels.max():
        return
    wins = [float(a > b) + 0.5 * (a == b) for a in scores[labels == 1] for b in scores[labels == 0]]
    assert metrics.auroc(scores, labels) == pytest.approx(np.mean(wins))


@pytest.mark.parametrize("ties", [True, False])
def test_figures_agree_with_scikit_learn(ties):
    for seed in range(5):
        scores, labels = samples(seed, ties=ties)
        fpr, tpr, _ = oracle.roc_curve(labels, scores, drop_intermediate=False)
        assert metrics.auroc(scores, labels) == pytest.approx(oracle.roc_auc_score(labels, scores))
        assert metrics.aupr(scores, labels) == pytest.approx(oracle.average_precision_score(labels, scores))
        assert metrics.fpr_at_tpr(scores, labels) == pytest.approx(fpr[tpr >= 0.95].min())
        ours = metrics.roc_curve(scores, labels)
        np.testing.assert_allclose(ours[0], fpr)
        np.testing.assert_allclose(ours[1], tpr)


def test_aupr_fpr_precision_and_rates_by_hand():
    # From the top: 4 (novel) P 1 R 1/3; the tied 3s P 2/3 R 2/3; 2 (novel) P 3/4 R 1.
    assert metrics.aupr(SCORES, LABELS) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert metrics.fpr_at_tpr(SCORES, LABELS) == pytest.approx(1 / 3)
    assert metrics.fpr_at_tpr(SCORES, LABELS, tpr=1 / 3) == 0
    assert metrics.precision_at(SCORES, LABELS, 2.5) == pytest.approx(2 / 3)
    assert metrics.rates_at(SCORES, LABELS, 2.5) == pytest.approx((1 / 3, 1 / 3))


def test_a_score_equal_to_the_threshold_is_no_alarm_even_when_the_threshold_is_not_a_float32():
    assert metrics.rates_at(SCORES, LABELS, 3.0) == pytest.approx((0, 2 / 3))
    score = np.float32(0.1)  # 0.10000000149...: above the float64 0.1, equal to it once that is rounded
    assert metrics.rates_at(np.array([score]), np.array([0]), 0.1)[0] == 1
    assert metrics.rates_at(np.array([score]), np.array([0]), float(score))[0] == 0


def test_rates_without_pictures_are_nan():
    assert np.isnan(metrics.precision_at(SCORES, LABELS, 9.0))
    assert np.isnan(metrics.rates_at(SCORES[:3], LABELS[:3], 1.0)[0])
    assert np.isnan(metrics.rates_at(SCORES[3:], LABELS[3:], 1.0)[1])


def test_perfect_reversed_and_constant_scores():
    labels = np.array([0, 0, 1, 1])
    assert metrics.auroc(labels, labels) == 1
    assert metrics.auroc(-labels, labels) == 0
    assert metrics.auroc(np.zeros(4), labels) == 0.5
    assert metrics.auroc_interval(labels, labels, seed=0) == (1, 1)
    assert metrics.fpr_at_tpr(np.zeros(4), labels) == 1


@pytest.mark.parametrize("figure", [metrics.auroc, metrics.aupr, metrics.fpr_at_tpr, metrics.roc_curve])
def test_one_class_or_scores_that_are_not_finite_are_refused_with_a_sentence(figure):
    with pytest.raises(ValueError, match="no novel picture among 3"):
        figure(np.arange(3.0), np.zeros(3, int))
    with pytest.raises(ValueError, match="no normal picture"):
        figure(np.arange(3.0), np.ones(3, int))
    with pytest.raises(ValueError, match="1 of 2 scores are not finite"):
        figure(np.array([0, np.nan]), np.array([0, 1]))
    with pytest.raises(ValueError, match=r"must both be \(N,\)"):
        figure(np.zeros((4, 1)), np.array([0, 1, 0, 1]))
    with pytest.raises(ValueError, match=r"0 \(normal\) or 1"):
        figure(np.zeros(2), np.array([0, 2]))


def test_bootstrap_agrees_with_a_plain_loop():
    scores, labels = samples(3, n=60)
    normal, novel = scores[labels == 0], scores[labels == 1]
    rng, areas = np.random.default_rng(1), []
    for _ in range(4000):
        a, b = rng.choice(normal, len(normal)), rng.choice(novel, len(novel))
        areas.append(((b[:, None] > a).mean() + (b[:, None] >= a).mean()) / 2)
    ours = metrics.auroc_interval(scores, labels, seed=0, n_resamples=4000)
    # Two independent estimates of a 2.5 % quantile from 4,000 draws differ by about 0.003 (one sigma) here.
    np.testing.assert_allclose(ours, np.quantile(areas, [0.025, 0.975]), atol=0.012)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    # Two unit normals one apart: the true AUROC is Φ(1/√2) = 0.7602.
    hits = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        scores, labels = np.r_[rng.normal(0, 1, 60), rng.normal(1, 1, 60)], np.r_[np.zeros(60), np.ones(60)]
        low, high = metrics.auroc_interval(scores, labels, seed=seed, n_resamples=200)
        hits += low <= 0.7602 <= high
    assert 177 <= hits <= 199  # 95 % of 200 is 190; 4 sigma below, since percentile intervals run a little short


def test_bootstrap_is_seeded_and_holds_the_auroc():
    rng = np.random.default_rng(0)
    labels = np.r_[np.zeros(1000, int), np.ones(9000, int)]
    scores = rng.normal(2 * labels, 1.0).astype(np.float32)
    interval = metrics.auroc_interval(scores, labels, seed=5)
    assert interval == metrics.auroc_interval(scores, labels, seed=5)
    assert interval[0] < metrics.auroc(scores, labels) < interval[1]


def test_pixel_auroc_pools_pictures_of_different_sizes_and_leaves_out_what_was_not_looked_at():
    rng = np.random.default_rng(0)
    masks = [rng.random((5, 7)) < 0.2, rng.random((4, 3)) < 0.3]
    maps = [m + rng.normal(0, 1, m.shape) for m in masks]
    truth = oracle.roc_auc_score(np.concatenate([m.ravel() for m in masks]), np.concatenate([m.ravel() for m in maps]))
    assert metrics.pixel_auroc(maps, masks) == pytest.approx(truth)
    maps[0][0, 0] = np.nan
    assert np.isfinite(metrics.pixel_auroc(maps, [255 * m.astype(np.uint8) for m in masks]))
    with pytest.raises(ValueError, match="both kinds"):
        metrics.pixel_auroc(maps, [np.zeros_like(m) for m in masks])
    with pytest.raises(ValueError, match="its mask"):
        metrics.pixel_auroc(maps, masks[::-1])


def test_share_interval_by_hand():
    # Wilson, 8 of 10: (0.8 + 0.19207 ± √(0.8·0.2·0.384146 + 0.036892)) / 1.384146 = (0.4901, 0.9433)
    assert metrics.share_interval(8, 10) == pytest.approx((0.4901, 0.9433), abs=1e-4)
    assert metrics.share_interval(0, 10)[0] == pytest.approx(0)
    assert metrics.share_interval(10, 10)[1] == pytest.approx(1)


def test_false_alarms_by_chance_agrees_with_a_simulated_calibration():
    rng, n, m, rate = np.random.default_rng(0), 99, 50, 0.05
    counts = []
    for _ in range(20_000):
        threshold = np.sort(rng.random(n))[-5]  # k = 0.05 * 100 = 5
        counts.append((rng.random(m) > threshold).sum())
    low, high = metrics.false_alarms_by_chance(rate, n, m)
    assert np.mean(counts) == pytest.approx(m * rate, rel=0.03)  # conformal: the rate holds on average
    assert np.mean(np.array(counts) < low) <= 0.03
    assert np.mean(np.array(counts) > high) <= 0.03
    assert np.mean(np.array(counts) <= high) >= 0.97
    assert np.mean(np.array(counts) >= low) >= 0.97
    assert np.mean((np.array(counts) >= low) & (np.array(counts) < high)) < 0.97  # and the range is no wider than it must be
    with pytest.raises(ValueError, match="set no threshold"):
        metrics.false_alarms_by_chance(0.05, 10, 50)


def test_rank_correlation_by_hand_and_against_scipy():
    assert metrics.rank_correlation([1, 2, 3, 4], [10, 30, 20, 40]) == pytest.approx(1 - 6 * 2 / (4 * 15))  # 1 - 6 Σd² / n(n² - 1)
    assert metrics.rank_correlation([1, 2, 3], [-1, -5, -9]) == pytest.approx(-1)
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 8, 50), rng.integers(0, 8, 50)  # with ties
    assert metrics.rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert np.isnan(metrics.rank_correlation([1, 1, 1], [1, 2, 3]))
    assert max(metrics.rank_correlation(range(n), range(n)) for n in range(2, 60)) == 1  # rounding takes some past it


def test_interval_of_a_mean_is_near_the_normal_one_and_goes_by_its_seed():
    """Of 400 values the mean's error is spread / √400; 4,000 resamples put a quantile within some 5 % of it."""
    values = np.random.default_rng(0).normal(3, 2, 400)
    low, high = metrics.mean_interval(values, seed=1, n_resamples=4000)
    half = metrics.Z_95 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)
    assert metrics.mean_interval(values, seed=1) == metrics.mean_interval(values, seed=1) != metrics.mean_interval(values, seed=2)
    assert metrics.mean_interval([0.5] * 7, seed=0) == (0.5, 0.5)
