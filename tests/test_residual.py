"""PIAD's networks against the supplement's tables: shapes layer by layer, and numbers of weights worked by hand."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from novelette.nets import SLOPE, draw_kaiming_weights
from novelette.residual import (
    ARCHITECTURES,
    Block,
    CriticBlock,
    Encoder,
    Generator,
    ImageCritic,
    LatentCritic,
    with_batch_spread,
)


def conv(c_in, c_out, k):
    """Weights and biases."""
    return c_in * c_out * k * k + c_out


def block(c_in, c_out):
    """Two 3x3 convolutions, and a 1x1 beside them where the width changes."""
    return conv(c_in, c_out, 3) + conv(c_out, c_out, 3) + (conv(c_in, c_out, 1) if c_in != c_out else 0)


def dense(*units):
    return sum(a * b + b for a, b in pairwise(units))


# By hand, from Tables 1 to 4. Of D_X in Table 1 three blocks (the printed fourth, 4x4 to 4x4, is a misprint); D_Z takes the latent.
COUNTS = {
    "small": (
        conv(1, 32, 3) + 3 * block(32, 32) + conv(32, 32, 4) + conv(32, 32, 1),
        conv(32, 32, 4) + 4 * block(32, 32) + conv(32, 1, 1),
        conv(1, 32, 3) + 3 * block(32, 32) + conv(33, 32, 4) + conv(32, 1, 1),
        dense(32, 128, 128, 1),
    ),
    "cifar10": (
        conv(3, 64, 3) + block(64, 64) + block(64, 128) + block(128, 256) + conv(256, 256, 4) + conv(256, 256, 1),
        conv(256, 256, 4) + block(256, 256) + block(256, 128) + block(128, 64) + block(64, 64) + conv(64, 3, 1),
        conv(3, 32, 3) + block(32, 32) + block(32, 64) + block(64, 128) + conv(129, 128, 4) + conv(128, 1, 1),
        dense(256, 1024, 1024, 1),
    ),
    "lsun": (
        conv(3, 64, 3) + 5 * block(64, 64) + conv(64, 32, 1),
        block(32, 64) + 5 * block(64, 64) + conv(64, 3, 1),
        conv(3, 64, 3) + 4 * block(64, 64) + conv(65, 64, 4) + conv(64, 1, 1),
        dense(512, 2048, 2048, 1),
    ),
    "celeba": (
        conv(3, 64, 3) + 4 * block(64, 64) + conv(64, 64, 4) + conv(64, 64, 1),
        conv(64, 64, 4) + 5 * block(64, 64) + conv(64, 3, 1),
        conv(3, 64, 3) + 4 * block(64, 64) + conv(65, 64, 4) + conv(64, 1, 1),
        dense(64, 256, 256, 1),
    ),
}
PRINTED = {"small": (1, 32), "cifar10": (3, 32), "lsun": (3, 64), "celeba": (3, 64)}  # channels, size


def nets(name, channels, size, divide=1):
    a = ARCHITECTURES[name].at(size, divide)
    return Encoder(a, channels), Generator(a, channels), ImageCritic(a, channels), LatentCritic(a)


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_table_has_the_weights_that_its_layers_take(name):
    with torch.device("meta"):
        made = nets(name, *PRINTED[name])
    assert tuple(map(count, made)) == COUNTS[name]


def test_table_1_by_numbers():
    e, g = 320 + 3 * 18_496 + 16_416 + 1_056, 16_416 + 4 * 18_496 + 33
    d_x, d_z = 320 + 3 * 18_496 + 16_928 + 33, 4_224 + 16_512 + 129
    assert COUNTS["small"] == (e, g, d_x, d_z)


def shapes(net, x):
    """Of what each top layer puts out, without the batch."""
    seen = []
    hooks = [layer.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape[1:]))) for layer in net.layers]
    net(x)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize(
    ("name", "channels", "size", "encoder", "generator", "critic", "dense"),
    [
        (  # Table 1, D_X with three blocks
            *("small", 1, 32),
            [(32, 32, 32), (32, 16, 16), (32, 8, 8), (32, 4, 4), (32, 4, 4), (32, 1, 1), (32, 1, 1), (32, 1, 1)],
            [(32, 4, 4), (32, 8, 8), (32, 16, 16), (32, 32, 32), (32, 32, 32), (32, 32, 32), (1, 32, 32)],
            [(32, 32, 32), (32, 16, 16), (32, 8, 8), (32, 4, 4)],
            [32, 128, 128, 128, 128, 1],
        ),
        (  # Table 2
            *("cifar10", 3, 32),
            [(64, 32, 32), (64, 16, 16), (128, 8, 8), (256, 4, 4), (256, 4, 4), (256, 1, 1), (256, 1, 1), (256, 1, 1)],
            [(256, 4, 4), (256, 8, 8), (128, 16, 16), (64, 32, 32), (64, 32, 32), (64, 32, 32), (3, 32, 32)],
            [(32, 32, 32), (32, 16, 16), (64, 8, 8), (128, 4, 4)],
            [256, 1024, 1024, 1024, 1024, 1],
        ),
        (  # Table 3
            *("lsun", 3, 64),
            [(64, 64, 64), (64, 32, 32), (64, 16, 16), (64, 8, 8), (64, 4, 4), (64, 4, 4), (64, 4, 4), (32, 4, 4)],
            [(64, 4, 4), (64, 8, 8), (64, 16, 16), (64, 32, 32), (64, 64, 64), (64, 64, 64), (64, 64, 64), (3, 64, 64)],
            [(64, 64, 64), (64, 32, 32), (64, 16, 16), (64, 8, 8), (64, 4, 4)],
            [512, 2048, 2048, 2048, 2048, 1],
        ),
        (  # Table 4
            *("celeba", 3, 64),
            [(64, 64, 64), (64, 32, 32), (64, 16, 16), (64, 8, 8), (64, 4, 4), (64, 4, 4), (64, 1, 1), (64, 1, 1), (64, 1, 1)],
            [(64, 4, 4), (64, 8, 8), (64, 16, 16), (64, 32, 32), (64, 64, 64), (64, 64, 64), (64, 64, 64), (3, 64, 64)],
            [(64, 64, 64), (64, 32, 32), (64, 16, 16), (64, 8, 8), (64, 4, 4)],
            [64, 256, 256, 256, 256, 1],
        ),
    ],
)
def test_shapes_of_the_tables(name, channels, size, encoder, generator, critic, dense):
    with torch.device("meta"):
        e, g, d_x, d_z = nets(name, channels, size)
        x, z = torch.zeros(2, channels, size, size), torch.zeros(2, *encoder[-1])
    assert (shapes(e, x), shapes(g, z), shapes(d_x, x)) == (encoder, generator, critic)
    assert [shape[0] for shape in shapes(d_z, z)] == dense
    assert d_x(x).shape == d_z(z).shape == (2,)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize(("size", "channels"), [(32, 1), (64, 3), (128, 1)])
def test_every_table_goes_with_every_size(name, size, channels):
    with torch.device("meta"):
        e, g, d_x, d_z = nets(name, channels, size, divide=4)
        x = torch.zeros(2, channels, size, size)
        z = e(x)
        side = ARCHITECTURES[name].latent_side
        assert z.shape == (2, ARCHITECTURES[name].latent, side, side)
        assert g(z).shape == x.shape
        assert d_x(x).shape == d_z(z).shape == (2,)


def test_at_another_size_the_outermost_width_is_repeated_or_left_out():
    a = ARCHITECTURES["cifar10"]
    assert a.at(32) == a
    assert (a.at(64).encoder, a.at(64).generator) == ((64, 64, 64, 128, 256), (256, 256, 128, 64, 64))
    assert ARCHITECTURES["celeba"].at(32).encoder == (64,) * 4


def test_a_block_is_a_sum_of_two_ways_by_hand():
    """One pixel channel, kernels that pass their middle on: x grown or averaged, and LeakyReLU twice on the other way."""
    for resize, expected in (("none", [[2.0, -1 - 0.04]]), ("up", [[2, 2, -1.04, -1.04]] * 2)):
        made = Block(1, 1, resize)
        for layer in made.change:
            if isinstance(layer, nn.Conv2d):
                layer.weight.data.zero_()[0, 0, 1, 1] = 1
                layer.bias.data.zero_()
        out = made(torch.tensor([[[[1.0, -1.0]]]]))[0, 0]
        torch.testing.assert_close(out, torch.tensor(expected))
    down = Block(1, 1, "down")
    for p in down.parameters():
        p.data.zero_()
    assert down(torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])).tolist() == [[[[3.0]]]]


def test_a_critics_block_is_a_block_that_halves():
    block, critics = Block(3, 5, "down").double(), CriticBlock(3, 5).double()
    critics.load_state_dict(block.state_dict())
    x = torch.randn(2, 3, 8, 8).double()
    torch.testing.assert_close(critics(x), block(x), rtol=1e-12, atol=1e-12)


def test_the_spread_of_a_batch_is_one_number_in_one_more_channel():
    f = torch.tensor([[[[0.0]], [[1.0]]], [[[2.0]], [[1.0]]]])  # two images of two channels: spreads 1 and 0
    out = with_batch_spread(f)
    assert out.shape == (2, 3, 1, 1)
    assert out[:, 2].flatten().tolist() == pytest.approx([0.5, 0.5], abs=1e-4)  # the root of 1e-8 for the channel that does not vary


def test_initial_weights_are_kaimings_by_outputs_and_depend_on_the_seed_alone():
    net = Encoder(ARCHITECTURES["small"], 1)
    draw_kaiming_weights(net, torch.Generator().manual_seed(3))
    last = net.layers[1].change[1]
    assert last.weight.std().item() == pytest.approx((2 / (1 + SLOPE**2) / (32 * 9)) ** 0.5, rel=0.05)  # 9,216 draws: 0.7 %
    assert not last.bias.any()
    again = Encoder(ARCHITECTURES["small"], 1)
    draw_kaiming_weights(again, torch.Generator().manual_seed(3))
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), again.parameters(), strict=True))


def test_initial_weights_by_inputs_keep_the_size_of_activations():
    layer = torch.nn.Linear(400, 50)
    draw_kaiming_weights(layer, torch.Generator().manual_seed(3), fan="in")
    assert layer.weight.std().item() == pytest.approx((2 / (1 + SLOPE**2) / 400) ** 0.5, rel=0.03)  # 20,000 draws: 0.5 %
