"""What augmentation does to a picture: by how much it is turned, moved and zoomed, and how it is mirrored."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from novelette.classify.pictures import Augmentation, Pictures

SIDE, MANY = 64, 300


def spot(row: float, column: float, radius: float = 5.0) -> Tensor:
    """A white disc on black, its middle so far from the picture's, px: uint8 (1, S, S)."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    return torch.from_numpy(255 * (np.hypot(y - row, x - column) <= radius).astype(np.uint8))[None]


def changed(picture: Tensor, **augmentation: float) -> Tensor:
    """So many copies of a picture, each changed in its own way: brightness from 0 to 1, (N, S, S)."""
    pictures = Pictures(picture.expand(MANY, 1, SIDE, SIDE), Augmentation(**augmentation), seed=0)
    return (pictures.at(0, torch.arange(MANY))[:, 0] + 1) / 2


def middles(light: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the centre of light, px from the picture's middle, (N,) each."""
    at, sums = torch.arange(SIDE) - (SIDE - 1) / 2, light.sum((1, 2))
    return ((light.sum(2) @ at) / sums).numpy(), ((light.sum(1) @ at) / sums).numpy()


def test_pictures_are_turned_by_up_to_so_many_degrees_each_way():
    rows, columns = middles(changed(spot(0, 20), rotate=30))
    angles = np.degrees(np.arctan2(rows, columns))
    assert np.hypot(rows, columns) == pytest.approx(20, abs=0.2)  # about the middle; discs of pixels are not round
    assert angles.max() == pytest.approx(30, abs=1)  # of so many draws; beyond, half a pixel at most
    assert angles.min() == pytest.approx(-30, abs=1)


def test_pictures_are_moved_by_up_to_such_a_part_of_their_side():
    for values in middles(changed(spot(0, 0), shift=0.1)):
        assert values.max() == pytest.approx(0.1 * SIDE, abs=0.2)
        assert values.min() == pytest.approx(-0.1 * SIDE, abs=0.2)


def test_pictures_are_made_larger_or_smaller_by_up_to_such_a_part():
    light = changed(spot(0, 0, 12), zoom=0.25)
    sizes = (light.sum((1, 2)).numpy() / (math.pi * 12**2)) ** 0.5
    assert sizes.max() == pytest.approx(1.25, abs=0.02)
    assert sizes.min() == pytest.approx(0.75, abs=0.02)


def test_half_of_them_are_mirrored_left_to_right():
    light = changed(spot(-10, 14), mirror=True)
    rows, columns = middles(light)
    assert rows == pytest.approx(-10, abs=0.01)
    assert np.abs(columns) == pytest.approx(14, abs=0.01)
    assert (columns < 0).mean() == pytest.approx(0.5, abs=0.1)  # three standard deviations of 300 coins
    assert torch.allclose(light[int(columns.argmin())], light[int(columns.argmax())].flip(-1), atol=1e-6)
