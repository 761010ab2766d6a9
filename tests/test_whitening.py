"""The Mahalanobis distance of EDE-GAN's latents: the matrix, and the network that takes it in."""

import numpy as np
import pytest
import torch

from novelette.data.images import as_tensor
from novelette.methods import ede_gan
from novelette.training import Run
from novelette.whitening import whitening

CPU = torch.device("cpu")


def normals(spread, n=20_000, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.standard_normal((n, len(spread))) @ np.diag(np.sqrt(spread)))


def test_each_direction_is_divided_by_its_spread():
    """Variances 4 and 1: A is diagonal in the ratio 1/2 to 1, and c² (4/4 + 1/1) = 4 + 1 keeps the mean squared length."""
    a, inverse = whitening(normals([4.0, 1.0]))
    c = np.sqrt(5 / 2)
    # tolerance: shrinkage of 1 %, and 20,000 draws that give a standard deviation to 1 / √(2 n) = 0.5 %
    np.testing.assert_allclose(a.numpy(), [[c / 2, 0], [0, c]], atol=0.03)
    np.testing.assert_allclose((a @ inverse).numpy(), np.eye(2), atol=1e-12)


def test_mean_squared_length_stays():
    r = normals([9.0, 1.0, 0.25, 0.01], n=500)
    a, _ = whitening(r)
    assert float((r @ a).square().sum(1).mean()) == pytest.approx(float(r.square().sum(1).mean()), rel=1e-9)  # float64


@pytest.mark.parametrize("r", [torch.zeros(5, 3), torch.full((5, 3), torch.nan), torch.full((5, 3), torch.inf)])
def test_nothing_to_measure_leaves_lengths_as_they_are(r):
    a, inverse = whitening(r)
    assert torch.equal(a, torch.eye(3, dtype=torch.float64))
    assert torch.equal(inverse, a)


def test_one_image_and_directions_that_never_move_give_a_finite_matrix():
    assert whitening(torch.tensor([[1.0, 0.0, 0.0]]))[0].isfinite().all()
    assert whitening(normals([1.0, 0.0], n=50))[0].isfinite().all()


@pytest.fixture(scope="module")
def fitted():
    images = torch.randint(0, 256, (64, 1, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    config = ede_gan.TINY.model_copy(update={"distance": "euclidean"})
    return images, ede_gan.fit(images, config, seed=0, device=CPU, run=Run())


def copy_of(scorer):
    state = {name: value.clone() for name, value in scorer.state().items()}
    return ede_gan.Scorer.from_state(scorer.config, state, 1, 32)


def test_a_whitened_network_reconstructs_as_before_and_scores_by_the_mahalanobis_distance(fitted):
    images, plain = fitted
    whitened = copy_of(plain)
    whitened.whiten(images)
    x = as_tensor(images)
    with torch.no_grad():
        x_hat, z, z_hat = plain.scoring.net(x)
        again, *_ = whitened.scoring.net(x)
    a, _ = whitening(z - z_hat)
    # tolerance: float32 weights that were multiplied by a matrix of condition ten to a hundred
    torch.testing.assert_close(again, x_hat, rtol=0, atol=1e-4)
    torch.testing.assert_close(whitened.score(x).double(), ((z - z_hat).double() @ a).norm(dim=1), rtol=1e-3, atol=0)


def test_fit_whitens_what_it_returns_unless_told_otherwise(fitted):
    images, plain = fitted
    config = ede_gan.TINY.model_copy(update={"distance": "mahalanobis"})
    whitened = ede_gan.fit(images, config, seed=0, device=CPU, run=Run())
    by_hand = copy_of(plain)
    by_hand.whiten(images)
    assert all(torch.equal(value, by_hand.state()[name]) for name, value in whitened.state().items())


def test_the_pipelines_that_score_pictures_are_not_whitened():
    images = torch.randint(0, 256, (20, 1, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for pipeline in ("ed", "ed-hat"):
        both = [
            ede_gan.fit(
                images,
                ede_gan.TINY.model_copy(update={"pipeline": pipeline, "steps": 3, "distance": distance}),
                seed=0,
                device=CPU,
                run=Run(),
            )
            for distance in ("euclidean", "mahalanobis")
        ]
        assert all(torch.equal(value, both[1].state()[name]) for name, value in both[0].state().items())
