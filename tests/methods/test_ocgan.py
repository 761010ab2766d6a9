"""OCGAN: bounded codes, who moves whom and down which loss, and latents mined where the classifier is surest that they are novel."""

import pytest
import torch
from descended import assert_gradient, gradients_of
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from novelette.batches import batches
from novelette.data.images import as_tensor
from novelette.methods import ocgan
from novelette.methods.ocgan import TINY, Autoencoder, Config, Ocgan, fit, paper
from novelette.training import Run

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


def test_a_step_of_each_player_descends_on_the_cross_entropies_of_its_labels(monkeypatch):
    changes = {"w_latent": 2.0, "w_visual": 3.0, "w_rec": 5.0, "batch_size": 4}
    gan, x = players(**changes), batches([pictures(12)], 4, [0], CPU)[0][:, 0]
    noted = gradients_of(ocgan, monkeypatch)
    fit(pictures(12), gan.config.model_copy(update={"steps": 1}), seed=0, device=CPU, run=Run())
    for _ in Run().steps(1, {}, seed=0):
        l1, l2 = gan.codes(x)
    x_hat, x_random, x_mined = gan.net.generate(l1), gan.net.generate(l2), gan.net.generate(gan.mined(l2))
    one, zero = torch.ones(4, 1), torch.zeros(4, 1)
    c, on_latents, on_pictures = gan.classifier, gan.latent_critic, gan.visual_critic
    l_c = cross_entropy(c(x_hat), one) + cross_entropy(c(x_random), zero)
    l_latent = cross_entropy(on_latents(l2), one) + cross_entropy(on_latents(l1), zero)
    l_visual = cross_entropy(on_pictures(x), one) + cross_entropy(on_pictures(x_random), zero)
    fooling = 2 * cross_entropy(on_latents(l1), one) + 3 * cross_entropy(on_pictures(x_mined), one)
    of_c, of_d, of_eg = noted
    assert_gradient(of_c, l_c / 2, c)
    assert_gradient(of_d, (l_latent + l_visual) / 2, on_latents, on_pictures)
    assert_gradient(of_eg, fooling + 5 * (x - x_hat).square().mean(), gan.net)


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
