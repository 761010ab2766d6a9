"""Heat maps: the blur against a loop and scipy, the way back to the picture against the way there, the colours."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from novelette.data.images import Preprocessing, prepare
from novelette.heatmap import COLOURS, OPACITY, colour, heat_scale, overlay, smooth, to_picture


def test_smooth_by_a_plain_loop():
    rng = np.random.default_rng(0)
    heat, sigma, radius = rng.random((7, 9)), 1.0, 3
    weights = np.array([np.exp(-0.5 * i * i) for i in range(-radius, radius + 1)])
    weights /= weights.sum()
    mirrored = np.pad(heat, radius, mode="symmetric")
    expected = np.zeros_like(heat)
    for y in range(7):
        for x in range(9):
            for i in range(7):
                for j in range(7):
                    expected[y, x] += weights[i] * weights[j] * mirrored[y + i, x + j]
    np.testing.assert_allclose(smooth(heat, sigma), expected, atol=1e-6)  # float32


@pytest.mark.parametrize("sigma", [0.5, 1.7, 12.0])
def test_smooth_agrees_with_scipy_and_takes_stacks(sigma):
    maps = np.random.default_rng(0).random((2, 3, 16, 11)).astype(np.float32)
    expected = gaussian_filter(maps, (0, 0, sigma, sigma), mode="reflect", radius=int(np.ceil(3 * sigma)))
    np.testing.assert_allclose(smooth(maps, sigma), expected, atol=1e-5)


def test_smooth_keeps_constants_and_the_sum_and_zero_sigma_does_nothing():
    np.testing.assert_allclose(smooth(np.full((2, 5, 5), 3.0)), 3.0, rtol=1e-6)
    heat = np.zeros((33, 33), np.float32)
    heat[16, 16] = 1
    assert smooth(heat).sum() == pytest.approx(1, abs=1e-5)
    assert smooth(heat)[16, 16] < 0.3
    np.testing.assert_array_equal(smooth(heat, 0), heat)


@given(
    frame=st.sampled_from(["stretch", "crop", "pad"]),
    tiles=st.integers(1, 3),
    height=st.integers(24, 150),
    width=st.integers(24, 150),
    y=st.floats(0.05, 0.95),
    x=st.floats(0.05, 0.95),
)
@settings(max_examples=80, deadline=None)
def test_a_spot_comes_back_to_where_it_was_in_the_picture(frame, tiles, height, width, y, x):
    row, column = int(y * height), int(x * width)
    spot = np.exp(-((np.arange(height)[:, None] - row) ** 2 + (np.arange(width) - column) ** 2) / (2 * 4**2))
    picture = np.round(255 * spot).astype(np.uint8)
    preprocessing = Preprocessing(size=64, tiles=tiles, frame=frame)
    images = prepare(picture, preprocessing)[:, 0].astype(np.float32)  # the images themselves as the heat
    back = to_picture(images, preprocessing, picture.shape)
    assert back.shape == picture.shape
    assert back.dtype == np.float32
    seen = ~np.isnan(back)
    assert seen.all() or frame == "crop"
    # Two bilinear resizes soften a spot of 4 px sigma; a crop of odd remainder shifts it by half a pixel (its slope is up to 38 a pixel).
    assert np.abs(back - picture)[seen].max() < 60
    assert np.abs(back - picture)[seen].mean() < 8


def test_crop_marks_what_was_never_looked_at():
    preprocessing = Preprocessing(size=32, frame="crop")
    back = to_picture(np.ones((1, 32, 32)), preprocessing, (40, 60))
    assert np.isnan(back[:, :10]).all()
    assert np.isnan(back[:, 50:]).all()
    assert (back[:, 10:50] == 1).all()


def test_tiles_lie_row_by_row():
    maps = np.arange(4.0)[:, None, None] * np.ones((4, 32, 32))
    back = to_picture(maps, Preprocessing(size=32, tiles=2), (10, 20))
    assert [back[0, 0], back[0, 19], back[9, 0], back[9, 19]] == [0, 1, 2, 3]


def test_scale_ignores_what_was_never_looked_at():
    heat = np.arange(1001.0).reshape(7, 143)
    assert heat_scale([heat, np.full((2, 2), np.nan)]) == pytest.approx((500, 995))
    assert heat_scale([]) == (0, 1)


def test_infinite_heat_is_the_hottest_colour_and_sets_no_scale():
    heat = np.arange(1001.0).reshape(7, 143)
    heat[0, :9] = np.inf
    low, high = heat_scale([heat])
    assert (low, high) == pytest.approx((504.5, 995.04), abs=1)
    shown = overlay(np.zeros(heat.shape, np.uint8), heat, (low, high))
    assert (shown[0, 0] == shown[-1, -1]).all()


def test_colours_grow_lighter_with_heat():
    luminance = colour(np.linspace(0, 1, 101), (0, 1)).astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > -0.5).all()
    assert luminance[-1] > luminance[0] + 180
    np.testing.assert_array_equal(colour(np.array([-5, 0, 1, 9]), (0, 1)), COLOURS[[0, 0, -1, -1]])


def test_overlay_by_hand():
    picture = np.array([[100, 100, 100, 100]], np.uint8)
    heat = np.array([[0.0, 1.0, 2.0, np.nan]])
    result = overlay(picture, heat, (0, 1))
    assert result.shape == (1, 4, 3)
    assert result.dtype == np.uint8
    hot = np.rint(100 * (1 - OPACITY) + COLOURS[-1] * OPACITY)
    np.testing.assert_array_equal(result[0], [[100] * 3, hot, hot, [100] * 3])


def test_overlay_takes_colour_as_grey_and_flat_scales():
    picture = np.full((2, 2, 3), [255, 0, 0], np.uint8)
    np.testing.assert_array_equal(overlay(picture, np.zeros((2, 2)), (0, 0)), np.full((2, 2, 3), 76))
    assert (overlay(picture, np.ones((2, 2)), (0, 0)) > 76).any()


def test_overlay_refuses_another_size_and_a_turned_scale():
    with pytest.raises(ValueError, match="both must be"):
        overlay(np.zeros((2, 3), np.uint8), np.zeros((3, 2)), (0, 1))
    with pytest.raises(ValueError, match="low end"):
        overlay(np.zeros((2, 3), np.uint8), np.zeros((2, 3)), (1, 0))
