"""Decoding: every kind of file gives back the pixels that were put into it, as uint8, upright."""

import numpy as np
import pytest
from PIL import Image
from sources.picture_files import GREY, RGB, encoded, png_of_16_bits, rng, save

from novelette.data import decode
from novelette.data.decode import read_picture
from novelette.data.sources import ArraySource, UnreadablePicture


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".gif", ".webp"])
@pytest.mark.parametrize("pixels", [GREY, RGB], ids=["grey", "rgb"])
def test_lossless_files_give_back_the_pixels_that_were_saved(tmp_path, suffix, pixels):
    if suffix == ".gif" and pixels.ndim == 3:
        pixels = pixels // 128 * 255  # eight colours fit a palette
    options = {"lossless": True} if suffix == ".webp" else {}
    read = read_picture(save(pixels, tmp_path / f"a{suffix}", **options))
    if suffix == ".webp" and pixels.ndim == 2:  # the format has no grey
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    assert read.dtype == np.uint8
    assert np.array_equal(read, pixels)


def test_a_jpeg_is_grey_or_rgb_as_saved(tmp_path):
    smooth = np.tile(np.arange(0, 240, 10, np.uint8), (24, 1))
    assert read_picture(save(smooth, tmp_path / "a.jpg")).shape == (24, 24)
    assert read_picture(save(np.stack([smooth] * 3, 2), tmp_path / "b.jpg")).shape == (24, 24, 3)


def test_one_bit_is_black_and_white(tmp_path):
    assert np.array_equal(read_picture(save(GREY > 99, tmp_path / "a.png")), (GREY > 99) * np.uint8(255))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_divided_by_257(tmp_path, suffix):
    values = rng.integers(0, 65536, (9, 13)).astype(np.uint16)
    assert np.array_equal(read_picture(save(values, tmp_path / f"a{suffix}")), np.rint(values / 257))


def test_sixteen_bits_in_the_other_byte_order(tmp_path):
    values = rng.integers(0, 65536, (9, 13)).astype(np.uint16)
    image = Image.frombytes("I;16B", (13, 9), values.astype(">u2").tobytes())
    image.save(tmp_path / "a.tif")
    assert np.array_equal(read_picture(tmp_path / "a.tif"), np.rint(values / 257))


def test_sixteen_bit_colour_keeps_its_lower_bytes(tmp_path):
    values = rng.integers(0, 65536, (9, 13, 3)).astype(np.uint16)
    assert np.array_equal(read_picture(png_of_16_bits(values, tmp_path / "a.png")), np.rint(values / 257))


def test_sixteen_bit_colour_with_alpha_equals_the_array(tmp_path):
    values = rng.integers(0, 65536, (9, 13, 4)).astype(np.uint16)
    read = read_picture(png_of_16_bits(values, tmp_path / "a.png"))
    assert np.array_equal(read, ArraySource(values[None]).read(0))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16", "16-bit colour"])
def test_a_large_picture_is_converted_some_rows_at_a_time_to_the_same_pixels(tmp_path, monkeypatch, mode):
    path = tmp_path / "a.png"
    if mode == "16-bit colour":
        png_of_16_bits(rng.integers(0, 65536, (40, 30, 3)).astype(np.uint16), path)
    else:
        path.write_bytes(encoded(mode, 30, 40, "PNG", seed=1))
    whole = read_picture(path)
    monkeypatch.setattr(decode, "LARGE_PIXELS", 30 * 7)
    assert np.array_equal(read_picture(path), whole)


def test_sixteen_bit_grey_with_alpha_is_grey(tmp_path):
    values = np.full((4, 5, 2), 65535, np.uint16)
    values[..., 0] = 30000
    read = read_picture(png_of_16_bits(values, tmp_path / "a.png"))
    assert read.shape == (4, 5)
    assert np.all(read == 30000 // 256)


def test_32_bit_integers_are_sixteen_bits_in_a_wider_type(tmp_path):
    values = rng.integers(0, 65536, (9, 13)).astype(np.int32)
    assert np.array_equal(read_picture(save(values, tmp_path / "a.tif")), np.rint(values / 257))
    with pytest.raises(UnreadablePicture, match=r"outside 0\.\.65535"):
        read_picture(save(values - 70000, tmp_path / "b.tif"))


def test_floats_lie_in_0_to_1(tmp_path):
    assert np.array_equal(read_picture(save((GREY / 255).astype(np.float32), tmp_path / "a.tif")), GREY)
    with pytest.raises(UnreadablePicture, match=r"outside 0\.\.1"):
        read_picture(save(GREY.astype(np.float32), tmp_path / "b.tif"))
    with pytest.raises(UnreadablePicture, match="not finite"):
        read_picture(save(np.full((3, 3), np.nan, np.float32), tmp_path / "c.tif"))


def test_alpha_is_laid_over_white(tmp_path):
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = (0, 128, 255)  # black: transparent, half, opaque
    assert read_picture(save(rgba, tmp_path / "a.png"))[0, :, 0].tolist() == [255, 127, 0]
    Image.fromarray(rgba).convert("LA").save(tmp_path / "b.png")
    assert read_picture(tmp_path / "b.png").tolist() == [[255, 127, 0]]


def test_a_transparent_palette_entry_is_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    image.save(tmp_path / "a.png", transparency=1)
    assert read_picture(tmp_path / "a.png").tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_cmyk_becomes_rgb(tmp_path):
    image = Image.new("CMYK", (2, 2), (255, 0, 0, 0))
    image.save(tmp_path / "a.tif")
    assert read_picture(tmp_path / "a.tif").tolist() == [[[0, 255, 255]] * 2] * 2


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(tmp_path, suffix, orientation):
    quarters = np.kron(np.array([[[250, 0, 0], [0, 250, 0]], [[0, 0, 250], [90, 90, 90]]], np.uint8), np.ones((16, 24, 1)))
    stored = {  # how a camera stores the upright picture, by EXIF's definition of each value
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: np.rot90(a, 2),
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a),
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }[orientation](quarters)
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if suffix == ".webp" else {}
    path = save(np.ascontiguousarray(stored.astype(np.uint8)), tmp_path / f"a{suffix}", exif=exif, **lossless)
    read = read_picture(path)
    assert read.shape == quarters.shape
    assert np.abs(read[8::16, 12::24].astype(int) - quarters[8::16, 12::24]).max() <= 3  # JPEG rounds


def test_only_the_first_frame_of_an_animation_counts(tmp_path):
    frames = [Image.fromarray(np.full((4, 4), v, np.uint8)) for v in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert np.all(read_picture(tmp_path / "a.gif") == 10)
