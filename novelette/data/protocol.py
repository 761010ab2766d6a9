"""The one-class protocols of the papers: which pictures train and which test. Pure functions of labels, and seeded.

Each takes labels (N,) int, is_train (N,) bool (the set's own split), a class and a seed, and returns a `Split`.
The class is the normal one, except for `leave_one_out`, where it is the novel one: `role` and `is_novel` know.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from novelette.errors import InputError

Indices = NDArray[np.int64]


def _none() -> Indices:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Split:
    """Indices into a set, each (n,) int64 ascending, no index in two of them. `validation` and `test` may be empty."""

    train: Indices
    validation: Indices = field(default_factory=_none)
    test: Indices = field(default_factory=_none)


def standard(labels: np.ndarray, is_train: np.ndarray, normal: int, seed: int = 0) -> Split:
    """The class's training images train; the whole test set tests: 1 normal class against all others (P-KDGAN, PIAD).

    `seed` changes nothing. Raises: InputError for a class with no training images, or a set with no test images of it.
    """
    labels, is_train = _checked(labels, is_train)
    _need((labels == normal) & ~is_train, normal, "no test images: choose --protocol gpnd or ocgan-p1, which draw their own")
    return Split(
        train=_need((labels == normal) & is_train, normal, "no training images: choose another class"), test=np.flatnonzero(~is_train)
    )


def gpnd(labels: np.ndarray, is_train: np.ndarray, normal: int, seed: int = 0) -> Split:
    """Training and test images pooled: 80 % of the normal class, drawn at random, trains; the other 20 % tests beside as many
    novel images, drawn at random from all other classes (PIAD's protocol for Fashion-MNIST and COIL).

    80 % is rounded down: 5,600 of 7,000, 57 of 72. Where there are fewer novel images than that, all of them test.
    Raises: InputError for a class of fewer than two images.
    """
    labels, _ = _checked(labels, is_train)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(_need(labels == normal, normal, "fewer than two images: choose another class", least=2))
    n_train = len(shuffled) * 4 // 5
    novel = np.flatnonzero(labels != normal)
    drawn = rng.choice(novel, size=min(len(novel), len(shuffled) - n_train), replace=False)
    return Split(train=np.sort(shuffled[:n_train]), test=np.sort(np.concatenate([shuffled[n_train:], drawn])))


def ocgan_p1(labels: np.ndarray, is_train: np.ndarray, normal: int, seed: int = 0) -> Split:
    """Training and test images pooled, in that order: the first 80 % of the normal class trains; the rest tests beside as many
    novel images, drawn at random, equally from every other class (protocol 1 of OCGAN).

    Where the number does not divide, some classes give one image more than others; a class too small gives all it has and the
    others make up for it. Raises: InputError for a class of fewer than two images.
    """
    labels, is_train = _checked(labels, is_train)
    rng = np.random.default_rng(seed)
    pooled = np.concatenate([np.flatnonzero(is_train), np.flatnonzero(~is_train)])
    of_class = pooled[labels[pooled] == normal]
    _need(labels == normal, normal, "fewer than two images: choose another class", least=2)
    n_train = len(of_class) * 4 // 5
    wanted = len(of_class) - n_train
    others = [np.flatnonzero(labels == c) for c in rng.permutation(np.unique(labels[labels != normal]))]
    others.sort(key=len)  # smallest first, so that what it lacks is shared among those that follow; stable, so ties stay random
    drawn = []
    for k, members in enumerate(others):
        share = min(len(members), wanted // (len(others) - k))
        drawn.append(rng.choice(members, size=share, replace=False))
        wanted -= share
    return Split(train=np.sort(of_class[:n_train]), test=np.sort(np.concatenate([of_class[n_train:], *drawn])))


def leave_one_out(labels: np.ndarray, is_train: np.ndarray, novel: int, seed: int = 0) -> Split:
    """One class is novel: the training images of all others train, the whole test set tests (GANomaly, the technical report).

    `seed` changes nothing. Raises: InputError for a set with no test images of the class, or no training images of the others.
    """
    labels, is_train = _checked(labels, is_train)
    _need((labels == novel) & ~is_train, novel, "no test images, so it cannot be the novel one: choose another class")
    train = np.flatnonzero(is_train & (labels != novel))
    if not len(train):
        raise InputError(f"no class but number {novel} has training images, so leave-one-out has nothing to train on: choose another class")
    return Split(train=train, test=np.flatnonzero(~is_train))


def held_out(labels: np.ndarray, is_train: np.ndarray, normal: int, seed: int = 0, *, groups: np.ndarray | None = None) -> Split:
    """How hyper-parameters are chosen: `standard` in small, within the training images alone. The test set is in no part of it.

    A fifth of every class's training images is drawn and validates, one normal class against all others in the proportions of the
    set; the other four fifths of the normal class train.

    Args:
        groups: (N,) int, images that belong together (views of one thing): a group is drawn whole, and fifths count groups.
    Returns: a split whose `test` is empty.
    Raises: InputError for a class of fewer than two training groups, or when no other class has any training images.
    """
    labels, is_train = _checked(labels, is_train)
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    rng = np.random.default_rng(seed)
    chosen: dict[int, Indices] = {}
    for label in np.unique(labels[is_train]):
        members = np.flatnonzero(is_train & (labels == label))
        drawn = rng.permutation(np.unique(groups[members]))
        chosen[int(label)] = members[np.isin(groups[members], drawn[: max(1, len(drawn) // 5)])]
    train = np.setdiff1d(np.flatnonzero(is_train & (labels == normal)), chosen.get(normal, _none()))
    if not len(train):
        raise InputError(f"class number {normal} has too few training images to hold a fifth of them out: choose another class")
    if len(chosen) < 2:
        raise InputError(f"no class but number {normal} has training images, so there is nothing to validate against: choose another set")
    validation = np.sort(np.concatenate(list(chosen.values())))
    return Split(train=train, validation=validation[~np.isin(groups[validation], groups[train])])


def thinned(split: Split, novel: np.ndarray, at_most: int, seed: int) -> Split:
    """The split with fewer images to score: up to half of `at_most` normal and half novel ones, drawn at random from either.

    AUROC does not depend on the share of novel images, so this estimates the same as the whole does, best where both are as many.

    Args: novel: (N,), 1 for the novel images of the set.
    """

    def drawn(which: Indices) -> Indices:
        rng = np.random.default_rng(seed)
        sides = [which[novel[which] == side] for side in (0, 1)]
        return np.sort(np.concatenate([rng.permutation(side)[: at_most // 2] for side in sides]))

    return Split(split.train, drawn(split.validation), drawn(split.test))


PROTOCOLS: Mapping[str, Callable[[np.ndarray, np.ndarray, int, int], Split]] = MappingProxyType(
    {"standard": standard, "gpnd": gpnd, "ocgan-p1": ocgan_p1, "leave-one-out": leave_one_out}
)


PARTING = ("gpnd", "ocgan-p1")  # they pool a class and draw from it, so pictures of one thing may come to both sides


def role(protocol: str) -> str:
    """What the class that is given to a protocol is: `normal`, or `novel`."""
    return "novel" if protocol == "leave-one-out" else "normal"


def is_novel(protocol: str, labels: np.ndarray, chosen: int) -> NDArray[np.int64]:
    """1 for every picture that is novel under a protocol, 0 for the normal ones, (N,): `chosen` is the class given to the protocol."""
    same = np.asarray(labels) == chosen
    return (same if role(protocol) == "novel" else ~same).astype(np.int64)


def _checked(labels: np.ndarray, is_train: np.ndarray) -> tuple[np.ndarray, NDArray[np.bool_]]:
    labels, is_train = np.asarray(labels), np.asarray(is_train, bool)
    if labels.ndim != 1 or labels.shape != is_train.shape:
        raise ValueError(f"labels {labels.shape} and is_train {is_train.shape} must both be (N,)")
    return labels, is_train


def _need(chosen: np.ndarray, number: int, fault: str, least: int = 1) -> Indices:
    """Indices where `chosen`, or InputError when there are fewer than `least`."""
    found = np.flatnonzero(chosen)
    if len(found) < least:
        raise InputError(f"class number {number} has {fault}")
    return found
