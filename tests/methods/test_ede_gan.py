"""EDE-GAN, ED-GAN and EDÊ-GAN: their pipelines, scores and recipes."""

import math

import pytest
import torch
from methods.small_ede_gan import CPU, pictures, same_weights, tiny, trained, untrained

from novelette.data.images import as_tensor
from novelette.errors import InputError
from novelette.methods.ede_gan import Scorer, fit, paper
from novelette.nets import block_widths
from novelette.training import Run

# Pipelines and scores


@pytest.mark.parametrize(("pipeline", "encoders"), [("ede", 2), ("ed-hat", 2), ("ed", 1)])
def test_only_ed_has_no_second_encoder(pipeline, encoders):
    state = untrained(tiny(pipeline=pipeline)).state()
    assert len({name.split(".")[0] for name in state} & {"encode", "encode_again"}) == encoders


@pytest.mark.parametrize("channels", [1, 3])
def test_ede_scores_by_the_distance_of_the_two_latents(channels):
    scorer, x = untrained(tiny(), channels), as_tensor(pictures(3, channels))
    net = scorer.module().net
    with torch.no_grad():
        z = net.encode(x)
        z_hat = net.encode_again(net.decode(z))
    by_hand = [math.sqrt(sum((a - b) ** 2 for a, b in zip(z[i].tolist(), z_hat[i].tolist(), strict=True))) for i in range(3)]
    assert scorer.score(x).tolist() == pytest.approx(by_hand, rel=1e-5)  # float32 sums


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("pipeline", ["ed", "ed-hat"])
def test_ed_and_ed_hat_score_by_the_mean_difference_of_image_and_reconstruction(pipeline, channels):
    scorer, x = untrained(tiny(pipeline=pipeline), channels), as_tensor(pictures(3, channels))
    net = scorer.module().net
    with torch.no_grad():
        x_hat = net.decode(net.encode(x))
    pairs = [list(zip(x[i].flatten().tolist(), x_hat[i].flatten().tolist(), strict=True)) for i in range(3)]
    by_hand = [sum(abs(a - b) for a, b in pair) / len(pair) for pair in pairs]
    assert scorer.score(x).tolist() == pytest.approx(by_hand, rel=1e-5)  # float32 sums


def test_the_second_encoder_of_ed_hat_takes_no_part_in_its_scores():
    scorer, x = untrained(tiny(pipeline="ed-hat")), as_tensor(pictures(3))
    before = scorer.score(x)
    for p in scorer.module().net.encode_again.parameters():
        p.data.zero_()
    assert torch.equal(scorer.score(x), before)


def test_the_latent_constraint_trains_ed_hat_and_does_not_exist_for_ed():
    for pipeline, matters in (("ed-hat", True), ("ed", False)):
        with_it, without = (trained(tiny(pipeline=pipeline, w_enc=w)) for w in (1.0, 0.0))
        assert same_weights(with_it, without) is not matters


@pytest.mark.parametrize("pipeline", ["ede", "ed"])
def test_heat_map_is_the_difference_averaged_over_channels(pipeline):
    scorer, x = untrained(tiny(pipeline=pipeline), channels=3), as_tensor(pictures(2, 3))
    net = scorer.module().net
    with torch.no_grad():
        x_hat = net.decode(net.encode(x))
    torch.testing.assert_close(scorer.heatmap(x), ((x - x_hat).abs().sum(1) / 3), rtol=1e-5, atol=1e-6)


def test_the_discriminator_is_kept_for_who_trains_on_and_takes_no_part_in_scores():
    scorer = fit(pictures(12), tiny(), seed=0, device=CPU, run=Run())
    state = scorer.state()
    critic = {name: tensor for name, tensor in state.items() if name.startswith("critic.")}
    assert {"critic.head.weight", "critic.features.0.weight"} <= set(critic)
    assert not any("critic" in name for name in scorer.module().state_dict())
    other = {name: torch.zeros_like(tensor) for name, tensor in critic.items()}
    x = as_tensor(pictures(4))
    assert torch.equal(Scorer.from_state(scorer.config, state | other, 1, 32).score(x), scorer.score(x))


