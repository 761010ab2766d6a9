"""Heat maps against masks: which masks count, the AUROC over all pixels, and the difference to the mean picture beside it."""

import numpy as np
import pytest
from pictures import stripes, write
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score

import novelette
from novelette import localization, metrics
from novelette.data.images import Preprocessing, load
from novelette.data.sources import ArraySource, FolderSource, SubsetSource
from novelette.localization import localize, mask_of


@pytest.fixture(scope="module")
def detector():
    return novelette.fit("knn", stripes(40), k=1, metric="euclidean")


def spoiled(n, seed=5):
    """Stripes with a bright square of 6 px somewhere, and their masks (n, 32, 32) bool."""
    pictures, masks, rng = stripes(n, seed), np.zeros((n, 32, 32), bool), np.random.default_rng(seed)
    for picture, mask, (y, x) in zip(pictures, masks, rng.integers(0, 26, (n, 2)), strict=True):
        mask[y : y + 6, x : x + 6] = True
        picture[mask] = 250
    return pictures, masks


def write_masked(folder, pictures, masks):
    write(folder, pictures)
    for i, mask in enumerate(masks):
        Image.fromarray(mask if mask.dtype == np.uint8 else mask * np.uint8(255)).save(folder / f"{i:02}_mask.png")
    return FolderSource(folder)


def test_pixel_auroc_of_small_pictures_is_that_of_their_whole_maps(detector, tmp_path):
    pictures, masks = spoiled(4)
    source = write_masked(tmp_path, pictures, masks)
    found = localize(detector, source, np.arange(4), None)
    heat = [detector.heatmap(picture) for picture in pictures]
    assert found.n_masks == 4
    assert found.pixel_auroc == metrics.pixel_auroc(heat, masks)
    assert found.pixel_auroc == pytest.approx(roc_auc_score(masks.ravel(), np.stack(heat).ravel()))
    assert found.pixel_auroc > 0.9  # a bright square on soft stripes
    assert found.mean_picture_auroc is None
    assert localize(detector, source, np.array([2]), None).pixel_auroc == metrics.pixel_auroc(heat[2:3], masks[2:3])


def test_the_difference_to_the_mean_picture_by_hand(detector, tmp_path):
    train = stripes(40)
    pictures, masks = spoiled(3)
    source = write_masked(tmp_path, pictures, masks)
    found = localize(detector, source, np.arange(3), load(ArraySource(train), Preprocessing()).pixels)
    difference = np.abs(pictures - np.round(train.mean(axis=0))) / 127.5
    smooth = [gaussian_filter(d, 1, mode="reflect", radius=3) for d in difference]  # a pixel at 32 px
    by_hand = roc_auc_score(masks.ravel(), np.stack(smooth).ravel())
    assert found.mean_picture_auroc == pytest.approx(by_hand, abs=1e-4)  # float32: of 324 x 2,748 pairs a few may change places
    assert found.pixel_auroc == localize(detector, source, np.arange(3), None).pixel_auroc


def test_a_mask_that_cannot_be_read_is_left_out(detector, tmp_path):
    pictures, masks = spoiled(3)
    source = write_masked(tmp_path, pictures, masks)
    (tmp_path / "01_mask.png").write_bytes((tmp_path / "01_mask.png").read_bytes()[:40])
    assert mask_of(source, 1) is None
    found = localize(detector, source, np.arange(3), None)
    assert found.n_masks == 2
    assert found.pixel_auroc == metrics.pixel_auroc([detector.heatmap(pictures[i]) for i in (0, 2)], masks[[0, 2]])
    for path in tmp_path.glob("*_mask.png"):
        path.write_text("no picture")
    assert localize(detector, source, np.arange(3), None) is None


@pytest.mark.parametrize("marked", ["0 and 1", "0 and 255", "black and white", "colour", "alike in three channels"])
def test_masks_mark_what_is_brighter_than_half_of_their_brightest(marked, tmp_path):
    pictures, (mask,) = spoiled(1)
    write(tmp_path, pictures)
    values = {
        "0 and 1": mask.astype(np.uint8),
        "0 and 255": mask * np.uint8(255),
        "black and white": mask,
        "colour": mask[..., None] * np.array([0, 0, 200], np.uint8),
        "alike in three channels": np.repeat(mask[..., None], 3, axis=2) * np.uint8(255),
    }
    Image.fromarray(values[marked]).save(tmp_path / "00_mask.png")
    np.testing.assert_array_equal(mask_of(SubsetSource(FolderSource(tmp_path), [0]), 0), mask)


def test_an_empty_mask_marks_nothing(detector, tmp_path):
    pictures, _ = spoiled(1)
    source = write_masked(tmp_path, pictures, np.zeros((1, 32, 32), bool))
    assert not mask_of(source, 0).any()
    assert localize(detector, source, np.array([0]), None) is None


def test_pictures_without_a_mask_of_their_size_are_left_out(detector, tmp_path):
    pictures, masks = spoiled(3)
    source = write_masked(tmp_path, pictures, masks)
    (tmp_path / "00_mask.png").unlink()
    Image.fromarray(np.full((16, 16), 255, np.uint8)).save(tmp_path / "01_mask.png")
    assert localize(detector, source, np.arange(3), None).n_masks == 1
    assert localize(detector, ArraySource(pictures), np.arange(3), None) is None


def test_of_large_pictures_every_so_manyth_pixel_counts(detector, tmp_path, monkeypatch):
    pictures, masks = spoiled(1)
    large, mask = (np.kron(a, np.ones((1, 40, 20), np.uint8)) for a in (pictures, masks))  # 1280 x 640: every third
    source = write_masked(tmp_path, large, mask.astype(bool))
    seen, original = [], metrics.pixel_auroc
    monkeypatch.setattr(metrics, "pixel_auroc", lambda maps, masks: original(seen.extend(maps) or maps, masks))
    found = localize(detector, source, np.array([0]), load(ArraySource(stripes(40)), Preprocessing()).pixels)
    assert [heat.shape for heat in seen] == [(427, 214)] * 2
    assert max(seen[0].shape) <= localization.MOST_PX
    assert all(heat.base is None for heat in seen)  # copies: a view would keep the whole map
    whole = original([detector.heatmap(large[0])], mask)
    assert found.pixel_auroc == pytest.approx(whole, abs=0.005)  # a ninth of the pixels of smooth maps


@pytest.mark.parametrize("where", ["outside of the crop", "everywhere"])
def test_masks_of_one_kind_of_pixel_alone_tell_nothing(where, tmp_path):
    detector = novelette.fit("knn", stripes(40), k=1, frame="crop")
    picture = np.repeat(stripes(1), 3, axis=2)  # 32 x 96, of which the middle 32 x 32 is looked at
    mask = np.ones((1, 32, 96), bool)
    if where == "outside of the crop":
        mask[:, :, 20:] = False
    assert localize(detector, write_masked(tmp_path, picture, mask), np.array([0]), None) is None
