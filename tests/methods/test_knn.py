"""k-nearest-neighbours against scikit-learn's, in blocks of any size."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from novelette.data.images import as_tensor
from novelette.errors import InputError
from novelette.methods import knn

CPU = torch.device("cpu")
CLOSE = 1e-5  # float32 distances against float64 ones


def pictures(n, channels=1, size=8, seed=0):
    return torch.randint(0, 256, (n, channels, size, size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def fitted(images, **config):
    return knn.fit(images, knn.Config(**config), seed=0, device=CPU)


def oracle(train, test, k, metric, reduce):
    """scikit-learn's exact search in float64, on rows in [-1, 1]; for cosine, on unit vectors of each picture less its own mean."""
    rows = [images.flatten(1).numpy() / 127.5 - 1 for images in (train, test)]
    if metric == "cosine":
        rows = [r - r.mean(1, keepdims=True) for r in rows]
        rows = [r / np.linalg.norm(r, axis=1, keepdims=True) for r in rows]
    d, _ = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(rows[0]).kneighbors(rows[1])
    return {"mean": d.mean(1), "sum": d.sum(1), "kth": d[:, -1]}[reduce]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("reduce", ["mean", "sum", "kth"])
@pytest.mark.parametrize("k", [1, 5])
def test_scores_are_scikit_learns(metric, reduce, k):
    train, test = pictures(60, channels=3), pictures(25, channels=3, seed=1)
    scores = fitted(train, k=k, metric=metric, reduce=reduce).score(as_tensor(test))
    assert scores.numpy() == pytest.approx(oracle(train, test, k, metric, reduce), rel=CLOSE)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize(("queries", "neighbours"), [(7, 13), (1, 5), (25, 60), (24, 59), (1000, 1)])
def test_blocks_of_any_size_change_nothing(monkeypatch, metric, queries, neighbours):
    train, test = pictures(60), pictures(25, seed=1)
    monkeypatch.setattr(knn, "QUERIES", queries)
    monkeypatch.setattr(knn, "BLOCK_BYTES", neighbours * 4 * 64)  # 8 x 8 px; never fewer rows than the 8 candidates
    scores = fitted(train, k=4, metric=metric).score(as_tensor(test))
    assert scores.numpy() == pytest.approx(oracle(train, test, 4, metric, "mean"), rel=CLOSE)


def test_no_block_is_larger_than_it_may_be(monkeypatch):
    monkeypatch.setattr(knn, "QUERIES", 6)
    monkeypatch.setattr(knn, "BLOCK_BYTES", 10 * 4 * 64)
    asked = rows_asked_for(monkeypatch)
    fitted(pictures(60), k=3).score(as_tensor(pictures(25, seed=1)))
    assert max(asked) == 10


def test_training_vectors_of_large_pictures_take_no_more_memory_at_a_time(monkeypatch):
    asked, bytes_each = rows_asked_for(monkeypatch), 4 * 3 * 256 * 256
    train, test = pictures(90, channels=3, size=256), pictures(87, channels=3, size=256, seed=1)
    fitted(train, k=1).score(as_tensor(test))
    assert max(asked) == knn.BLOCK_BYTES // bytes_each == 85
    assert sum(asked) == 90 + 2 * 87  # every one once, then two candidates of each picture


def rows_asked_for(monkeypatch):
    """How many training vectors were made at a time."""
    asked, original = [], knn.Rows.__getitem__

    def spy(self, which):
        rows = original(self, which)
        asked.append(len(rows))
        return rows

    monkeypatch.setattr(knn.Rows, "__getitem__", spy)
    return asked


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("reduce", ["mean", "kth"])
@pytest.mark.parametrize("k", [1, 5, 60])
def test_a_training_picture_is_no_neighbour_of_itself_in_its_own_score(metric, reduce, k):
    """scikit-learn leaves a row out of its own neighbours when it is asked without queries. Of 60 pictures, 59 are left."""
    train = pictures(60, channels=3)
    rows = knn.vectors(as_tensor(train).double(), metric).numpy()
    d, _ = NearestNeighbors(n_neighbors=min(k, 59), algorithm="brute").fit(rows).kneighbors()
    scores = fitted(train, k=k, metric=metric, reduce=reduce).score_own(as_tensor(train))
    assert scores.numpy() == pytest.approx(d.mean(1) if reduce == "mean" else d[:, -1], rel=CLOSE)


