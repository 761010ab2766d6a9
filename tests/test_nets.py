"""The networks: their shapes, per-image normalization, and models stacked in one program."""

import pytest
import torch

from novelette.methods.ede_gan import Config, Discriminator, Generator
from novelette.nets import Decoder, Encoder, block_widths, dense, depth, draw_weights
from novelette.training import generators


def small(**changes):
    return Config(**({"widths": (2, 4, 8), "latent": 16} | changes))


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def drawn(net, seed, models=1):
    draw_weights(net, generators(range(seed, seed + models), 0))
    return net


def images(n, channels, size, seed=0, dtype=torch.float32):
    rng = torch.Generator().manual_seed(seed)
    return (torch.rand(n, channels, size, size, generator=rng) * 2 - 1).to(dtype)


def test_parameters_of_a_generator_by_hand():
    # E: 4x4 kernels 1-2, 2-4, 4-8, 8-16; a weight and a bias for each of 2 + 4 + 8 normalized channels. D mirrors it; G = E, D, E.
    kernels = 16 * (1 * 2 + 2 * 4 + 4 * 8 + 8 * 16)
    assert parameters(Generator(small(), 1, 32)) == 3 * (kernels + 2 * 14)


@pytest.mark.parametrize(("size", "blocks"), [(32, 3), (64, 4), (128, 5), (256, 6)])
def test_depth_leaves_four_by_four_pixels(size, blocks):
    assert depth(size) == blocks
    assert size / 2**blocks == 4


@pytest.mark.parametrize("size", [4, 28, 48])
def test_a_size_that_does_not_halve_down_to_four_pixels_is_told(size):
    with pytest.raises(ValueError, match=f"takes 8, 16, 32, 64, 128 or 256 px, not {size}"):
        depth(size)


def test_a_single_width_doubles_to_the_cap():
    assert block_widths([2], 32) == (2, 4, 8)
    assert block_widths([64], 32) == (64, 128, 256)
    assert block_widths([64], 256) == (64, 128, 256, 256, 256, 256)


def test_a_single_width_above_the_cap_stays_what_it_is():
    assert block_widths([512], 32) == (512, 512, 512)


def test_widths_that_name_every_block_are_taken_as_they_are():
    assert block_widths([8, 16, 64], 32) == (8, 16, 64)


def test_without_normalization_convolutions_have_biases_and_see_how_bright_a_picture_is():
    net, x = drawn(Encoder(1, (2, 4, 8), 3, norm="none"), 0), images(2, 1, 32) * 0.1
    convolutions = [layer for layer in net.features if isinstance(layer, torch.nn.Conv2d)]
    assert len(convolutions) == 3
    assert all(layer.bias is not None for layer in convolutions)
    assert net.head.bias is None
    assert not torch.allclose(net(x), net(x + 0.5), atol=1e-3)


def test_weights_that_nothing_normalizes_are_drawn_so_that_signals_keep_their_size():
    layer = drawn(dense(1000, 2000), 0)[0]
    assert float(layer.weight.detach().std()) == pytest.approx((2 / 1.04 / 1000) ** 0.5, rel=0.01)  # of two million draws
    assert layer.bias.abs().max() == 0
    first = drawn(Encoder(1, (2, 4, 256), 3, norm="none"), 0).features
    convolutions = [layer for layer in first if isinstance(layer, torch.nn.Conv2d)]
    assert float(convolutions[-1].weight.detach().std()) == pytest.approx((2 / 1.04 / (4 * 16)) ** 0.5, rel=0.05)


def test_dense_layers_have_an_activation_between_them_and_none_after():
    assert [type(layer).__name__ for layer in dense(4, 3, 2)] == ["Linear", "LeakyReLU", "Linear"]


@pytest.mark.parametrize("widths", [(2, 4), (2, 4, 8, 16)])
def test_a_wrong_count_of_widths_is_refused_with_both_counts(widths):
    with pytest.raises(ValueError, match=f"names {len(widths)} blocks, but images of 32 px need 3"):
        block_widths(widths, 32)


