"""Protocols: splits are disjoint, the normal class alone trains, counts are the papers', the test set stays out of choosing."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novelette.data.protocol import PROTOCOLS, Split, gpnd, held_out, is_novel, leave_one_out, ocgan_p1, standard
from novelette.errors import InputError

DATA = Path(__file__).parents[2] / "shared" / "data"
MNIST_TRAIN = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
MNIST_TEST = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)


def a_set(train: tuple[int, ...], test: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and split of a set with so many images a class, in random order within its two parts."""
    rng = np.random.default_rng(seed)
    parts = [rng.permutation(np.repeat(np.arange(len(n)), n)) for n in (train, test)]
    return np.concatenate(parts), np.arange(sum(train) + sum(test)) < sum(train)


def parts(split: Split) -> list[np.ndarray]:
    return [split.train, split.validation, split.test]


@st.composite
def labelled(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    n_classes = draw(st.integers(2, 6))
    n = draw(st.integers(1, 120))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.integers(0, n_classes, n), rng.random(n) < draw(st.floats(0.1, 0.9))


@given(labelled(), st.sampled_from([*PROTOCOLS, "held-out"]), st.integers(0, 5), st.integers(0, 2**31))
@settings(max_examples=200, deadline=None)
def test_every_split_is_disjoint_seeded_and_trains_on_normal_images_alone(
    data: tuple[np.ndarray, np.ndarray], name: str, chosen: int, seed: int
) -> None:
    labels, is_train = data
    protocol = {**PROTOCOLS, "held-out": held_out}[name]
    try:
        split = protocol(labels, is_train, chosen, seed)
    except InputError:  # too few images for this protocol
        return
    together = np.concatenate(parts(split))
    assert len(np.unique(together)) == len(together), "an index lies in two parts"
    assert all(p.dtype == np.int64 and np.array_equal(p, np.sort(p)) for p in parts(split))
    assert len(split.train) > 0
    assert not is_novel(name, labels[split.train], chosen).any()
    again = protocol(labels, is_train, chosen, seed)
    assert all(np.array_equal(a, b) for a, b in zip(parts(split), parts(again), strict=True))
    if name in ("standard", "leave-one-out", "held-out"):
        assert is_train[split.train].all()
        assert not is_train[split.test].any()


@given(labelled(), st.integers(0, 5), st.integers(0, 2**31))
@settings(max_examples=200, deadline=None)
def test_drawn_tests_are_balanced_and_ocgan_draws_equally_from_every_other_class(
    data: tuple[np.ndarray, np.ndarray], normal: int, seed: int
) -> None:
    labels, is_train = data
    if (labels == normal).sum() < 2:
        return
    for protocol in (gpnd, ocgan_p1):
        split = protocol(labels, is_train, normal, seed)
        novel = labels[split.test] != normal
        assert novel.sum() == min((~novel).sum(), (labels != normal).sum())
        assert len(split.train) == (labels == normal).sum() * 4 // 5
    given_out = {c: int((labels[split.test] == c).sum()) for c in np.unique(labels[labels != normal])}
    full = [n for c, n in given_out.items() if n < (labels == c).sum()]  # classes that had more to give
    if full:
        assert max(given_out.values()) - min(full) <= 1


def test_standard_on_mnist_has_the_papers_counts() -> None:
    labels, is_train = a_set(MNIST_TRAIN, MNIST_TEST)
    for normal in range(10):
        split = standard(labels, is_train, normal)
        assert (len(split.train), len(split.validation), len(split.test)) == (MNIST_TRAIN[normal], 0, 10_000)
        assert (labels[split.test] == normal).sum() == MNIST_TEST[normal]


@pytest.mark.parametrize(("train", "test"), [((6000,) * 10, (1000,) * 10), ((5000,) * 10, (1000,) * 10)])
def test_standard_on_fashion_mnist_and_cifar10_has_the_papers_counts(train: tuple[int, ...], test: tuple[int, ...]) -> None:
    labels, is_train = a_set(train, test)
    split = standard(labels, is_train, 3)
    assert (len(split.train), len(split.test), (labels[split.test] == 3).sum()) == (train[0], 10_000, 1000)


def test_gpnd_on_fashion_mnist_trains_5600_and_tests_1400_against_1400() -> None:
    labels, is_train = a_set((6000,) * 10, (1000,) * 10)
    split = gpnd(labels, is_train, 6, 1)
    assert len(split.train) == 5600
    assert np.bincount(labels[split.test] == 6).tolist() == [1400, 1400]
    assert not is_train[split.train].all(), "training and test images are pooled"


def test_gpnd_on_coil_trains_57_of_72_views() -> None:
    labels = np.repeat(np.arange(20), 72)
    split = gpnd(labels, np.ones(1440, bool), 4)
    assert (len(split.train), len(split.test)) == (57, 30)


def test_ocgan_p1_takes_the_first_80_percent_and_every_other_class_equally() -> None:
    labels, is_train = a_set(MNIST_TRAIN, MNIST_TEST)
    split = ocgan_p1(labels, is_train, 0)
    of_class = np.flatnonzero(labels == 0)
    assert np.array_equal(split.train, of_class[:5522])  # 80 % of 6,903
    counts = np.bincount(labels[split.test], minlength=10)
    assert counts[0] == 1381
    assert counts[1:].sum() == 1381
    assert set(counts[1:].tolist()) <= {153, 154}  # 1,381 = 9 x 153 + 4


def test_ocgan_p1_pools_training_images_first_wherever_they_lie() -> None:
    labels = np.array([0, 0, 0, 0, 0, 1, 1])
    is_train = np.array([False, True, True, True, True, True, True])
    assert ocgan_p1(labels, is_train, 0).train.tolist() == [1, 2, 3, 4]


def test_ocgan_p1_shares_what_a_small_class_lacks_among_the_others() -> None:
    labels = np.repeat([0, 1, 2, 3], [100, 2, 50, 50])  # 20 wanted of three classes: 2 + 9 + 9
    split = ocgan_p1(labels, np.ones(202, bool), 0)
    assert np.bincount(labels[split.test]).tolist() == [20, 2, 9, 9]


def test_leave_one_out_trains_on_the_nine_others() -> None:
    labels, is_train = a_set(MNIST_TRAIN, MNIST_TEST)
    split = leave_one_out(labels, is_train, 2)
    assert len(split.train) == 60_000 - MNIST_TRAIN[2]
    assert len(split.test) == 10_000
    assert not (labels[split.train] == 2).any()
    assert is_novel("leave-one-out", labels[split.test], 2).sum() == MNIST_TEST[2]


def test_held_out_never_touches_the_test_set_and_keeps_the_proportions() -> None:
    labels, is_train = a_set(MNIST_TRAIN, MNIST_TEST)
    split = held_out(labels, is_train, 8, 3)
    assert len(split.test) == 0
    assert is_train[split.train].all()
    assert is_train[split.validation].all()
    assert np.bincount(labels[split.validation]).tolist() == [n // 5 for n in MNIST_TRAIN]
    assert len(split.train) == MNIST_TRAIN[8] - MNIST_TRAIN[8] // 5


def test_held_out_does_not_part_groups() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 40, 400)
    labels, is_train = rng.integers(0, 3, 400), np.ones(400, bool)
    split = held_out(labels, is_train, 1, groups=groups)
    assert not set(groups[split.train]) & set(groups[split.validation])
    assert len(split.train) > 0
    assert (labels[split.validation] == 1).any()


def test_another_seed_draws_other_images() -> None:
    labels, is_train = a_set((100,) * 3, (50,) * 3)
    for protocol in (gpnd, ocgan_p1):
        assert not np.array_equal(protocol(labels, is_train, 0, 0).test, protocol(labels, is_train, 0, 1).test)


def test_a_set_without_test_images_is_sent_to_protocols_that_draw_their_own() -> None:
    with pytest.raises(InputError, match="gpnd"):
        standard(np.repeat([0, 1], 72), np.ones(144, bool), 0)
    with pytest.raises(InputError, match="no training images"):
        standard(np.array([0, 1, 1]), np.array([False, True, False]), 0)


def test_protocols_are_the_four_of_the_papers() -> None:
    assert tuple(PROTOCOLS) == ("standard", "gpnd", "ocgan-p1", "leave-one-out")


@pytest.mark.skipif(not (DATA / "mnist").is_dir(), reason="needs MNIST in ../shared/data")
def test_standard_on_the_real_mnist_has_the_papers_counts() -> None:
    from novelette.data.named import load_named

    named = load_named("mnist", data_roots=[DATA], download=False)
    for normal in range(10):
        split = standard(named.labels, named.is_train, normal)
        assert (len(split.train), (named.labels[split.test] == normal).sum()) == (MNIST_TRAIN[normal], MNIST_TEST[normal])
