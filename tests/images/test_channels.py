"""Channels: what counts as grey, what becomes of colour, and which of the two pictures are."""

import re
from pathlib import Path

import numpy as np
import pytest
from images.pixels_and_files import GREY, RGB, folder_of, grey_as_rgb, rng
from PIL import Image

from novelette.data import pixels
from novelette.data.images import Preprocessing, guess_channels, load, load_to_fit, prepare, stream
from novelette.data.pixels import is_grey, luminance, over_white, to_uint8
from novelette.data.sources import ArraySource, SubsetSource, open_source
from novelette.errors import InputError

SHARED = Path(__file__).parents[3] / "shared" / "data"


def test_luminance_is_pillows():
    assert np.array_equal(luminance(RGB), np.asarray(Image.fromarray(RGB).convert("L")))
    assert np.array_equal(luminance(grey_as_rgb(GREY)), GREY)  # exact for grey


def test_formulas_do_not_depend_on_how_many_pixels_go_at_a_time(monkeypatch):
    rgba = rng.integers(0, 256, (2, 40, 60, 4), np.uint8)
    deep = rng.integers(0, 65536, (2, 40, 60, 3)).astype(np.uint16)
    whole = [luminance(rgba[..., :3]), over_white(rgba), to_uint8(deep), is_grey(rgba[..., :3] // 30)]
    for strip in (1, 100, 5000):
        monkeypatch.setattr(pixels, "STRIP", strip)
        parts = [luminance(rgba[..., :3]), over_white(rgba), to_uint8(deep), is_grey(rgba[..., :3] // 30)]
        assert all(map(np.array_equal, parts, whole))


def test_one_channel_refuses_colour_in_one_sentence_with_the_name():
    with pytest.raises(InputError, match=r"1 channel was given a colour picture, parts/7\.png: .*--channels 3"):
        prepare(RGB, Preprocessing(), "parts/7.png")


@pytest.mark.parametrize("kind", ["files", "array"])
def test_a_colour_picture_among_grey_ones_is_left_out_and_named_and_stops_a_fit(tmp_path, kind):
    pictures = np.stack([grey_as_rgb(GREY), RGB, grey_as_rgb(GREY)])
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{i}.png")
    source, left_out = open_source(tmp_path if kind == "files" else pictures), {}
    (chunk,) = stream(source, Preprocessing(), unreadable=left_out)
    assert chunk.indices.tolist() == [0, 2]
    assert list(left_out) == [1]
    assert "in colour" in left_out[1]
    with pytest.raises(InputError, match=rf"{re.escape(source.names[1])} is in colour.*--channels 3"):
        load_to_fit(source, Preprocessing())
    assert load(source, Preprocessing()).indices.tolist() == [0, 2]
    with pytest.raises(InputError, match=re.escape("cannot be read (it is in colour")):
        list(stream(SubsetSource(source, np.array([1])), Preprocessing()))


def test_one_channel_takes_the_luminance_if_asked():
    preprocessing = Preprocessing(colour="convert")
    assert np.array_equal(prepare(RGB, preprocessing), prepare(luminance(RGB), preprocessing))


def test_grey_saved_as_rgb_counts_as_grey():
    assert np.array_equal(prepare(grey_as_rgb(GREY), Preprocessing()), prepare(GREY, Preprocessing()))


@pytest.mark.parametrize(("suffix", "options"), [(".jpg", {"quality": 60}), (".webp", {"quality": 60}), (".png", {})])
def test_grey_saved_as_a_colour_file_counts_as_grey(tmp_path, suffix, options):
    noisy = grey_as_rgb(GREY // 2 + 60) + rng.integers(0, 2, RGB.shape, np.uint8)
    Image.fromarray(noisy).save(tmp_path / f"a{suffix}", **options)
    source = open_source(tmp_path)
    assert source.read(0).ndim == 3
    assert guess_channels(source) == 1
    assert len(load(source, Preprocessing()).pixels) == 1


def test_a_faint_tint_and_a_small_coloured_spot_are_colour():
    tinted, spotted = grey_as_rgb(GREY // 2), grey_as_rgb(GREY)
    tinted[..., 0] += 12
    spotted[5, 5] = (200, 20, 20)
    assert is_grey(np.stack([tinted, spotted, grey_as_rgb(GREY)])).tolist() == [False, False, True]


def test_three_channels_repeat_grey():
    out = prepare(GREY, Preprocessing(channels=3))
    assert out.shape == (1, 3, 32, 32)
    assert np.array_equal(out[0, 0], out[0, 1])
    assert np.array_equal(out[0, :1], prepare(GREY, Preprocessing())[0])


def test_channels_are_guessed_from_a_spread_sample_of_readable_pictures(tmp_path):
    assert guess_channels(ArraySource(np.stack([RGB] * 3))) == 3
    assert guess_channels(ArraySource(np.stack([GREY] * 3))) == 1
    mixed = [grey_as_rgb(GREY)] * 199 + [RGB]  # the last is always in the sample
    assert guess_channels(ArraySource(np.stack(mixed))) == 3
    assert guess_channels(open_source(folder_of([b"text", GREY], tmp_path / "f"))) == 1
    asked = []
    source = ArraySource(np.zeros((10_000, 2, 2), np.uint8))
    source.read = lambda i: asked.append(i) or np.zeros((2, 2), np.uint8)
    guess_channels(source)
    assert len(asked) == 64
    assert (asked[0], asked[-1]) == (0, 9999)


@pytest.mark.skipif(not (SHARED / "coil20").is_dir(), reason="COIL-20's pictures are not here")
def test_coil20_is_grey_and_complete():
    source = open_source(SHARED / "coil20")
    assert (len(source), guess_channels(source)) == (1440, 1)
    loaded = load(SubsetSource(source, range(0, 1440, 60)), Preprocessing())
    assert loaded.pixels.shape == (24, 1, 1, 32, 32)
    assert not loaded.unreadable


@pytest.mark.skipif(not (SHARED / "flickr8k_1000").is_dir(), reason="the photographs are not here")
def test_photographs_are_colour():
    source = open_source(SHARED / "flickr8k_1000" / "images")
    assert guess_channels(source) == 3
    assert load(SubsetSource(source, range(8)), Preprocessing(channels=3, tiles=2)).pixels.shape == (8, 4, 3, 32, 32)
