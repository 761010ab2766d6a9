"""GPND: the tangent space against finite differences, densities against SciPy's and against integrals, likelihood and losses by hand."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from descended import assert_gradient, gradients_of
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from novelette.batches import batches
from novelette.data.images import as_tensor
from novelette.methods import gpnd
from novelette.methods.gpnd import (
    BINS,
    TINY,
    Aae,
    Manifold,
    fit,
    generalized_gaussian,
    histogram,
    interpolated,
    log_generalized_gaussian,
    paper,
)
from novelette.nets import draw_weights
from novelette.training import Run, generators

CPU = torch.device("cpu")


def pictures(n=12, channels=1, seed=0):
    return torch.randint(0, 256, (n, channels, 32, 32), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def manifold():
    made = Manifold(TINY, 1, 32).eval()
    draw_weights(made, generators([0], 0))
    for p in made.generate.parameters():
        p.data.mul_(3)  # so that it draws more than grey
    made.encode.head.weight.data.mul_(1e4)  # so that codes lie away from 0, where every ReLU turns
    return made


def test_the_tangent_space_is_that_of_finite_differences():
    made, x = manifold().double(), as_tensor(pictures(2)).double()
    with torch.no_grad():
        z, log_s, r = made.tangent(x)
        for i in range(2):
            nudges = torch.eye(TINY.latent, dtype=torch.float64) * 1e-8
            j = torch.stack([(made.generate(z[i : i + 1] + d) - made.generate(z[i : i + 1] - d)).flatten() / 2e-8 for d in nudges], 1)
            rest = (x[i] - made.generate(z[i : i + 1])[0]).flatten()
            assert float(log_s[i]) == pytest.approx(0.5 * float(torch.logdet(j.T @ j)), rel=1e-4)
            along = torch.linalg.lstsq(j, rest[:, None]).solution
            assert float(r[i]) == pytest.approx(float((rest - (j @ along)[:, 0]).norm()), rel=1e-5)


def test_the_novelty_is_minus_the_logarithm_of_the_papers_product():
    made = fit(pictures(), TINY.model_copy(update={"steps": 3}), seed=0, device=CPU, run=Run())
    x, net = as_tensor(pictures(2, seed=1)), made.net
    with torch.no_grad():
        z, log_s, r = net.tangent(x)
    m, n = 32 * 32, TINY.latent
    for i in range(2):
        log_p = scipy.stats.gennorm.logpdf(z[i].numpy(), net.beta.numpy(), net.mean.numpy(), net.scale.numpy()).sum() - float(log_s[i])
        log_p += math.lgamma((m - n) / 2) - math.log(2) - (m - n) / 2 * math.log(math.pi) - (m - n - 1) * math.log(float(r[i]))
        log_p += np.interp(float(r[i]), net.centres.numpy(), net.log_density.numpy())
        assert float(made.score(x)[i]) == pytest.approx(-log_p, rel=1e-4)


@pytest.mark.parametrize(("beta", "mean", "scale"), [(1.0, 0.5, 2.0), (2.0, -1.0, 0.5), (5.0, 0.0, 1.0)])
def test_a_generalized_gaussian_is_found_again(beta, mean, scale):
    drawn = scipy.stats.gennorm.rvs(beta, mean, scale, size=100_000, random_state=0)
    found = generalized_gaussian(torch.from_numpy(drawn).float()[:, None])
    for value, true in zip(found, (beta, mean, scale), strict=True):
        assert float(value) == pytest.approx(true, rel=0.05, abs=0.03)  # of 100,000 draws


def test_the_density_of_a_generalized_gaussian_is_scipy_s():
    z = torch.linspace(-3, 3, 7)[:, None].expand(-1, 2)
    beta, mean, scale = torch.tensor([1.3, 4.0]), torch.tensor([0.2, -0.5]), torch.tensor([1.0, 2.0])
    expected = scipy.stats.gennorm.logpdf(z.numpy(), beta.numpy(), mean.numpy(), scale.numpy())
    np.testing.assert_allclose(log_generalized_gaussian(z, beta, mean, scale).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_a_latent_that_never_moves_has_a_finite_density():
    z = torch.full((50, 1), 0.3)
    assert torch.isfinite(log_generalized_gaussian(z, *generalized_gaussian(z))).all()


def test_the_histogram_is_a_density_in_which_nothing_is_impossible():
    r = torch.randn(500, generator=torch.Generator().manual_seed(0)).abs() + 1
    centres, log_density = histogram(r)
    assert centres.shape == log_density.shape == (BINS,)
    assert float(log_density.exp().sum() * (centres[1] - centres[0])) == pytest.approx(1, rel=1e-4)
    assert torch.isfinite(log_density).all()


def test_between_the_centres_values_are_linear_and_beyond_the_ends_they_stay():
    centres, values = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0.0, 1.0, -1.0])
    at = torch.tensor([0.0, 1.0, 1.5, 2.0, 3.0, 9.0])
    np.testing.assert_allclose(interpolated(at, centres, values).numpy(), np.interp(at.numpy(), centres.numpy(), values.numpy()))


def test_a_step_of_either_side_descends_on_the_cross_entropies_of_its_labels(monkeypatch):
    config = TINY.model_copy(update={"steps": 1, "batch_size": 4, "w_visual": 2.0, "w_latent": 3.0, "w_rec": 5.0})
    noted = gradients_of(gpnd, monkeypatch)
    fit(pictures(), config, seed=0, device=CPU, run=Run())
    aae, x = Aae(config, 1, 32, CPU), batches([pictures()], 4, [0], CPU)[0][:, 0]
    aae.draw(0)
    for _ in Run().steps(1, {}, seed=0):
        z = torch.randn(4, config.latent)
    code, made = aae.net.encode(x), aae.net.generate(z)
    one, zero = torch.ones(4, 1), torch.zeros(4, 1)
    l_visual = cross_entropy(aae.d_x(x), one) + cross_entropy(aae.d_x(made), zero)
    l_latent = cross_entropy(aae.d_z(z), one) + cross_entropy(aae.d_z(code), zero)
    fooling = 2 * cross_entropy(aae.d_x(made), one) + 3 * cross_entropy(aae.d_z(code), one)
    of_eg, of_d = noted
    assert_gradient(of_eg, fooling + 5 * (x - aae.net.generate(code)).square().mean(), aae.net)
    assert_gradient(of_d, (l_visual + l_latent) / 2, aae.d_z, aae.d_x)


def test_training_images_that_are_all_alike_leave_finite_scores():
    alike = pictures(1).expand(12, -1, -1, -1)
    made = fit(alike, TINY.model_copy(update={"steps": 1}), seed=0, device=CPU, run=Run())
    assert torch.isfinite(made.score(as_tensor(pictures()))).all()


def test_the_papers_recipe_is_the_papers():
    assert (paper().latent, paper().learning_rate, paper().batch_size, paper().w_rec, paper().w_latent) == (16, 2e-3, 128, 0.3, 2)
