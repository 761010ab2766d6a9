"""The loss of a student that is taught through scores, by hand."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from novelette.distill.scores import score_loss
from novelette.losses import contrast_loss


def test_score_loss_by_hand():
    """Undecided, p = 1/2: half of g = ln 2, and half of -ln(1 - 1/2). Certain of normal: g. Certain of novel: -ln(1 - 1/4) at g = ln 4."""
    g = torch.tensor([math.log(2), 3.0, math.log(4)])
    t = torch.tensor([0.0, -100.0, 100.0])
    assert score_loss(g, t).tolist() == pytest.approx([math.log(2), 3.0, math.log(4 / 3)], abs=1e-4)  # 1e-4 is added within the logarithm


def test_score_loss_is_the_cross_entropy_of_two_probabilities():
    rng = np.random.default_rng(0)
    g, t = rng.uniform(0.01, 5, 20), rng.normal(0, 3, 20)
    by_hand = []
    for own, its in zip(g, t, strict=True):
        p, q = 1 / (1 + math.exp(its)), math.exp(-own)
        by_hand.append(-p * math.log(q) - (1 - p) * math.log(1 - q * math.exp(-1e-4)))
    found = score_loss(torch.from_numpy(g), torch.from_numpy(t))
    assert found.shape == (20,)
    assert found.tolist() == pytest.approx(by_hand, rel=1e-9)


def test_a_teacher_without_doubt_gives_the_contrast_of_labels():
    s, s_novel, sure = torch.tensor([0.3, 2.0]), torch.tensor([0.1, 4.0]), torch.tensor([torch.inf, torch.inf])
    torch.testing.assert_close(score_loss(s, -sure) + score_loss(s_novel, sure), contrast_loss(s, s_novel))


def test_score_loss_is_least_where_the_student_ranks_as_its_teacher():
    t = torch.linspace(-4, 4, 9, dtype=torch.float64)
    best = F.softplus(t)
    assert (best.diff() > 0).all()
    for off in (-0.1, 0.1):  # more than the 1e-4 that is added within the logarithm moves the least
        assert (score_loss(best, t) < score_loss(best * (1 + off), t)).all()
    assert torch.isfinite(score_loss(torch.zeros(9, dtype=torch.float64), t)).all()


def test_scores_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="differ"):
        score_loss(torch.ones(3), torch.ones(3, 1))
