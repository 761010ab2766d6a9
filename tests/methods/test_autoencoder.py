"""The autoencoder of two layers: its derivative against autograd, what noise and contraction change."""

import math

import pytest
import torch

from novelette.data.images import as_tensor
from novelette.methods import autoencoder
from novelette.methods.autoencoder import TINY, Autoencoder, Config, contraction, fit
from novelette.training import Run

CPU = torch.device("cpu")


def tiny(**changes):
    return Config(**(TINY.model_dump() | {"steps": 12} | changes))


def pictures(n=12, channels=1, seed=0, size=8):
    return torch.randint(0, 256, (n, channels, size, size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def trained(config, **more):
    return fit(pictures(), config, seed=0, device=CPU, run=Run(**more))


def test_the_contraction_is_the_squared_norm_of_autograds_jacobian():
    net, x = Autoencoder(tiny(), 3, 8), as_tensor(pictures(5, channels=3))
    expected = [torch.autograd.functional.jacobian(net.encode, one[None]).square().sum() for one in x]
    torch.testing.assert_close(contraction(net.encode(x), net.first.weight), torch.stack(expected), rtol=1e-5, atol=0)


def test_the_contraction_by_hand():
    """Codes ½ and ¼ with rows (3, 4) and (0, 2): (¼)² 25 + (3/16)² 4."""
    h, weight = torch.tensor([[0.5, 0.25]]), torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    assert contraction(h, weight).tolist() == pytest.approx([25 / 16 + 9 / 64])


def test_the_score_is_the_mean_squared_error_and_the_heat_map_its_parts():
    scorer, x = trained(tiny()), as_tensor(pictures(4, seed=1))
    net = scorer.module()
    w, b = net.encode[1].weight, net.encode[1].bias
    v, c = net.decode[0].weight, net.decode[0].bias
    with torch.no_grad():
        x_hat = torch.tanh(torch.sigmoid(x.flatten(1) @ w.T + b) @ v.T + c).view_as(x)
    torch.testing.assert_close(scorer.score(x), (x - x_hat).square().mean((1, 2, 3)))
    torch.testing.assert_close(scorer.heatmap(x), (x - x_hat).square().mean(1))


def test_contraction_makes_the_code_less_sensitive():
    x = as_tensor(pictures())
    plain, contracted = (trained(tiny(steps=100, learning_rate=0.02, contractive=weight)).module() for weight in (0, 1))
    with torch.no_grad():
        norms = [contraction(net.encode(x), net.first.weight).mean() for net in (plain, contracted)]
    assert norms[1] < norms[0] / 2


def test_denoising_encodes_noisy_pictures_and_compares_with_the_clean_ones(monkeypatch):
    seen, clean = [], []
    monkeypatch.setattr(autoencoder, "mean_squared", lambda x, x_hat: clean.append(x) or (x - x_hat).square().flatten(1).mean(1))
    encode = torch.nn.Flatten.forward
    monkeypatch.setattr(torch.nn.Flatten, "forward", lambda self, x: seen.append(x) or encode(self, x))
    trained(tiny(steps=1, batch_size=4000, denoising=0.5))
    noise = seen[0] - clean[0]
    assert (noise.mean().item(), noise.std().item()) == (pytest.approx(0, abs=0.01), pytest.approx(0.5, abs=0.01))  # of 256,000 numbers


def test_initial_weights_are_xaviers():
    net = Autoencoder(Config(hidden=64), 1, 16)
    autoencoder.draw_xavier_weights(net, torch.Generator().manual_seed(0))
    for layer in (net.encode[1], net.decode[0]):
        limit = math.sqrt(6 / (256 + 64))
        assert layer.weight.abs().max() <= limit
        assert layer.weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.02)  # of 16,384 uniform numbers
        assert not layer.bias.any()
