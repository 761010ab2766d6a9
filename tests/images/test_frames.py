"""Frames and tiles: the part of a picture that is seen, and its size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images.pixels_and_files import RGB, rng

from novelette.data.images import Preprocessing, prepare


def test_an_image_of_the_right_size_stays_as_it_is():
    picture = rng.integers(0, 256, (32, 32, 3), np.uint8)
    for frame in ("stretch", "crop", "pad"):
        out = prepare(picture, Preprocessing(channels=3, frame=frame))
        assert np.array_equal(out[0], np.moveaxis(picture, 2, 0))


def test_stretch_halves_by_hand():
    # 64 -> 32 with a bilinear filter of widened support: weights 1, 3, 3, 1 over 8 on each axis
    picture = rng.integers(0, 256, (64, 64), np.uint8)
    weights = np.array([1, 3, 3, 1]) / 8
    window = picture[19:23, 29:33]  # the pixels about 2 * 10 and 2 * 15
    expected = weights @ window @ weights
    assert abs(int(prepare(picture, Preprocessing())[0, 0, 10, 15]) - expected) <= 1  # two roundings


def test_crop_keeps_the_middle_square():
    picture = np.full((40, 80), 200, np.uint8)
    picture[:, 20:60] = 50
    assert np.all(prepare(picture, Preprocessing(frame="crop"))[..., 1:-1] == 50)
    assert np.all(prepare(picture.T, Preprocessing(frame="crop"))[..., 1:-1, :] == 50)


def test_pad_keeps_everything_and_fills_with_the_borders_median():
    picture = np.full((40, 80, 3), (10, 90, 200), np.uint8)
    picture[10:30, 20:60] = 255
    out = prepare(picture, Preprocessing(channels=3, frame="pad"))[0]
    assert np.array_equal(out[:, :8], np.broadcast_to(np.array([10, 90, 200], np.uint8)[:, None, None], (3, 8, 32)))
    assert np.array_equal(out[:, -8:], out[:, :8])
    assert np.all(out[:, 14:18, 12:20] == 255)


def test_tiles_are_row_major_parts_of_the_picture():
    picture = np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40, np.ones((96, 64), np.uint8))
    out = prepare(picture, Preprocessing(tiles=6))
    assert out.shape == (36, 1, 32, 32)
    assert out[:, 0, 16, 16].reshape(6, 6).tolist() == np.kron([[0, 40, 80], [120, 160, 200]], np.ones((3, 2))).tolist()


def test_tiles_put_together_are_the_picture_framed_at_their_size():
    big = prepare(RGB, Preprocessing(size=128, channels=3, frame="pad"))[0]
    small = prepare(RGB, Preprocessing(size=32, channels=3, frame="pad", tiles=4))
    assert np.array_equal(small.reshape(4, 4, 3, 32, 32).transpose(2, 0, 3, 1, 4).reshape(3, 128, 128), big)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    colour=st.booleans(),
    channels=st.sampled_from([1, 3]),
    frame=st.sampled_from(["stretch", "crop", "pad"]),
    tiles=st.integers(1, 3),
)
def test_any_picture_becomes_images_of_the_stated_shape(shape, colour, channels, frame, tiles):
    picture = np.full((*shape, 3) if colour else shape, 77, np.uint8)
    out = prepare(picture, Preprocessing(channels=channels, frame=frame, tiles=tiles))
    assert out.dtype == np.uint8
    assert out.shape == (tiles**2, channels, 32, 32)
    assert np.all(out == 77)  # framing a plain picture adds nothing to it


@pytest.mark.parametrize("picture", [np.zeros((4, 4)), np.zeros(4, np.uint8), np.zeros((4, 4, 4), np.uint8)])
def test_prepare_takes_decoded_pictures_only(picture):
    with pytest.raises(ValueError, match="a picture is uint8"):
        prepare(picture, Preprocessing())
