"""Preparing a picture: its settings, its hash, its tensor, and the same bytes from a file and from an array."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from images.pixels_and_files import GREY, folder_of, grey_as_rgb, rng
from PIL import Image
from pydantic import ValidationError

from novelette.data.images import Preprocessing, as_tensor, content_hash, load
from novelette.data.sources import open_source


@pytest.mark.parametrize("wrong", [{"size": 48}, {"channels": 2}, {"tiles": 0}, {"tiles": 9}, {"frame": "x"}, {"resize": 1}])
def test_preprocessing_refuses_what_it_does_not_know(wrong):
    with pytest.raises(ValidationError):
        Preprocessing(**wrong)


def test_preprocessing_survives_json():
    preprocessing = Preprocessing(size=128, channels=3, frame="pad", tiles=4, colour="convert")
    assert Preprocessing.model_validate_json(preprocessing.model_dump_json()) == preprocessing


def test_the_hash_is_of_shape_and_pixels():
    assert content_hash(GREY) == content_hash(GREY.copy()) == content_hash(np.asfortranarray(GREY))
    assert content_hash(GREY) == content_hash(grey_as_rgb(GREY)) == content_hash(GREY[..., None])
    assert content_hash(GREY) != content_hash(GREY.reshape(60, 40))
    changed = GREY.copy()
    changed[0, 0] ^= 1
    assert content_hash(GREY) != content_hash(changed)


def test_the_hash_is_the_same_for_ever():
    # Calibration pictures are held out by it: a new value would move them in every saved detector's history.
    assert content_hash(np.arange(6, dtype=np.uint8).reshape(2, 3)) == 16609077507809636305


@pytest.mark.parametrize("preprocessing", [
    Preprocessing(size=64),
    Preprocessing(frame="crop", tiles=2),
    Preprocessing(frame="pad", channels=3),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float", "bool"])
def test_a_picture_and_its_pixels_as_an_array_give_the_same_bytes(tmp_path, preprocessing, kind):
    array = rng.integers(0, 65536, (3, 50, 70)).astype(np.uint16)
    array = {
        "uint8": (array >> 8).astype(np.uint8),
        "uint16": array,
        "float": (array / 65535).astype(np.float32),
        "bool": array > 9999,
    }[kind]
    for i, picture in enumerate(array):
        Image.fromarray(picture).save(tmp_path / f"{i}.tif")
    from_files, from_array = load(open_source(tmp_path), preprocessing), load(open_source(array), preprocessing)
    assert np.array_equal(from_files.pixels, from_array.pixels)
    assert np.array_equal(from_files.hashes, from_array.hashes)


def test_colour_with_alpha_is_the_same_from_file_and_array(tmp_path):
    array = rng.integers(0, 256, (3, 50, 70, 4), np.uint8)
    source = open_source(folder_of(list(array), tmp_path))
    preprocessing = Preprocessing(colour="convert")
    assert np.array_equal(load(source, preprocessing).pixels, load(open_source(array), preprocessing).pixels)


def test_as_tensor_rescales_to_plus_minus_one():
    levels = np.array([0, 51, 255], np.uint8).reshape(3, 1, 1, 1)
    for given_ in (levels, torch.from_numpy(levels.copy()), np.broadcast_to(levels, (3, 1, 2, 2))):
        x = as_tensor(given_)
        assert x.dtype == torch.float32
        assert torch.allclose(x[:, 0, 0, 0], torch.tensor([-1.0, -0.6, 1.0]), atol=1e-6)  # float32 rounding
    assert levels.ravel().tolist() == [0, 51, 255]  # untouched
    with pytest.raises(TypeError, match="uint8"):
        as_tensor(levels.astype(np.float32))


def test_reading_pictures_needs_no_torch():
    code = "import sys, novelette.data.images; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
