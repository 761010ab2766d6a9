"""Sizes of the players, and what they do to images."""

import pytest
import torch

from novelette.classify.players import build, initial
from novelette.errors import InputError


@pytest.mark.parametrize(
    ("player", "channels", "size", "weights"),
    [
        ("mlp", 1, 28, 784 * 800 + 800 + 800 * 800 + 800 + 800 * 10 + 10),  # 1,276,810: the paper's 1.2 M, of 2^20
        ("lenet", 1, 28, 25 * 32 + 32 + 25 * 32 * 64 + 64 + 7 * 7 * 64 * 1024 + 1024 + 1024 * 10 + 10),  # 3,274,634: 3.1 M, of 2^20
        ("small-lenet", 3, 32, 3 * 25 * 32 + 32 + 25 * 32 * 64 + 64 + 5 * 5 * 64 * 288 + 288 + 288 * 10 + 10),  # 0.5 M
    ],
)
def test_numbers_of_weights(player, channels, size, weights):
    net = build(player, channels, size, 10)
    assert sum(p.numel() for p in net.parameters()) == weights
    assert net(torch.zeros(2, channels, size, size)).shape == (2, 10)


def test_the_resnet_has_the_papers_number_of_weights():
    net = build("resnet", 3, 32, 10)
    by_hand = 27 * 40 + 2 * 40  # the first convolution, and the scale and shift of its normalization
    for c_in, c in ((40, 40), (40, 80), (80, 160)):
        by_hand += 9 * c_in * c + 5 * 9 * c * c + 6 * 2 * c
    by_hand += 160 * 10 + 10
    weights = sum(p.numel() for p in net.parameters())
    assert weights == by_hand
    assert round(weights / 1e6, 1) == 1.7
    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_players_are_functions_of_the_seed_and_their_place():
    images = torch.randint(0, 256, (5, 1, 16, 16), dtype=torch.uint8)
    torch.manual_seed(0)
    one = initial(images, 3, ("mlp", "mlp"), divide_widths=64, subtract_mean=False, seed=1)
    torch.manual_seed(9)
    two = initial(images, 3, ("mlp", "mlp"), divide_widths=64, subtract_mean=False, seed=1)
    other = initial(images, 3, ("mlp", "mlp"), divide_widths=64, subtract_mean=False, seed=2)
    x = torch.rand(4, 1, 16, 16)
    assert torch.equal(one[0].eval()(x), two[0].eval()(x))
    assert not torch.equal(one[0](x), one[1].eval()(x))
    assert not torch.equal(one[0](x), other[0].eval()(x))


def test_the_mean_image_is_taken_away():
    images = torch.randint(0, 256, (50, 3, 16, 16), dtype=torch.uint8)
    (net,) = initial(images, 3, ("mlp",), divide_widths=64, subtract_mean=True, seed=1)
    centred = net[0](images.float() / 127.5 - 1)
    assert centred.mean(0).abs().max() < 1e-5
    assert torch.allclose(centred + (images.float() / 255).mean(0), images.float() / 255, atol=1e-5)


@pytest.mark.parametrize("size", [12, 30])
def test_images_of_other_sizes_are_refused(size):
    with pytest.raises(InputError, match=f"not {size}"):
        initial(torch.zeros(2, 1, size, size, dtype=torch.uint8), 3, ("lenet",), divide_widths=64, subtract_mean=False, seed=0)
