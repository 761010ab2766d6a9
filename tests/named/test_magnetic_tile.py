"""Magnetic tiles: frames of one tile stay together, and every picture has its mask."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from named.made_sets import DATA

from novelette.data import named
from novelette.data.magnetic_tile import COMES_BACK, GAP, TWO_FACED, tile_groups, training_tiles
from novelette.data.named import load_named
from novelette.localization import mask_of


def frames(*numbers: int, name: str = "Free") -> list[str]:
    return [f"MT_{name}/Imgs/exp1_num_{n}.jpg" for n in numbers]


def test_frames_close_together_or_known_to_come_back_share_a_group() -> None:
    names = [*frames(2000, 2000 + GAP, 2001 + 2 * GAP), *frames(5874, 13526, 13549), "other.jpg", "another.jpg"]
    a, b, c, first, back, beside, x, y = tile_groups(names)
    assert a == b != c
    assert first == back == beside
    assert len({a, c, first, x, y}) == 5


@given(st.lists(st.integers(0, 360_000), unique=True, min_size=1, max_size=80), st.integers(0, 2**31))
@settings(max_examples=100, deadline=None)
def test_groups_do_not_depend_on_the_order_and_are_never_parted(numbers: list[int], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(numbers))
    names = frames(*numbers)
    groups, shuffled = tile_groups(names), tile_groups([names[i] for i in order])
    assert np.array_equal(groups[:, None] == groups, (shuffled[:, None] == shuffled)[np.ix_(np.argsort(order), np.argsort(order))])
    labels = (np.arange(len(names)) % 3 == 0).astype(np.int64)
    is_train = training_tiles(names, labels)
    normal = labels == 0
    assert not is_train[~normal].any()
    assert not set(groups[is_train]) & set(groups[normal & ~is_train])


@pytest.fixture(scope="module")
def tiles() -> named.NamedSet:
    if not (DATA / "magnetic_tile").is_dir():
        pytest.skip("needs the magnetic tiles in ../shared/data")
    return load_named("magnetic-tile", data_roots=[DATA], download=False)


def test_magnetic_tiles_train_on_80_percent_of_the_normal_ones(tiles: named.NamedSet) -> None:
    assert tiles.title == "Magnetic tiles"
    assert len(tiles.source) == 1344
    assert np.bincount(tiles.labels).tolist() == [952, 115, 85, 57, 32, 103]
    assert tiles.is_train.sum() == 762
    assert not tiles.is_train[tiles.labels != 0].any()


def test_no_magnetic_tile_lies_on_both_sides(tiles: named.NamedSet) -> None:
    assert tiles.groups is not None
    normal = tiles.labels == 0
    assert not set(tiles.groups[tiles.is_train]) & set(tiles.groups[normal & ~tiles.is_train])
    number = {int(n.split("num_")[1][:-4]): i for i, n in enumerate(tiles.source.names)}
    for chain in COMES_BACK:
        assert len({int(tiles.groups[number[frame]]) for frame in chain}) == 1
    for first, last in TWO_FACED:
        assert not any(tiles.is_train[i] for frame, i in number.items() if first <= frame <= last)


def test_every_magnetic_tile_has_its_mask(tiles: named.NamedSet) -> None:
    for i in (0, 1000, 1343):
        mask = mask_of(tiles.source, i)
        assert mask is not None
        assert mask.shape == tiles.source.read(i).shape[:2]
        assert mask.any() == (tiles.labels[i] != 0)
