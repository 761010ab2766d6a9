"""Neighbours among features: scikit-learn's on the same vectors, what a detector carries, and what its settings refuse."""

import json

import numpy as np
import pytest
import torch
from made_weights import made_arrays
from pictures import stripes, write
from sklearn.neighbors import NearestNeighbors
from torch.nn.functional import interpolate

from novelette import store
from novelette.cli import main
from novelette.data.images import as_tensor
from novelette.errors import InputError
from novelette.methods import feature_knn
from novelette.methods.feature_knn import Config, Scorer, fit
from novelette.perceptual import load
from novelette.training import Run

CPU = torch.device("cpu")


def pictures(n, channels=3, size=32, seed=0):
    return torch.randint(0, 256, (n, channels, size, size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def small(**changes):
    return Config(**({"layer": "block-3", "side": 0, "k": 3} | changes))


def fitted(images, **changes):
    return fit(images, small(**changes), seed=0, device=CPU)


def vectors(images, layer="block-3", side=0):
    """Mean over positions of the network's features, scaled to length 1, in float64."""
    net, _ = load("mobilenet-0.25", layer, 64)
    x = as_tensor(images)
    x = interpolate(x, (side, side), mode="bilinear") if side else x
    with torch.inference_mode():
        pooled = net(x).double().mean((2, 3)).numpy()
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


@pytest.mark.parametrize(("k", "side", "channels"), [(1, 0, 3), (4, 0, 1), (4, 64, 3)])
def test_scores_are_scikit_learns_on_the_pooled_features(k, side, channels):
    train, test = pictures(30, channels), pictures(20, channels, seed=1)
    d, _ = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(vectors(train, side=side)).kneighbors(vectors(test, side=side))
    scores = fitted(train, k=k, side=side).score(as_tensor(test))
    assert scores.numpy() == pytest.approx(d.mean(1), rel=1e-3)  # float32 features, whose differences are a hundredth of themselves


def test_a_training_picture_is_no_neighbour_of_itself_in_its_own_score():
    train = pictures(30)
    d, _ = NearestNeighbors(n_neighbors=3, algorithm="brute").fit(vectors(train)).kneighbors()
    scorer = fitted(train)
    assert scorer.score_own(as_tensor(train)).numpy() == pytest.approx(d.mean(1), rel=1e-3)
    assert (scorer.score(as_tensor(train)) < scorer.score_own(as_tensor(train))).all()


def test_larger_images_are_made_smaller_with_every_pixel_counting():
    """A chequered board of single pixels becomes grey, where picking pixels would keep black and white."""
    board = ((torch.arange(64)[:, None] + torch.arange(64)) % 2 * 255).to(torch.uint8).expand(6, 3, 64, 64)
    grey = torch.full((1, 3, 64, 64), 128, dtype=torch.uint8)
    scorer = fitted(board.clone(), side=32)
    assert scorer.score(as_tensor(grey)).item() < 0.05 < fitted(board.clone()).score(as_tensor(grey)).item()


def test_heat_map_is_what_the_nearest_picture_does_not_show():
    train, x = pictures(12), pictures(2, seed=1)
    net, _ = load("mobilenet-0.25", "block-3", 32)
    with torch.inference_mode():
        f = net(as_tensor(x)).double().numpy()
    rows = vectors(train)
    heat = fitted(train).heatmap(as_tensor(x)).numpy()
    for n in range(2):
        mine = f[n].mean((1, 2)) / np.linalg.norm(f[n].mean((1, 2)))
        v = rows[np.linalg.norm(rows - mine, axis=1).argmin()]
        by_hand = np.array([[np.linalg.norm(f[n, :, r, c] - (f[n, :, r, c] @ v) * v) for c in range(8)] for r in range(8)])
        grown = interpolate(torch.from_numpy(by_hand)[None, None], (32, 32), mode="bilinear")[0, 0].numpy()
        np.testing.assert_allclose(heat[n], grown, rtol=1e-3, atol=1e-4)  # float32


def test_a_detector_needs_no_weight_file_to_be_loaded(tmp_path, monkeypatch):
    train, x = pictures(30), as_tensor(pictures(5, seed=1))
    scorer = fitted(train)
    monkeypatch.setenv("NOVELETTE_DATA", "")
    rebuilt = Scorer.from_state(scorer.config, {name: value.clone() for name, value in scorer.state().items()}, 3, 32)
    assert torch.equal(rebuilt.score(x), scorer.score(x))
    assert not any("block-4" in name for name in scorer.state())


def test_the_detector_says_which_network_and_whose_weights(tmp_path, capsys):
    np.savez(tmp_path / "mine.npz", **made_arrays(seed=5))
    write(tmp_path / "good", stripes(30))
    given = ["--layer", "block-2", "--side", "0", "--perceptual-weights", str(tmp_path / "mine.npz")]
    assert main(["fit", "feature-knn", str(tmp_path / "good"), "-o", str(tmp_path / "f.det"), "--false-alarm-rate", "0.3", *given]) == 0
    card = json.loads((tmp_path / "f.det" / "detector.json").read_text())
    assert (card["config"]["network"], card["config"]["layer"]) == ("mobilenet-0.25", "block-2")
    assert card["provenance"]["perceptual"].startswith("mobilenet-0.25, other weights than the public ones")
    assert "mine.npz" not in json.dumps(card)  # the layers travel with it, the folder of the file is nobody's business
    (tmp_path / "mine.npz").unlink()
    assert store.load(tmp_path / "f.det").score(stripes(4)).shape == (4,)


def test_the_run_takes_down_whose_weights():
    run = Run()
    fit(pictures(5), small(), seed=0, device=CPU, run=run)
    assert run.notes["perceptual"].startswith("mobilenet-0.25, other weights")


def test_settings_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match=r"--layer: mobilenet-1.0 has no layer 'block-13'"):
        Config(network="mobilenet-1.0")
    with pytest.raises(ValueError, match=r"--layer: vgg-19 has no layer 'block-5': choose one of relu1_1"):
        Config(network="vgg-19", layer="block-5")


def test_fewer_pictures_than_k_and_images_smaller_than_the_stride_are_refused():
    with pytest.raises(InputError, match=r"--k 5 needs at least 5 training pictures, and there are 4"):
        fitted(pictures(4), k=5)
    with pytest.raises(InputError, match=r"images of 8 px are smaller than the stride of mobilenet-0\.25"):
        fitted(pictures(8, size=8), layer="block-6")


def test_a_weight_file_of_another_network_is_told_in_a_sentence(tmp_path):
    np.savez(tmp_path / "w.npz", **made_arrays("vgg-19", "relu1_1"))
    with pytest.raises(InputError, match=r"is of another network: mobilenet-0.25 needs conv1/kernel"):
        fitted(pictures(8), perceptual_weights=str(tmp_path / "w.npz"))


def test_the_papers_recipe_has_two_neighbours():
    assert feature_knn.paper().k == 2
