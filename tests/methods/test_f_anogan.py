"""f-AnoGAN: the score by hand, what moves in which phase, and on what."""

import pytest
import torch
from descended import assert_gradient, gradients_of

from novelette import training
from novelette.batches import batches
from novelette.data.images import as_tensor
from novelette.methods import f_anogan
from novelette.methods.f_anogan import TINY, Config, fit, paper
from novelette.training import Run

CPU = torch.device("cpu")


def tiny(**changes):
    return Config(**(TINY.model_dump() | {"steps": 3, "encoder_steps": 3, "batch_size": 4} | changes))


def pictures(n=12, channels=1, seed=0):
    return torch.randint(0, 256, (n, channels, 32, 32), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def trained(config, **more):
    return fit(pictures(), config, seed=0, device=CPU, run=Run(**more))


def test_the_score_is_the_squared_difference_of_pixels_and_of_features():
    scorer, x = trained(tiny(kappa=0.5)), as_tensor(pictures(3, seed=1))
    with torch.no_grad():
        x_hat = scorer.net.generate(scorer.net.encode(x))
        for image, image_hat, score in zip(x, x_hat, scorer.score(x), strict=True):
            f, f_hat = (scorer.net.critic.features(i[None]) for i in (image, image_hat))
            expected = float((image - image_hat).square().mean()) + 0.5 * float((f - f_hat).square().mean())
            assert float(score) == pytest.approx(expected, rel=1e-5)


def moved(before, after, name):
    return any(not torch.equal(after[key], value) for key, value in before.items() if key.startswith(name))


def test_the_encoder_learns_when_generator_and_critic_have_and_leaves_them_alone():
    short, longer = (trained(tiny(encoder_steps=n, schedule="constant")).state() for n in (1, 3))
    assert {name: moved(short, longer, name) for name in ("encode", "generate", "critic")} == {
        "encode": True,
        "generate": False,
        "critic": False,
    }


def test_the_critic_has_its_rounds_each_on_other_pictures(monkeypatch):
    seen, original = [], f_anogan._descend_d
    monkeypatch.setattr(f_anogan, "_descend_d", lambda net, opt, x, penalty: seen.append(x) or original(net, opt, x, penalty))
    trained(tiny(critic_rounds=2))
    assert len(seen) == 6
    assert not torch.equal(seen[0], seen[1])


def test_critic_generator_and_encoder_descend_on_their_losses_by_hand(monkeypatch):
    noted = gradients_of(f_anogan, monkeypatch)
    net = trained(tiny(steps=1, encoder_steps=1, penalty=3.0, kappa=0.5)).net
    x, of_the_encoder = (batches([pictures()], 4, [0], CPU)[step][:, 0] for step in (0, 1))
    for _ in Run().steps(1, {}, seed=0):
        made, share = net.generate(torch.randn(4, TINY.latent)), torch.rand(4, 1, 1, 1)
        passed_off = net.generate(torch.randn(4, TINY.latent))
    between = (share * x + (1 - share) * made.detach()).requires_grad_()
    (slope,) = torch.autograd.grad(net.critic(between).sum(), between, create_graph=True)
    penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
    of_d, of_g, of_e = noted
    assert_gradient(of_d, net.critic(made).mean() - net.critic(x).mean() + 3 * penalty, net.critic)
    assert_gradient(of_g, -net.critic(passed_off).mean(), net.generate)
    assert_gradient(of_e, net(of_the_encoder).mean(), net.encode)


def test_the_log_has_both_phases(monkeypatch):
    monkeypatch.setattr(training, "LOG_EVERY", 3)
    run = Run()
    fit(pictures(), tiny(), seed=0, device=CPU, run=run)
    gan, encoder = run.history
    assert set(gan) == {"step", "distance", "penalty", "g", "variance"}
    assert set(encoder) == {"step", "izi_f", "con"}


def test_the_papers_recipe_is_the_papers():
    c = paper()
    assert (c.latent, c.batch_size, c.critic_rounds, c.learning_rate, c.encoder_rate) == (128, 64, 5, 1e-4, 5e-5)
    assert (c.beta1, c.beta2, c.penalty, c.kappa, c.encoder_steps) == (0.0, 0.9, 10, 1, 50_000)
