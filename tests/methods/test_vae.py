"""The variational autoencoder: both terms against torch's distributions, what is drawn in training and not in scoring."""

import math

import pytest
import torch
from descended import assert_gradient, gradients_of
from torch.distributions import Independent, Normal, kl_divergence

from novelette.batches import batches
from novelette.data.images import as_tensor
from novelette.errors import InputError
from novelette.methods import vae
from novelette.methods.vae import TINY, Config, Vae, divergence, fit, misfit
from novelette.training import Run

CPU = torch.device("cpu")


def tiny(**changes):
    return Config(**(TINY.model_dump() | {"steps": 6} | changes))


def pictures(n=12, channels=1, seed=0, size=32):
    return torch.randint(0, 256, (n, channels, size, size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def trained(config, **more):
    return fit(pictures(), config, seed=0, device=CPU, run=Run(**more))


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_divergence_is_torchs():
    mu, log_var = random(5, 7), random(5, 7, seed=1)
    q = Independent(Normal(mu, (log_var / 2).exp()), 1)
    prior = Independent(Normal(torch.zeros(7), torch.ones(7)), 1)
    torch.testing.assert_close(divergence(mu, log_var), kl_divergence(q, prior))


def test_the_terms_by_hand():
    assert divergence(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, math.log(4)]])).tolist() == pytest.approx([(4 + 3 - math.log(4)) / 2])
    x, x_hat = torch.zeros(1, 1, 2, 2), torch.tensor([[[[1.0, 0.0], [0.0, 2.0]]]])
    assert misfit(x, x_hat, 0.5).tolist() == [10]


def test_the_misfit_is_the_likelihood_up_to_a_constant():
    x, x_hat = random(4, 3, 8, 8), random(4, 3, 8, 8, seed=1)
    likelihood = Normal(x_hat, 0.3).log_prob(x).flatten(1).sum(1)
    constant = 3 * 64 * math.log(0.3 * math.sqrt(2 * math.pi))
    torch.testing.assert_close(misfit(x, x_hat, 0.3) + constant, -likelihood)


@pytest.mark.parametrize("score", ["bound", "reconstruction"])
def test_the_score_is_of_the_mean_latent(score):
    scorer, x = trained(tiny(score=score)), as_tensor(pictures(3, seed=1))
    net = scorer.module()
    with torch.no_grad():
        mu, log_var = net.encode(x).chunk(2, 1)
        x_hat = net.decode(mu)
        expected = (x - x_hat).square().flatten(1).sum(1) / (2 * 1.0**2)
        if score == "bound":
            expected = expected + (mu.square() + log_var.exp() - log_var - 1).sum(1) / 2
    torch.testing.assert_close(scorer.score(x), expected)
    torch.testing.assert_close(scorer.heatmap(x), (x - x_hat).abs().mean(1))


def test_latents_are_drawn_in_training_with_mean_mu_and_spread_sigma():
    net, x = Vae(tiny(), 1, 32).train(), as_tensor(pictures(1)).expand(4000, 1, 32, 32)
    drawn = []
    net.decode.register_forward_pre_hook(lambda layer, inputs: drawn.append(inputs[0]))
    with torch.no_grad():
        _, mu, log_var = net.outputs(x)
    z = drawn[0]
    torch.testing.assert_close(z.mean(0), mu[0], atol=0.1, rtol=0)  # six standard errors of 4,000 draws
    torch.testing.assert_close(z.std(0), (log_var[0] / 2).exp(), atol=0, rtol=0.07)


def test_training_descends_the_bound_of_one_draw_over_the_number_of_pixels(monkeypatch):
    noted = gradients_of(vae, monkeypatch)
    config = tiny(steps=1, batch_size=4, noise=0.3)
    net, x = trained(config).net, batches([pictures()], 4, [0], CPU)[0][:, 0]
    for _ in Run().steps(1, {}, seed=0):
        eps = torch.randn(4, config.latent)
    mu, log_var = net.encode(x).chunk(2, dim=1)
    q = Normal(mu, (log_var / 2).exp())
    likelihood = Normal(net.decode(q.loc + q.scale * eps), 0.3).log_prob(x).sum()
    bound = (likelihood - kl_divergence(q, Normal(0.0, 1.0)).sum()) / 4
    assert_gradient(*noted, -bound / 1024, net)


def test_a_run_of_training_lowers_the_loss():
    run = Run()
    fit(pictures(4), tiny(steps=100, batch_size=4, widths=(4,)), seed=0, device=CPU, run=run)
    first, last = run.history[0], run.history[-1]
    assert last["rec"] + last["kl"] < first["rec"] + first["kl"]


def test_widths_that_do_not_name_every_block_are_refused_in_a_sentence():
    with pytest.raises(InputError, match="--widths 2-4 names 2 blocks, but images of 32 px need 3"):
        trained(tiny(widths=(2, 4)))


def test_a_vae_of_all_has_one_recipe():
    assert vae.paper() == vae.Config()
