"""OCGAN: bounded codes, who moves whom, and latents that are mined where the classifier is surest that no normal picture is drawn."""

import pytest
import torch

from novelette.data.images import as_tensor
from novelette.methods import ocgan
from novelette.methods.ocgan import TINY, Autoencoder, Config, Ocgan, paper

CPU = torch.device("cpu")


def pictures(n=4, channels=1, seed=0):
    return torch.randint(0, 256, (n, channels, 32, 32), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def players(**changes):
    torch.manual_seed(0)
    gan = Ocgan(Config(**(TINY.model_dump() | changes)), 1, 32, CPU)
    gan.draw(0)
    return gan


def copies(gan):
    nets = {"e": gan.net.encode, "g": gan.net.generate, "l": gan.latent_critic, "v": gan.visual_critic, "c": gan.classifier}
    return {name: [p.detach().clone() for p in net.parameters()] for name, net in nets.items()}


def moved(gan, before):
    after = copies(gan)
    return {name for name in before if any(not torch.equal(p, q) for p, q in zip(before[name], after[name], strict=True))}


def test_codes_and_random_latents_lie_in_the_cube():
    gan = players(noise=0.0)
    with torch.no_grad():
        gan.net.encode.head.weight.mul_(1e4)
        l1, l2 = gan.codes(as_tensor(pictures()))
    assert l1.abs().max() <= 1
    assert l1.abs().max() > 0.9  # bounded by tanh, not by chance
    assert -1 <= l2.min() < -0.5 < 0.5 < l2.max() <= 1


def test_what_is_encoded_in_training_has_noise_of_the_stated_spread(monkeypatch):
    gan, x, seen = players(noise=0.5), as_tensor(pictures(64)), []
    monkeypatch.setattr(Autoencoder, "encode_bounded", lambda self, v: seen.append(v) or torch.zeros(len(v), 8))
    gan.codes(x)
    assert float((seen[0] - x).std()) == pytest.approx(0.5, rel=0.02)  # of 65,536 draws


def test_every_step_moves_its_own_players_and_no_others():
    gan, x = players(), as_tensor(pictures())
    l1, l2 = gan.codes(x)
    x_hat, x_random = gan.net.generate(l1), gan.net.generate(l2).detach()
    steps = {
        "c": lambda: gan.descend_c(x_hat, x_random),
        "lv": lambda: gan.descend_d(x, x_random, l1, l2),
        "eg": lambda: gan.descend_eg(x, x_hat, l1, gan.mined(l2)),
    }
    for own, step in steps.items():
        before = copies(gan)
        step()
        assert moved(gan, before) == set(own)


def test_what_encoder_and_generator_descend_on_by_hand(monkeypatch):
    gan, x, losses = players(w_latent=2.0, w_visual=3.0, w_rec=5.0), as_tensor(pictures()), []
    monkeypatch.setattr(ocgan, "descend", lambda optimizer, loss: losses.append(float(loss.detach())))
    l1, l2 = gan.codes(x)
    x_hat = gan.net.generate(l1)
    gan.descend_eg(x, x_hat, l1, l2)
    with torch.no_grad():
        latent, visual = gan.latent_critic(l1).sigmoid().log(), gan.visual_critic(gan.net.generate(l2)).sigmoid().log()
    assert losses == [pytest.approx(float(-2 * latent.mean() - 3 * visual.mean() + 5 * (x - x_hat).detach().square().mean()), rel=1e-5)]


def test_mined_latents_stay_in_the_cube_and_look_less_normal_to_the_classifier():
    gan = players(mining_steps=3, mining_rate=50.0)
    _, l2 = gan.codes(as_tensor(pictures(32)))
    mined = gan.mined(l2)
    assert mined.abs().max() <= 1
    assert not mined.requires_grad
    with torch.no_grad():
        before, after = (gan.classifier(gan.net.generate(l)).mean() for l in (l2, mined))
    assert after < before


def test_one_step_of_mining_by_hand():
    """l₂ + η ∇ log(1 - C(G(l₂))), by finite differences along one axis."""
    gan = players(mining_steps=1, mining_rate=0.1)
    gan.net.double(), gan.classifier.double()
    l2 = torch.rand(1, TINY.latent, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) - 0.5

    def value(l):
        with torch.no_grad():
            return float(torch.log(1 - torch.sigmoid(gan.classifier(gan.net.generate(l)))))

    nudge = torch.zeros_like(l2)
    nudge[0, 2] = 1e-6
    slope = (value(l2 + nudge) - value(l2 - nudge)) / 2e-6
    assert float((gan.mined(l2) - l2)[0, 2]) == pytest.approx(0.1 * slope, rel=1e-3)


def test_without_mining_the_latents_stay():
    gan = players(mining_steps=0)
    _, l2 = gan.codes(as_tensor(pictures()))
    assert torch.equal(gan.mined(l2), l2)


def test_the_score_is_the_mean_squared_error_of_the_picture_without_noise():
    net, x = Autoencoder(TINY, 1, 32).eval(), as_tensor(pictures())
    with torch.no_grad():
        x_hat, scores = net.generate(torch.tanh(net.encode(x))), net(x)
    for image, image_hat, score in zip(x, x_hat, scores, strict=True):
        assert float(score) == pytest.approx(float(((image - image_hat) ** 2).sum()) / 1024, rel=1e-5)


def test_the_papers_recipe_is_the_papers():
    assert (paper().w_rec, paper().w_latent, paper().w_visual, paper().latent) == (250, 10, 1, 16)
