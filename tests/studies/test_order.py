"""The order of arrival decides what is novel, where novelties are learned: against the detector itself, and by hand."""

import itertools

import numpy as np
import pytest
import torch
from pictures import checks, stripes

from novelette.data.images import as_tensor
from novelette.methods import knn
from novelette.studies.order import Stream, always, labels, shares, stream


def far_apart(*places):
    """Pictures as numbers on a line, each 10 away from the nearest training picture. k = 1."""
    at = np.array(places, float)
    return Stream(np.full((len(at), 1), 10.0), np.abs(at[:, None] - at))


@pytest.mark.parametrize(("k", "reduce"), [(1, "mean"), (3, "mean"), (3, "sum"), (2, "kth")])
def test_labels_are_those_of_a_detector_that_learns(k, reduce):
    config = knn.Config(k=k, metric="euclidean", reduce=reduce)
    training, pictures = (torch.from_numpy(p)[:, None] for p in (stripes(15), np.concatenate([checks(6), stripes(4, 1), checks(3, 7)])))
    order = np.random.default_rng(0).permutation(len(pictures))
    scorer = knn.fit(training, config, seed=0, device=torch.device("cpu"))
    threshold = float(scorer.score(as_tensor(pictures)).median())
    expected = np.zeros(len(pictures), bool)
    for i in order:
        if scorer.score(as_tensor(pictures[i : i + 1]))[0] > threshold:
            expected[i] = True
            scorer = scorer.learned(pictures[i : i + 1])
    found = labels(stream(training, pictures, config), order, threshold, config)
    assert found.tolist() == expected.tolist()
    assert 0 < expected.sum() < len(pictures) / 2 + 1


def test_the_one_in_the_middle_decides_for_both_sides():
    # places 0, 1 and 2, threshold 1.5: whoever comes first silences its neighbours
    line, config = far_apart(0, 1, 2), knn.Config(k=1)
    assert labels(line, np.array([1, 0, 2]), 1.5, config).tolist() == [False, True, False]
    assert labels(line, np.array([0, 1, 2]), 1.5, config).tolist() == [True, False, True]
    orders = list(itertools.permutations(range(3)))
    novel = np.mean([labels(line, np.array(order), 1.5, config) for order in orders], axis=0)
    np.testing.assert_allclose(novel, [2 / 3, 1 / 3, 2 / 3])  # the middle one is novel where it comes first
    np.testing.assert_allclose(shares(line, 3000, 1.5, config, seed=0), novel, atol=0.03)  # three standard errors


def test_with_one_neighbour_the_novel_ones_are_a_maximal_set_of_pictures_far_from_each_other():
    rng = np.random.default_rng(0)
    places, config = rng.uniform(0, 30, 40), knn.Config(k=1)
    found = far_apart(*places)
    near = (found.apart <= 1.0) & ~np.eye(40, dtype=bool)
    for seed in range(20):
        novel = labels(found, np.random.default_rng(seed).permutation(40), 1.0, config)
        assert not near[np.ix_(novel, novel)].any()
        assert near[:, novel].any(1)[~novel].all()
    share = shares(found, 400, 1.0, config, seed=1)
    assert ((share == 1) == ~near.any(1)).all()  # each with a neighbour is silenced in one of 400 orders


def test_novel_in_every_order_are_those_that_all_permutations_say():
    config = knn.Config(k=1)
    found = far_apart(0, 1, 2, 5, 6.5, 9, 9.5)  # lines up to 1.5; the last is below the threshold, and so silences nobody
    found.nearest[-1] = 1.2
    every = np.array([labels(found, np.array(order), 1.5, config) for order in itertools.permutations(range(7))])
    assert always(found, 1.5).tolist() == every.all(0).tolist() == [False] * 5 + [True, False]
    assert every.any(0).tolist() == [True] * 6 + [False]
    assert every[0].tolist() == [True, False, True, True, False, True, False]


def test_normal_pictures_are_never_labelled_and_teach_nothing():
    found = Stream(np.array([[0.5], [10.0]]), np.array([[0, 0.1], [0.1, 0]]))
    for order in ([0, 1], [1, 0]):
        assert labels(found, np.array(order), 1.0, knn.Config(k=1)).tolist() == [False, True]
