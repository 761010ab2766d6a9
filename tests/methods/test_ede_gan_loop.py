"""EDE-GAN's loop: the players' steps, discriminators drawn anew, divergence, averages and turned copies."""

import math

import pytest
import torch
from methods.small_ede_gan import CPU, pictures, tiny, trained

from novelette import training
from novelette.data.images import as_tensor
from novelette.losses import discriminator_loss
from novelette.methods import ede_gan
from novelette.methods.ede_gan import Config, Discriminator, Generator, fit_many
from novelette.nets import draw_weights
from novelette.training import Diverged, Run, generators


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


def test_a_run_that_collapses_stops(monkeypatch):
    monkeypatch.setattr(training, "LOG_EVERY", 1)
    original = Generator.forward

    def collapsed(self, x):
        x_hat, z, z_hat = original(self, x)
        return x_hat.mean(0, keepdim=True) + 0 * x_hat, z, z_hat

    monkeypatch.setattr(Generator, "forward", collapsed)
    with pytest.raises(Diverged, match="since step 6 the reconstructions are all the same picture"):
        trained(tiny(steps=20))


def test_the_running_average_scores_by_hand():
    """After two steps from w0 the average is d w1 + (1 - d) w2: it begins at the first step's weights."""
    config = tiny(average=0.75, steps=2, schedule="constant", distance="euclidean")
    averaged = trained(config).state()
    one, two = (trained(config.model_copy(update={"average": 0.0, "steps": steps})).state() for steps in (1, 2))
    for name, value in averaged.items():
        by_hand = two[name] if name.startswith("critic.") else 0.75 * one[name] + 0.25 * two[name]
        torch.testing.assert_close(value, by_hand, rtol=1e-5, atol=1e-7)  # float32


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
