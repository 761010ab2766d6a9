"""The Bayes factor by hand, against the evidence in gamma functions, and in plain loops."""

from math import exp, lgamma, log

import pytest
import torch

from novelette.data.images import as_tensor
from novelette.methods import bayes_factor
from novelette.methods.bayes_factor import Config, fit, places

CPU = torch.device("cpu")
CLOSE = 1e-4  # float32 sums of up to 192 logarithms, against float64


def pictures(n, channels=1, size=4, seed=0):
    return torch.randint(0, 256, (n, channels, size, size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def fitted(images, **config):
    return fit(images, Config(**config), seed=0, device=CPU)


def log_evidence(levels, k, alpha):
    """log p of a list of levels of one pixel under a Dirichlet prior: log ∫ Π θ_level p(θ) dθ, a ratio of gamma functions."""
    total = lgamma(k * alpha) - lgamma(k * alpha + len(levels))
    return total + sum(lgamma(alpha + levels.count(level)) - lgamma(alpha) for level in range(k))


def log_odds(train, x, k, alpha, c):
    """log P(novel | x, D) / P(normal | x, D) of one picture, pixel by pixel: p(x | D) = p(D, x) / p(D)."""
    odds = log(c / (1 - c))
    for p in range(len(x)):
        seen = [row[p] * k // 256 for row in train]
        odds += -log(k) - (log_evidence([*seen, x[p] * k // 256], k, alpha) - log_evidence(seen, k, alpha))
    return odds


def test_a_score_by_hand():
    """Three pictures of one black and three white pixels, two levels, α = 1: black is predicted by (3 + 1) / (3 + 2), so is white."""
    train = torch.tensor([[0, 255], [255, 255]], dtype=torch.uint8).expand(3, 1, 2, 2)
    x = as_tensor(torch.cat([train[:1], 255 - train[:1]]))
    scorer = fitted(train, levels=2, prior_count=1.0)
    assert scorer.score(x).tolist() == pytest.approx([4 * log(0.5 / 0.8), 4 * log(0.5 / 0.2)], rel=1e-6)
    assert scorer.heatmap(x)[1].flatten().tolist() == pytest.approx([log(5)] * 4, rel=1e-6)
    rare = fitted(train, levels=2, prior_count=1.0, novel_prior=0.01)
    assert (rare.score(x) - scorer.score(x)).tolist() == pytest.approx([log(0.01 / 0.99)] * 2, rel=1e-5)


@pytest.mark.parametrize(("levels", "alpha", "c", "channels"), [(2, 1.0, 0.5, 1), (8, 0.5, 0.1, 3), (256, 0.01, 0.9, 1)])
def test_scores_are_the_ratio_of_two_evidences(levels, alpha, c, channels):
    train, x = pictures(7, channels) // 4, pictures(5, channels, seed=1) // 4
    scores = fitted(train, levels=levels, prior_count=alpha, novel_prior=c).score(as_tensor(x))
    rows = train.flatten(1).tolist()
    expected = [log_odds(rows, one, levels, alpha, c) for one in x.flatten(1).tolist()]
    assert scores.tolist() == pytest.approx(expected, rel=CLOSE)


def test_a_training_pictures_own_score_is_that_of_a_detector_fitted_without_it():
    train = pictures(6, 3) // 64
    own = fitted(train).score_own(as_tensor(train))
    without = [fitted(torch.cat([train[:i], train[i + 1 :]])).score(as_tensor(train[i : i + 1])).item() for i in range(6)]
    assert own.tolist() == pytest.approx(without, rel=CLOSE)


def test_the_predictive_probabilities_of_a_pixel_add_up_to_one():
    scorer = fitted(pictures(9), levels=5, prior_count=0.3)
    torch.testing.assert_close((-scorer.module().table).exp().sum(-1), torch.ones(1, 4, 4))


@pytest.mark.parametrize("levels", [2, 3, 8, 15, 17, 100, 256])
def test_every_grey_value_has_its_level(levels):
    grey = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    found = places(as_tensor(grey), levels)[0] - levels * torch.arange(256)
    assert found.tolist() == [g * levels // 256 for g in range(256)]


def test_images_are_counted_in_parts_of_any_size(monkeypatch):
    train, x = pictures(23), as_tensor(pictures(4, seed=1))
    whole = fitted(train).score(x)
    monkeypatch.setattr(bayes_factor, "COUNTED", 5)
    assert torch.equal(fitted(train).score(x), whole)


def test_the_log_odds_are_a_probability():
    """With the model of normal pictures and that of novel ones as true as they say, the odds are those of Bayes' theorem."""
    train, x = pictures(4, size=2) // 128, pictures(1, size=2, seed=3) // 128
    rows, one, c = train.flatten(1).tolist(), x.flatten().tolist(), 0.2
    normal = 1.0
    for p in range(4):
        normal *= ([row[p] * 2 // 256 for row in rows].count(one[p] * 2 // 256) + 1) / (4 + 2)
    novel = 0.5**4
    expected = c * novel / (c * novel + (1 - c) * normal)
    score = fitted(train, levels=2, prior_count=1.0, novel_prior=c).score(as_tensor(x)).item()
    assert 1 / (1 + exp(-score)) == pytest.approx(expected, rel=1e-5)