# Recipes


def test_the_papers_recipe_is_the_papers():
    c = paper()
    assert (c.pipeline, block_widths(c.widths, 32), c.latent, c.norm) == ("ede", (64, 128, 256), 256, "image")
    assert (c.batch_size, c.epochs, c.learning_rate, c.beta1, c.beta2) == (1, 500, 0.002, 0.5, 0.99)
    assert (c.w_con, c.w_enc, c.w_adv, c.schedule, c.norm_first) == (10, 1, 1, "constant", True)


@pytest.mark.parametrize(("n", "batch", "steps"), [(10, 1, 30), (10, 5, 6), (10, 4, 8), (3, 8, 2)])
def test_epochs_are_so_many_steps(n, batch, steps):
    config = tiny(epochs=3, batch_size=batch)
    assert config.steps_for(n) == steps
    run = Run()
    fit(pictures(n), config, seed=0, device=CPU, run=run)
    assert run.history[-1]["step"] == steps


def test_without_epochs_steps_count():
    assert tiny(steps=17).steps_for(1000) == 17


@pytest.mark.parametrize("widths", [(2, 4), (2, 4, 8, 16)])
def test_widths_that_do_not_fit_the_image_are_a_persons_error(widths):
    with pytest.raises(InputError, match=f"names {len(widths)} blocks, but images of 32 px need 3"):
        trained(tiny(widths=widths))


def test_running_statistics_need_batch_norm():
    with pytest.raises(ValueError, match="--statistics running needs --norm batch"):
        tiny(statistics="running")


@pytest.mark.parametrize("channels", [1, 3])
def test_training_learns_to_reconstruct_a_picture(channels):
    """Smooth pictures: blocks of 8 x 8 pixels of one shade. An untrained decoder is about as far from them as grey is."""
    blocks = torch.randint(0, 256, (1, channels, 4, 4), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    image = blocks.repeat_interleave(8, 2).repeat_interleave(8, 3)
    config = tiny(pipeline="ed", steps=100, widths=(8,), latent=32)
    after = trained(config, images=image.expand(8, -1, -1, -1).clone()).score(as_tensor(image))
    assert after < 0.5 * untrained(config, channels).score(as_tensor(image))


# BatchNorm


def test_batch_norm_by_the_batch_scores_in_batches_as_trained():
    config = tiny(norm="batch", statistics="batch", batch_size=4)
    scorer, x = trained(config), as_tensor(pictures(10, seed=1))
    net = scorer.module().net.train()
    with torch.no_grad():
        parts = [net(part) for part in (x[:4], x[4:8], x[8:])]
        expected = torch.cat([(z - z_hat).norm(dim=1) for _, z, z_hat in parts])
    torch.testing.assert_close(scorer.score(x), expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(scorer.score(x[:1]), scorer.score(x)[:1], rtol=1e-3)  # alone, an image is normalized by itself


def test_batch_norm_by_running_averages_scores_each_image_alone():
    scorer, x = trained(tiny(norm="batch", statistics="running")), as_tensor(pictures(10, seed=1))
    assert not scorer.module().training
    torch.testing.assert_close(torch.cat([scorer.score(one) for one in x.split(1)]), scorer.score(x), rtol=1e-5, atol=1e-6)
    rebuilt = Scorer.from_state(scorer.config, scorer.state(), 1, 32)
    assert torch.equal(rebuilt.score(x), scorer.score(x))


def test_batch_norm_at_batch_size_1_trains_and_scores_as_per_image_normalization():
    x, scores = as_tensor(pictures(5, seed=1)), []
    for norm in ("image", "batch"):
        scores.append(trained(tiny(norm=norm, batch_size=1, steps=10)).score(x))
    torch.testing.assert_close(*scores, rtol=1e-3, atol=0)  # ten steps of Adam: it divides by the gradient's size, so rounding grows