@pytest.mark.parametrize("size", [32, 64, 128, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_at_every_size(size, channels):
    config, x = small(widths=(1,), latent=5), images(2, channels, size)
    x_hat, z, z_hat = drawn(Generator(config, channels, size), 0)(x)
    assert x_hat.shape == x.shape
    assert z.shape == z_hat.shape == (2, 5)
    assert x_hat.abs().max() <= 1
    critic = drawn(Discriminator(config, channels, size), 0)
    assert critic(x).shape == (2, 1)
    assert critic.features(x).shape == (2, block_widths((1,), size)[-1], 4, 4)


def test_batch_norm_at_batch_size_1_is_per_image_normalization_in_outputs_and_gradients():
    nets = [Generator(small(norm=norm), 3, 32) for norm in ("image", "batch")]
    drawn(nets[0], 7)
    missing, unexpected = nets[1].load_state_dict(nets[0].state_dict(), strict=False)
    assert not unexpected
    assert all("running" in name or "num_batches" in name for name in missing)
    x, results = images(1, 3, 32), []
    for net in nets:
        leaf = x.clone().requires_grad_()
        x_hat, z, z_hat = net.train()(leaf)
        ((leaf - x_hat).abs().mean() + (z - z_hat).square().mean() + z.square().mean()).backward()
        results.append([t.detach() for t in (x_hat, z, z_hat, leaf.grad, *(p.grad for p in net.parameters()))])
    for ours, theirs in zip(*results, strict=True):
        assert ours.abs().max() > 0
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * theirs.abs().max().item())  # 1e-5: the issue's; float32 has 1e-7


def test_per_image_normalization_keeps_images_of_a_batch_apart_and_batch_norm_does_not():
    x = images(6, 1, 32)
    for norm, apart in (("image", True), ("batch", False)):
        net = drawn(Generator(small(norm=norm), 1, 32), 1).train()
        together, alone = net(x)[2], torch.cat([net(one)[2] for one in x.split(1)])
        assert torch.allclose(together, alone, rtol=1e-5, atol=1e-6) is apart


def test_stacked_models_give_what_each_gives_alone():
    channels, models = 3, 3
    stacked = drawn(Generator(small(), channels, 32, models), 10, models).double()
    x = images(4, models * channels, 32, dtype=torch.float64)
    outs = [t.unflatten(1, (models, -1)) for t in stacked(x)]
    for m in range(models):
        alone = drawn(Generator(small(), channels, 32), 10 + m).double()(x.unflatten(1, (models, -1))[:, m])
        for together, single in zip(outs, alone, strict=True):
            torch.testing.assert_close(together[:, m], single, rtol=1e-12, atol=1e-12)  # float64: only the order of sums differs


def test_stacked_discriminators_give_what_each_gives_alone():
    x = images(4, 2, 32, dtype=torch.float64)
    stacked = drawn(Discriminator(small(), 1, 32, 2), 3, 2).double()(x)
    assert stacked.shape == (4, 2)
    for m in range(2):
        torch.testing.assert_close(stacked[:, [m]], drawn(Discriminator(small(), 1, 32), 3 + m).double()(x[:, [m]]), rtol=1e-12, atol=1e-12)


def test_drawing_one_model_leaves_the_others_untouched():
    net = drawn(Generator(small(), 1, 32, 3), 0, 3)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    draw_weights(net, generators([50, 51, 52], 0), [1])
    for name, value in net.state_dict().items():
        was, now = before[name].chunk(3), value.chunk(3)
        assert torch.equal(was[0], now[0])
        assert torch.equal(was[2], now[2])
        assert name.endswith("bias") or not torch.equal(was[1], now[1])


def test_drawn_weights_are_a_function_of_the_seed():
    def weights(seed):
        return torch.cat([p.flatten() for p in drawn(Generator(small(), 1, 32), seed).parameters()])

    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))


def test_weights_are_drawn_as_dcgan_draws_them():
    net = drawn(Generator(Config(widths=(16, 32, 64)), 1, 32), 0).requires_grad_(False)
    for layer in net.modules():
        if isinstance(layer, torch.nn.GroupNorm):
            assert layer.weight.mean() == pytest.approx(1, abs=0.02)  # at least 16 draws of N(1, 0.02): 4 standard errors are 0.02
            assert not layer.bias.any()
        elif isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d) and layer.weight.numel() > 10_000:
            assert layer.bias is None
            assert layer.weight.std() == pytest.approx(0.02, rel=0.03)  # 10,000 draws: the spread is known to 0.7 %
            assert layer.weight.mean() == pytest.approx(0, abs=0.001)


def test_normalization_after_the_first_convolution_can_be_left_out():
    layers = [type(layer).__name__ for layer in Encoder(1, (2, 4, 8), 16, norm_first=False).features]
    assert layers == ["Conv2d", "LeakyReLU", "Conv2d", "GroupNorm", "LeakyReLU", "Conv2d", "GroupNorm", "LeakyReLU"]


def test_normalized_image_by_image_a_decoder_draws_the_direction_of_a_latent():
    torch.manual_seed(0)
    decode, z = Decoder(1, (4, 8, 16), 6).eval(), torch.randn(3, 6)
    draw_weights(decode, [torch.Generator().manual_seed(0)])
    decode.first.weight.data.mul_(50)  # far above what is added to a variance
    torch.testing.assert_close(decode(7 * z), decode(z), rtol=0, atol=1e-3)
    assert (decode(-z) - decode(z)).abs().max() > 0.01


def test_decoder_ends_in_the_range_of_images():
    decoder = drawn(Decoder(1, (2, 4, 8), 16), 0)
    x_hat = decoder(1000 * torch.randn(3, 16, generator=torch.Generator().manual_seed(0)))
    assert x_hat.shape == (3, 1, 32, 32)
    assert x_hat.min() >= -1
    assert x_hat.max() <= 1