def test_a_copy_is_a_neighbour_and_a_lone_picture_has_only_itself():
    train = pictures(10)
    twice = fitted(torch.cat([train, train[:1]]), k=1).score_own(as_tensor(train))
    assert (twice[0].item(), (twice[1:] > 0.1).all().item()) == (pytest.approx(0, abs=1e-6), True)
    assert fitted(train[:1], k=1).score_own(as_tensor(train[:1])).tolist() == pytest.approx([0], abs=1e-6)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_a_training_picture_is_at_distance_0_of_itself(metric):
    images = pictures(20)
    assert fitted(images, k=1, metric=metric).score(as_tensor(images)).tolist() == pytest.approx([0] * 20, abs=1e-6)


def test_a_score_by_hand():
    black, white = torch.zeros(1, 1, 2, 2, dtype=torch.uint8), torch.full((1, 1, 2, 2), 255, dtype=torch.uint8)
    scorer = fitted(torch.cat([black, white, white]), k=3, metric="euclidean")  # from white: 0, 0 and four pixels 2 apart: √16
    assert scorer.score(as_tensor(white)).tolist() == pytest.approx([4 / 3])
    assert fitted(torch.cat([black, white]), k=2, metric="euclidean", reduce="kth").score(as_tensor(white)).tolist() == pytest.approx([4])


def test_close_neighbours_among_large_vectors_are_told_apart():
    """Bright pictures that differ from the query by 2, 4 and 6 grey levels in one pixel: |a|² - 2ab alone cancels there."""
    query = torch.full((1, 3, 32, 32), 250, dtype=torch.uint8)
    train = torch.cat([query, query, query, pictures(200, channels=3, size=32)])
    for i in range(3):
        train[i, 0, 0, 0] -= 2 * (i + 1)
    d, index = knn.nearest(as_tensor(query).flatten(1), knn.Rows(train, "euclidean"), 3)
    assert index.tolist() == [[0, 1, 2]]
    assert d[0].tolist() == pytest.approx([2 / 127.5, 4 / 127.5, 6 / 127.5], rel=1e-4)  # one rounding of a pixel near 1 is 6e-8 / 0.016


def test_cosine_sees_neither_brightness_nor_contrast_and_euclidean_does():
    picture = pictures(1).float()
    dimmer = (picture / 4 + 100).round().to(torch.uint8)
    picture = picture.to(torch.uint8)
    assert fitted(picture, k=1).score(as_tensor(dimmer)).item() < 0.02  # what rounding to whole grey levels leaves
    assert fitted(picture, k=1, metric="euclidean").score(as_tensor(dimmer)).item() > 1


def test_a_picture_of_one_grey_has_a_finite_score():
    flat = torch.full((1, 1, 8, 8), 128, dtype=torch.uint8)
    assert fitted(pictures(10)).score(as_tensor(flat)).item() == pytest.approx(1)  # its vector is 0, and the others are of length 1
    assert torch.isfinite(fitted(flat.expand(5, 1, 8, 8)).score(as_tensor(pictures(3)))).all()


def test_fewer_pictures_than_k_are_refused_with_both_numbers():
    with pytest.raises(InputError, match=r"--k 5 needs at least 5 training pictures, and there are 4"):
        fitted(pictures(4), k=5)
    assert fitted(pictures(5), k=5).score(as_tensor(pictures(2, seed=1))).shape == (2,)


def test_heat_map_is_the_difference_from_the_nearest_picture():
    train = pictures(10, channels=3)
    x = train[4:5].clone()
    x[0, :, 2, 3] = 255 - x[0, :, 2, 3]
    expected = (as_tensor(x) - as_tensor(train[4:5])).abs().mean(1)
    assert torch.equal(fitted(train, metric="euclidean").heatmap(as_tensor(x)), expected)
    assert (expected > 0).sum() == 1


def test_a_detector_that_keeps_pictures_says_so_and_its_state_is_the_pictures():
    train = pictures(10)
    scorer = fitted(train)
    assert scorer.keeps_pictures
    assert torch.equal(scorer.state()["images"], train)


@pytest.mark.parametrize("shape", [(10, 3, 8, 8), (10, 1, 16, 16), (10, 64)])
def test_state_of_another_shape_is_refused(shape):
    with pytest.raises(RuntimeError, match="was expected"):
        knn.Scorer.from_state(knn.Config(), {"images": torch.zeros(shape, dtype=torch.uint8)}, 1, 8)


def test_the_reports_recipe_is_the_sum_of_plain_distances():
    assert (knn.paper().metric, knn.paper().reduce) == ("euclidean", "sum")
