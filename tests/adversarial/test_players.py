"""Four discriminators: what they put out, what varies with the batch and what must not."""

import pytest
import torch

from novelette.adversarial.players import Autoencoder, Discriminator

KINDS = ("plain", "dropout", "convolutional", "residual")


def made(kind, minibatch=False, channels=1, size=32):
    d = Discriminator(kind, channels, size, 4, minibatch=minibatch)
    d.draw(torch.Generator().manual_seed(0))
    return d


def images(n=6, channels=1, size=32):
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("channels", "size"), [(1, 32), (3, 64)])
def test_one_logit_an_image_near_0_at_first(kind, channels, size):
    y = made(kind, channels=channels, size=size).eval()(images(5, channels, size))
    assert y.shape == (5,)
    assert y.abs().max() < 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_minibatch_feature_depends_on_the_batch_in_training_alone(kind):
    d, x = made(kind, minibatch=True), images()
    alike = x[:1].expand(6, 1, 32, 32)
    if kind != "dropout":  # which draws
        assert (d(x)[0] - d(alike)[0]).abs() > 1e-6
    d.eval()
    d.learn_spread([x])
    assert torch.allclose(d(x)[0], d(alike)[0], atol=1e-6)
    assert torch.allclose(d(x[:1]), d(x)[:1], atol=1e-6)


def test_in_scoring_a_batch_of_normal_pictures_is_judged_as_in_training():
    d, x = made("convolutional", minibatch=True), images()
    trained = d(x)
    d.learn_spread([x])
    assert torch.allclose(d.eval()(x), trained, atol=1e-6)
    assert d.train().training


def test_the_learned_spread_is_the_mean_over_batches_and_draws_nothing():
    d, a, b = made("dropout", minibatch=True), images(), images() * 0.1
    spreads = []
    for parts in ([a], [b], [a, b]):
        d.learn_spread(parts)
        spreads.append(d.spread.item())
    assert spreads[2] == pytest.approx((spreads[0] + spreads[1]) / 2)
    assert spreads[0] > spreads[1] > 0


def test_only_dropout_draws_and_only_in_training():
    x = images()
    for kind in KINDS:
        d = made(kind)
        assert torch.equal(d(x), d(x)) is (kind != "dropout")
        assert torch.equal(d.eval()(x), d(x))


def test_an_autoencoder_goes_through_its_latents():
    net, x = Autoencoder(3, 32, 4, 7), images(2, 3)
    assert net.encode(x).shape == (2, 7)
    assert torch.equal(net(x), net.generate(net.encode(x)))
