"""What the static sources of novelties draw: means and covariances against the pictures'."""

import numpy as np
import pytest
import torch

from novelette.adversarial import novelties
from novelette.adversarial.novelties import Density, Gaussian
from novelette.data.images import as_tensor

CPU = torch.device("cpu")


def test_gaussian_noise_has_its_spread_and_stays_in_range():
    torch.manual_seed(0)
    x = Gaussian(torch.Size((3, 16, 16)), 0.25, CPU)(50)
    assert x.shape == (50, 3, 16, 16)
    assert (x.mean().item(), x.std().item()) == pytest.approx((0, 0.25), abs=0.005)  # of 38,400 draws
    assert Gaussian(torch.Size((1, 8, 8)), 5.0, CPU)(9).abs().max() == 1


def test_a_density_has_the_mean_and_the_covariance_of_the_pictures():
    """Greys near the middle, so that nothing is cut at black or white."""
    rng = np.random.default_rng(0)
    base = rng.normal(0, 12, (40, 3)) @ rng.normal(0, 1, (3, 16)) + 128
    images = torch.from_numpy(base.clip(0, 255).astype(np.uint8)).view(40, 1, 4, 4)
    torch.manual_seed(0)
    drawn = Density(images, CPU)(20_000).flatten(1).double().numpy()
    own = as_tensor(images).flatten(1).double().numpy()
    spread = np.sqrt(np.diag(np.cov(own.T, bias=True)))
    assert drawn.mean(0) == pytest.approx(own.mean(0), abs=5 * spread.max() / 20_000**0.5)  # five standard errors
    expected = np.cov(own.T, bias=True)
    assert np.abs(np.cov(drawn.T) - expected).max() < 5 * 2**0.5 * expected.max() / 20_000**0.5  # of a covariance: at most σ² √(2 / n)


def test_many_pictures_are_thinned(monkeypatch):
    monkeypatch.setattr(novelties, "FITTED_ON", 10)
    images = torch.randint(0, 256, (35, 1, 4, 4), dtype=torch.uint8)
    assert torch.equal(Density(images, CPU).rows, Density(images[::4], CPU).rows)
