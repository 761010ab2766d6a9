"""EDE-GAN, ED-GAN and EDÊ-GAN: their pipelines, scores and loop, and models trained together."""

import math

import pytest
import torch

from novelette import training
from novelette.data.images import as_tensor
from novelette.errors import InputError
from novelette.losses import discriminator_loss
from novelette.methods import ede_gan
from novelette.methods.ede_gan import Config, Discriminator, Generator, Scorer, fit, fit_many, paper
from novelette.nets import block_widths, draw_weights
from novelette.training import Diverged, Run, generators

CPU = torch.device("cpu")


def tiny(**changes):
    return Config(**({"widths": (2,), "latent": 6, "steps": 20, "batch_size": 4} | changes))


def pictures(n=12, channels=1, seed=0):
    return torch.randint(0, 256, (n, channels, 32, 32), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def untrained(config, channels=1, seed=0):
    net = Generator(config, channels, 32)
    draw_weights(net, generators([seed], 0))
    return Scorer(config, net, {})


def trained(config, seed=0, images=None):
    return fit(pictures() if images is None else images, config, seed=seed, device=CPU, run=Run())


def same_weights(a, b):
    return all(torch.equal(value, b.state()[name]) for name, value in a.state().items())


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


# Recipes


def test_the_papers_recipe_is_the_papers():
    c = paper()
    assert (c.pipeline, block_widths(c.widths, 32), c.latent, c.norm) == ("ede", (64, 128, 256), 256, "image")
    assert (c.batch_size, c.epochs, c.learning_rate, c.beta1, c.beta2) == (1, 500, 0.002, 0.5, 0.99)
    assert (c.w_con, c.w_enc, c.w_adv, c.schedule, c.norm_first) == (10, 1, 1, "constant", True)


@pytest.mark.parametrize(("n", "batch", "steps"), [(10, 1, 30), (10, 5, 6), (10, 4, 9), (3, 8, 3)])
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


# The loop


class Spy:
    """Records, in a fit, every loss of D and every drawing of weights with what it left."""

    def __init__(self, monkeypatch, below):
        self.losses, self.draws, self.moments = [], [], []
        monkeypatch.setattr(ede_gan, "REDRAW_BELOW", below)
        monkeypatch.setattr(ede_gan, "discriminator_loss", self.loss)
        monkeypatch.setattr(ede_gan, "draw_weights", self.draw)
        monkeypatch.setattr(ede_gan, "descend", self.descend)

    def loss(self, real, fake):
        self.losses.append(discriminator_loss(real, fake))
        return self.losses[-1]

    def descend(self, optimizer, loss):
        self.optimizer = optimizer
        training.descend(optimizer, loss)

    def draw(self, net, rngs, models=None):
        before = [p.detach().clone() for p in net.parameters()]
        draw_weights(net, rngs, models)
        if models is not None:
            self.draws.append((net, models, before, [p.detach().clone() for p in net.parameters()]))
            self.moments.append([state["step"].item() for state in self.optimizer.state.values()])


def test_a_discriminator_that_has_won_is_drawn_anew_and_keeps_its_moments(monkeypatch):
    spy = Spy(monkeypatch, math.inf)
    trained(tiny(steps=3), seed=5)
    assert len(spy.draws) == 3
    fresh = Discriminator(tiny(), 1, 32)
    for step, (net, models, _, after) in enumerate(spy.draws):
        assert isinstance(net, Discriminator)
        assert models == [0]
        draw_weights(fresh, generators([5], 2, step))
        assert all(torch.equal(p, q) for p, q in zip(after, fresh.parameters(), strict=True))
    assert [set(moments) for moments in spy.moments] == [{1}, {2}, {3}]


def test_a_discriminator_that_has_not_won_is_left_alone(monkeypatch):
    spy = Spy(monkeypatch, 0.0)
    trained(tiny(steps=3))
    assert len(spy.losses) == 3
    assert spy.draws == []


def test_the_papers_limit_for_drawing_anew():
    assert ede_gan.REDRAW_BELOW == 1e-5


def test_only_the_model_whose_discriminator_has_won_is_drawn_anew(monkeypatch):
    images, config = [pictures(seed=1), pictures(seed=2), pictures(seed=3)], tiny(steps=1)

    def run(below):
        with monkeypatch.context() as patch:
            spy = Spy(patch, below)
            fit_many(images, config, seeds=[7, 8, 9], device=CPU, run=Run())
        return spy

    losses = run(0.0).losses[0].view(-1, 3).mean(0)
    least, second, _ = losses.sort().values.tolist()
    ((_, models, before, after),) = run((least + second) / 2).draws
    assert models == [losses.argmin().item()]
    for was, now in zip(before, after, strict=True):
        for m, (a, b) in enumerate(zip(was.chunk(3), now.chunk(3), strict=True)):
            assert torch.equal(a, b) or m == models[0]
    assert not torch.equal(before[0].chunk(3)[models[0]], after[0].chunk(3)[models[0]])


def test_the_discriminators_step_leaves_the_generator_and_the_generators_step_the_discriminator(monkeypatch):
    nets, touched = [], []

    def spy(optimizer, loss):
        before = [[p.detach().clone() for p in net.parameters()] for net in nets]
        training.descend(optimizer, loss)
        after = [list(net.parameters()) for net in nets]
        touched.append([any(not torch.equal(p, q) for p, q in zip(b, a, strict=True)) for b, a in zip(before, after, strict=True)])

    def draw(net, rngs, models=None):
        nets.append(net)
        draw_weights(net, rngs, models)

    monkeypatch.setattr(ede_gan, "descend", spy)
    monkeypatch.setattr(ede_gan, "draw_weights", draw)
    trained(tiny(steps=2))
    assert [type(net) for net in nets] == [Generator, Discriminator]
    assert touched == [[True, False], [False, True]] * 2


@pytest.fixture
def in_float64(monkeypatch):
    monkeypatch.setattr("novelette.batches.as_tensor", lambda pixels: as_tensor(pixels).double())
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("pipeline", ["ede", "ed"])
def test_models_trained_together_end_as_each_would_alone(in_float64, pipeline):
    """In float64, so that 30 steps of an adversarial game do not grow the rounding of sums taken in another order past 1e-6."""
    config = tiny(pipeline=pipeline, steps=30)
    images, seeds = [pictures(12, seed=1), pictures(9, seed=2), pictures(20, seed=3)], [4, 5, 6]
    together = fit_many(images, config, seeds=seeds, device=CPU, run=Run())
    for m in range(3):
        alone = fit(images[m], config, seed=seeds[m], device=CPU, run=Run())
        for name, value in alone.state().items():
            assert value.dtype == torch.float64
            torch.testing.assert_close(together[m].state()[name], value, rtol=1e-6, atol=1e-9)


def test_models_trained_together_in_float32_start_as_each_would_alone():
    """One step: float32 rounding of 1e-7 is divided by the gradient's size in Adam, so later steps part by chance, not by design."""
    images, config = [pictures(seed=1), pictures(seed=2)], tiny(steps=1)
    together = fit_many(images, config, seeds=[4, 5], device=CPU, run=Run())
    x = as_tensor(pictures(3, seed=9))
    for m in range(2):
        torch.testing.assert_close(together[m].score(x), trained(config, seed=4 + m, images=images[m]).score(x), rtol=1e-3, atol=0)


def test_unstacked_models_share_no_memory():
    first, second = fit_many([pictures(), pictures(seed=1)], tiny(steps=1), seeds=[0, 1], device=CPU, run=Run())
    before = {name: value.clone() for name, value in second.state().items()}
    for value in first.state().values():
        value.zero_()
    assert all(torch.equal(value, before[name]) for name, value in second.state().items())


# Divergence


def test_a_run_that_collapses_stops(monkeypatch):
    monkeypatch.setattr(training, "LOG_EVERY", 1)
    original = Generator.forward

    def collapsed(self, x):
        x_hat, z, z_hat = original(self, x)
        return x_hat.mean(0, keepdim=True) + 0 * x_hat, z, z_hat

    monkeypatch.setattr(Generator, "forward", collapsed)
    with pytest.raises(Diverged, match="since step 6 the reconstructions are all the same picture"):
        trained(tiny(steps=20))


@pytest.mark.usefixtures("in_float64")
def test_a_model_that_diverges_in_a_stack_is_named_and_the_others_end_as_they_would_without_it(monkeypatch):
    """Model 1 has a loss of NaN from step 9 on, and so weights of NaN."""
    images, seeds, config = [pictures(12, seed=1), pictures(9, seed=2), pictures(20, seed=3)], [4, 5, 6], tiny(steps=30)
    monkeypatch.setattr(training, "LOG_EVERY", 5)
    well = fit_many(images, config, seeds=seeds, device=CPU, run=Run())
    original, calls = ede_gan.generator_loss, []

    def poisoned(*terms, **weights):
        loss = original(*terms, **weights)
        calls.append(loss)
        return loss * torch.tensor([1, math.nan if len(calls) > 8 else 1, 1]).repeat(len(loss) // 3)  # rows: image by image

    run = Run()
    with monkeypatch.context() as patched:
        patched.setattr(ede_gan, "generator_loss", poisoned)
        scorers = fit_many(images, config, seeds=seeds, device=CPU, run=run)
    assert {m: str(error) for m, error in run.failed.items()} == {
        1: "training diverged at step 10: g is nan; try a lower --learning-rate or another --seed"
    }
    assert [line["step"] for line in run.history] == [5, 10, 15, 20, 25, 30]
    assert all(math.isfinite(value) for line in run.history for value in line.values())
    for m in (0, 2):
        assert same_weights(scorers[m], well[m])
        alone = fit(images[m], config, seed=seeds[m], device=CPU, run=Run())
        for name, value in alone.state().items():
            torch.testing.assert_close(scorers[m].state()[name], value, rtol=1e-6, atol=1e-9)  # sums in another order, in float64
    assert not torch.isfinite(scorers[1].state()["encode.head.weight"]).any()


def test_the_discriminator_is_kept_for_who_trains_on_and_takes_no_part_in_scores():
    scorer = fit(pictures(12), tiny(), seed=0, device=CPU, run=Run())
    state = scorer.state()
    critic = {name: tensor for name, tensor in state.items() if name.startswith("critic.")}
    assert {"critic.head.weight", "critic.features.0.weight"} <= set(critic)
    assert not any("critic" in name for name in scorer.module().state_dict())
    other = {name: torch.zeros_like(tensor) for name, tensor in critic.items()}
    x = as_tensor(pictures(4))
    assert torch.equal(Scorer.from_state(scorer.config, state | other, 1, 32).score(x), scorer.score(x))


def test_the_running_average_scores_by_hand():
    """After two steps from w0 the average is d w1 + (1 - d) w2: it begins at the first step's weights."""
    config = tiny(average=0.75, steps=2, schedule="constant", distance="euclidean")
    averaged = trained(config).state()
    one, two = (trained(config.model_copy(update={"average": 0.0, "steps": steps})).state() for steps in (1, 2))
    for name, value in averaged.items():
        by_hand = two[name] if name.startswith("critic.") else 0.75 * one[name] + 0.25 * two[name]
        torch.testing.assert_close(value, by_hand, rtol=1e-5, atol=1e-7)  # float32


def test_the_running_average_is_of_each_stacked_model_alone():
    config, images = tiny(average=0.9, steps=6), [pictures(seed=0), pictures(seed=1)]
    together = fit_many(images, config, seeds=[0, 1], device=CPU, run=Run())
    for m, scorer in enumerate(together):
        for name, value in trained(config, seed=m, images=images[m]).state().items():
            # tolerance: float32 sums in another order, then whitened
            torch.testing.assert_close(scorer.state()[name], value, rtol=1e-2, atol=1e-3)


def test_the_running_average_is_part_of_the_checkpoint():
    assert "average" in ede_gan.Gan(tiny(average=0.9), 1, 32, CPU).parts()
    assert "average" not in ede_gan.Gan(tiny(), 1, 32, CPU).parts()


@pytest.mark.heavy
def test_turned_copies_come_to_score_high():
    """Pictures bright at the top: after training with the contrast their turned copies score higher, without it hardly."""
    ramp = torch.linspace(255, 0, 32).reshape(1, 1, 32, 1).expand(40, 1, 32, 32)
    noise = torch.randint(0, 40, (40, 1, 32, 32), generator=torch.Generator().manual_seed(0))
    images = (ramp * 0.8 + noise).to(torch.uint8)
    ratio = {}
    for w_turned in (0.0, 1.0):
        scorer = trained(tiny(w_turned=w_turned, steps=150, latent=16, distance="euclidean"), images=images)
        upright = as_tensor(images)
        ratio[w_turned] = float(scorer.score(upright.rot90(2, (2, 3))).mean() / scorer.score(upright).mean())
    assert ratio[1.0] > 1.5 * ratio[0.0], ratio


def test_a_weight_of_turned_copies_needs_the_latent_score():
    with pytest.raises(ValueError, match="--w-turned needs --pipeline ede"):
        Config(pipeline="ed", w_turned=1.0)


@pytest.mark.parametrize("step", [0, 1, 2])
def test_turned_copies_are_of_the_same_pictures_and_never_upright(step):
    gan = ede_gan.Gan(tiny(w_turned=1.0), 1, 32, CPU)
    gan.draw([0])
    x = as_tensor(pictures(4))
    out = gan.turned(x, step)
    assert out is not None
    matches = [k for k in range(4) if torch.equal(out[0], gan.net(x.rot90(k, (2, 3)))[0])]
    assert matches == [1 + step % 3]
    assert ede_gan.Gan(tiny(), 1, 32, CPU).turned(x, step) is None
