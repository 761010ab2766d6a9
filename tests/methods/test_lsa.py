"""LSA: the density looks back alone, its likelihood, the loss, and the scales of the score."""

import pytest
import torch
from descended import assert_gradient, gradients_of

from novelette.batches import batches
from novelette.data.images import as_tensor
from novelette.errors import InputError
from novelette.methods import lsa
from novelette.methods.lsa import TINY, Config, Density, Scoring, fit, squared_error, surprise
from novelette.nets import draw_xavier_weights
from novelette.training import Run

CPU = torch.device("cpu")


def tiny(**changes):
    return Config(**(TINY.model_dump() | {"steps": 6} | changes))


def pictures(n=12, channels=1, seed=0, size=32):
    return torch.randint(0, 256, (n, channels, size, size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def trained(config, **more):
    return fit(pictures(), config, seed=0, device=CPU, run=Run(**more))


def sees(density):
    """Which number's histogram moves with which number of the code: (Z, Z)."""
    jacobian = torch.autograd.functional.jacobian(lambda z: density(z[None])[0], torch.rand(density.latent))
    return jacobian.abs().sum(1) > 0


@pytest.mark.parametrize("layers", [1, 3])
def test_each_number_is_foretold_by_those_before_it_and_no_other(layers):
    density = Density(Config(latent=6, bins=4, hidden=3, layers=layers))
    draw_xavier_weights(density, torch.Generator().manual_seed(0))
    assert sees(density).all()
    density.mask()
    assert torch.equal(sees(density), torch.ones(6, 6).tril(-1).bool())


def test_the_density_still_looks_back_alone_after_training():
    density = trained(tiny()).module().net.density
    assert torch.equal(sees(density), torch.ones(8, 8).tril(-1).bool())


def test_histograms_sum_to_one():
    assert Density(Config(latent=5, bins=7))(torch.rand(3, 5)).exp().sum(2).tolist() == [pytest.approx([1] * 5, rel=1e-5)] * 3


def test_surprise_by_hand():
    """Of 4 bins: 0.375 is the middle of the second, 0.25 halfway from the first's to the second's, 0.99 past the last's."""
    p = torch.tensor([0.1, 0.2, 0.3, 0.4])
    log_p = p.log().expand(1, 3, 4)
    expected = -(p[1].log() + (p[0].log() + p[1].log()) / 2 + p[3].log())
    assert surprise(torch.tensor([[0.375, 0.25, 0.99]]), log_p).tolist() == pytest.approx([float(expected)], rel=1e-6)


def test_surprise_is_a_plain_loop_in_the_middle_of_bins():
    rng = torch.Generator().manual_seed(0)
    bins = torch.randint(0, 9, (4, 6), generator=rng)
    log_p = torch.randn(4, 6, 9, generator=rng).log_softmax(2)
    expected = [-sum(float(log_p[n, i, bins[n, i]]) for i in range(6)) for n in range(4)]
    assert surprise((bins + 0.5) / 9, log_p).tolist() == pytest.approx(expected, rel=1e-5)


def test_surprise_does_not_jump():
    log_p = torch.randn(1, 1, 9, generator=torch.Generator().manual_seed(0)).log_softmax(2)
    z = torch.linspace(0, 1, 10_001)[:, None]
    assert surprise(z, log_p.expand(len(z), 1, 9)).diff().abs().max() < 5 * 9 / 10_000  # no two bins differ by more than 5


def test_squared_error_is_of_pixels_from_0_to_1():
    black, white = -torch.ones(1, 1, 2, 3), torch.ones(1, 1, 2, 3)
    assert squared_error(black, white).tolist() == [6]


def test_the_score_is_both_terms_over_their_spreads_on_training_pictures():
    scorer, x = trained(tiny()), as_tensor(pictures(4, seed=1))
    net = scorer.module().net
    with torch.no_grad():
        own = as_tensor(pictures())
        terms = [[f(images) for images in (own, x)] for f in (lambda i: squared_error(i, net(i)[0]), lambda i: surprise(*net(i)[1:]))]
    expected = sum(of_x / (of_own.max() - of_own.min()) for of_own, of_x in terms)
    torch.testing.assert_close(scorer.score(x), expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(scorer.heatmap(x), (x - net(x)[0].detach()).abs().mean(1))


def test_the_density_trains_the_encoder_but_not_through_the_bins():
    """With λ alone there is still a gradient, since the codes are what the density looks back on; the bins' positions give none."""
    net, x = lsa.Lsa(tiny(), 1, 32), as_tensor(pictures(3))
    net.density.mask()
    z = net.encode(x)
    (by_context,) = torch.autograd.grad(surprise(z.detach(), net.density(z)).sum(), z)
    assert by_context[:, :-1].abs().min() > 0
    assert not by_context[:, -1].any()  # nothing comes after the last


def test_training_descends_the_squared_error_less_the_weighted_log_density(monkeypatch):
    noted = gradients_of(lsa, monkeypatch)
    net = trained(tiny(steps=1, batch_size=4, w_density=3.0)).net.net
    x = batches([pictures()], 4, [0], CPU)[0][:, 0]
    x_hat, z, log_p = net(x)
    log_density = -surprise(z.detach(), log_p)
    assert_gradient(*noted, (((x - x_hat) / 2).square().sum() - 3 * log_density.sum()) / 4, net)


def test_a_run_of_training_lowers_both_terms():
    run = Run()
    fit(pictures(4), tiny(steps=150, batch_size=4, widths=(4,)), seed=0, device=CPU, run=run)
    first, last = run.history[0], run.history[-1]
    assert last["rec"] < first["rec"]
    assert last["surprise"] < first["surprise"]


def test_of_lone_pictures_the_spread_is_not_zero():
    scoring = Scoring(tiny(), 1, 32).eval()
    scoring.measure(pictures(1))
    assert torch.isfinite(scoring(as_tensor(pictures(2)))).all()


def test_widths_that_do_not_name_every_block_are_refused_in_a_sentence():
    with pytest.raises(InputError, match="--widths 2-4 names 2 blocks, but images of 32 px need 3"):
        trained(tiny(widths=(2, 4)))


def test_the_papers_density_has_100_bins_and_four_hidden_layers():
    config = lsa.paper()
    assert (config.latent, config.bins, config.hidden, config.layers) == (64, 100, 32, 4)
