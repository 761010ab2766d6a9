"""Deep SVDD: the paper's networks, its preparation of pictures, centre, radius and both objectives."""

import numpy as np
import pytest
import torch
from torch import nn

from novelette.data.images import as_tensor
from novelette.errors import InputError
from novelette.methods import deep_svdd
from novelette.methods.deep_svdd import TINY, Config, Decoder, Encoder, Sphere, fit, soft_boundary
from novelette.training import Run

CPU = torch.device("cpu")


def tiny(**changes):
    return Config(**(TINY.model_dump() | {"pretraining": 4, "steps": 4} | changes))


def pictures(n=12, channels=1, seed=0, size=32):
    return torch.randint(0, 256, (n, channels, size, size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def trained(config, images=None, **more):
    return fit(pictures() if images is None else images, config, seed=0, device=CPU, run=Run(**more))


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("config", "channels", "size", "encoder", "decoder"),
    [  # the authors' two: kernels of 25, and MNIST at its own 28 px with 7 x 7 before the dense layer
        (Config(), 1, 28, 25 * (8 + 8 * 4) + 4 * 49 * 32, 25 * (2 * 4 + 4 * 8 + 8)),
        (
            Config(widths=(32, 64, 128), latent=128),
            3,
            32,
            25 * (3 * 32 + 32 * 64 + 64 * 128) + 2048 * 128,
            25 * (8 * 128 + 128 * 64 + 64 * 32 + 32 * 3),
        ),
    ],
)
def test_networks_are_as_large_as_the_papers_and_have_neither_biases_nor_scales(config, channels, size, encoder, decoder):
    nets = Encoder(config, channels, size), Decoder(config, channels, size)
    assert [count(net) for net in nets] == [encoder, decoder]
    for net in nets:
        assert all(p.dim() > 1 for p in net.parameters())
        assert all(layer.bias is None for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear))
    x = torch.zeros(2, channels, size, size)
    assert nets[1](nets[0](x)).shape == x.shape


@pytest.mark.parametrize(("size", "widths"), [(64, (8, 4)), (64, (4, 4, 4)), (32, (4, 4, 4))])
def test_the_decoder_ends_at_the_pictures_size(size, widths):
    config = Config(widths=widths)
    assert Decoder(config, 3, size)(torch.zeros(2, 32)).shape == (2, 3, size, size)


def test_pictures_are_normalized_in_contrast_and_training_spans_0_to_1():
    images = pictures(20, channels=3)
    encoder = trained(tiny(), images).module().encode
    x = images.numpy() / 127.5 - 1
    gcn = x - x.mean((1, 2, 3), keepdims=True)
    gcn = gcn / np.abs(gcn).mean((1, 2, 3), keepdims=True)
    prepared = encoder.prepared(as_tensor(images)).numpy()
    assert prepared == pytest.approx((gcn - gcn.min()) / (gcn.max() - gcn.min()), abs=1e-5)  # float32
    assert (prepared.min(), prepared.max()) == (pytest.approx(0, abs=1e-6), pytest.approx(1, abs=1e-6))


def test_the_centre_is_the_mean_vector_with_no_coordinate_near_0():
    net, images = Sphere(Config(), 1, 32), pictures(30)
    with torch.no_grad():
        net.encode.layers[-1].weight[::2].mul_(0.01)  # or else no coordinate is near 0
        net.place(images)
        assert net.training
        mean = net.eval().encode(as_tensor(images)).mean(0)
    near = mean.abs() < 0.1
    assert 0 < near.sum() < len(near)
    torch.testing.assert_close(net.centre[~near], mean[~near], rtol=1e-4, atol=1e-5)
    assert torch.equal(net.centre[near], torch.where(mean[near] < 0, -0.1, 0.1))


def test_the_centre_is_taken_after_pre_training_and_stays(monkeypatch):
    placed, place = [], Sphere.place

    def spy(self, images):
        place(self, images)
        placed.append((self.centre.clone(), self.encode.layers[0].weight.detach().clone()))

    monkeypatch.setattr(Sphere, "place", spy)
    pretrained = {n: trained(tiny(pretraining=n)).module() for n in (0, 4)}
    (_, drawn), (_, made) = placed
    assert not torch.equal(drawn, made)
    for (centre, _), net in zip(placed, pretrained.values(), strict=True):
        assert torch.equal(net.centre, centre)


def test_the_score_is_the_squared_distance_from_the_centre():
    scorer, x = trained(tiny()), as_tensor(pictures(5, seed=1))
    net = scorer.module()
    with torch.no_grad():
        expected = [float(sum((a - c) ** 2 for a, c in zip(z, net.centre, strict=True))) for z in net.encode(x)]
    assert scorer.score(x).tolist() == pytest.approx(expected, rel=1e-5)


def test_the_soft_boundary_by_hand():
    """R = 2, ν = ¼: 4 within, and 4 + (9 - 4) · 4 at distance 3."""
    assert soft_boundary(torch.tensor([1.0, 9.0]), torch.tensor(2.0), 0.25).tolist() == [4, 24]


def test_the_radius_is_the_quantile_of_the_last_batch_after_the_warm_up(monkeypatch):
    distances, forward = [], Sphere.forward

    def spy(self, x):
        d2 = forward(self, x)
        distances.append((d2.detach().clone(), self.radius.clone()))
        return d2

    monkeypatch.setattr(Sphere, "forward", spy)
    net = trained(tiny(objective="soft-boundary", nu=0.25, warm_up=0.5)).module()
    assert [float(radius) > 0 for _, radius in distances] == [False, False, False, True]  # two of four steps warm up, the third sets it
    last = distances[-1][0].sqrt().numpy()
    assert float(net.radius) == pytest.approx(np.quantile(last, 0.75), rel=1e-5)
    assert float(trained(tiny(steps=4)).module().radius) == 0


def test_pre_training_learns_to_draw_and_then_distances_shrink():
    run = Run()
    images = pictures(4)
    fit(images, tiny(pretraining=100, steps=100, batch_size=4), seed=0, device=CPU, run=run)
    rec, dist = ([line[name] for line in run.history if name in line] for name in ("reconstruction", "distance"))
    assert (len(rec), len(dist)) == (2, 2)
    assert rec[1] < rec[0]
    assert dist[1] < dist[0]


def test_a_detector_has_no_decoder():
    assert {name.split(".")[0] for name in trained(tiny()).state()} == {"encode", "centre", "radius"}


def test_too_many_widths_for_the_size_are_refused_in_a_sentence():
    with pytest.raises(InputError, match="4 --widths halve images of 32 px to less than 4 px: give fewer"):
        trained(tiny(widths=(4, 4, 4, 4)))


def test_the_papers_recipe_is_150_passes_of_either_part():
    config = deep_svdd.paper()
    assert (config.pretraining, config.steps, config.batch_size) == (150 * 30, 150 * 30, 200)  # 30 batches of 200 make 6,000 digits
    assert (config.widths, config.latent, config.learning_rate) == ((8, 4), 32, 1e-4)
