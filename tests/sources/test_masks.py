"""What is a mask and not a picture, and whose it is."""

from pathlib import Path

import numpy as np
import pytest
from sources.picture_files import GREY, save

from novelette.data.masks import find_mask, looks_like_mask
from novelette.data.sources import FolderSource, open_source

SHARED = Path(__file__).parents[3] / "shared" / "data"
TILES = SHARED / "magnetic_tile"


def test_masks_are_not_pictures_and_are_found_for_theirs(tmp_path):
    mask = ((GREY > 99) * 255).astype(np.uint8)
    for name in ("test/scratch/000.png", "test/good/001.png", "a.png", "b.jpg", "c.jpg", "images/d.jpg", "lone_mask.png"):
        save(GREY, tmp_path / name)
    belongs = {
        "test/scratch/000.png": "ground_truth/scratch/000_mask.png",
        "a.png": "a_gt.bmp",
        "b.jpg": "b.png",
        "images/d.jpg": "Masks/d.png".lower(),
    }
    for name in belongs.values():
        save(mask, tmp_path / name)
    save(GREY, tmp_path / "c.png")  # beside c.jpg, but a picture by its values
    source = open_source(tmp_path)
    assert source.names == (
        "a.png", "b.jpg", "c.jpg", "c.png", "images/d.jpg", "lone_mask.png", "test/good/001.png", "test/scratch/000.png",
    )  # fmt: skip
    assert source.masks == tuple(sorted(belongs.values()))
    for name in source.names:
        expected = tmp_path / belongs[name] if name in belongs else None
        assert find_mask(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("picture", "mask"),
    [
        ("test/cut/0.png", "Ground_Truth/cut/0_mask.png"),
        ("test/cut/0.png", "ground_truth/cut/0_mask.PNG"),
        ("0.png", "0_MASK.png"),
        ("0.png", "0_mask.PNG"),
        ("0.jpg", "0.PNG"),
    ],
)
def test_a_mask_is_found_whatever_its_case(picture, mask, tmp_path):
    save(GREY, tmp_path / picture)
    save(((GREY > 99) * 255).astype(np.uint8), tmp_path / mask)
    source = open_source(tmp_path)
    assert (source.names, source.masks) == ((picture,), (mask,))
    assert find_mask(tmp_path / picture) == tmp_path / mask


def test_of_two_masks_that_differ_in_case_a_picture_has_its_own(tmp_path):
    for name in ("a.png", "A.png", "a_mask.png", "A_mask.png"):
        save(GREY, tmp_path / name)
    assert [find_mask(tmp_path / f"{a}.png").name for a in "aA"] == ["a_mask.png", "A_mask.png"]


@pytest.mark.parametrize(("soft", "verdict"), [(0.04, True), (0.06, False)])
def test_a_mask_may_have_a_few_soft_edges(tmp_path, soft, verdict):
    pixels = np.zeros((100, 100), np.uint8)
    pixels[30:60] = 255
    pixels.flat[: round(soft * pixels.size)] = 128
    assert looks_like_mask(save(pixels, tmp_path / "a.png")) is verdict


def test_a_colour_picture_is_no_mask(tmp_path):
    assert not looks_like_mask(save(np.full((5, 5, 3), (0, 0, 255), np.uint8), tmp_path / "a.png"))


@pytest.mark.skipif(not TILES.is_dir(), reason="the magnetic-tile pictures are not here")
def test_magnetic_tile_masks_stay_out():
    source = FolderSource(TILES / "MT_Crack")
    assert len(source) == len(source.masks) == 57
    assert all(name.endswith(".jpg") for name in source.names)
    assert all(find_mask(source.path(i)) == source.path(i).with_suffix(".png") for i in range(5))
