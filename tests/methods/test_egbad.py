"""EGBAD: the score by hand, the game's labels, and that encoder and generator learn from the discriminator alone."""

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from novelette.batches import batches
from novelette.data.images import as_tensor
from novelette.methods import egbad
from novelette.methods.egbad import TINY, Config, Egbad, fit, paper
from novelette.nets import draw_weights
from novelette.training import Run, generators

CPU = torch.device("cpu")


def pictures(n=12, channels=1, seed=0):
    return torch.randint(0, 256, (n, channels, 32, 32), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_score_by_hand(alpha):
    net, x = Egbad(Config(**(TINY.model_dump() | {"alpha": alpha})), 1, 32).eval(), as_tensor(pictures(3))
    with torch.no_grad():
        z = net.encode(x)
        x_hat = net.generate(z)
        for i in range(3):
            f, f_hat = (net.critic.features(image[i : i + 1], z[i : i + 1]) for image in (x, x_hat))
            expected = alpha * float((x[i] - x_hat[i]).abs().mean()) + (1 - alpha) * float((f - f_hat).abs().mean())
            assert float(net(x)[i]) == pytest.approx(expected, rel=1e-4)


def test_a_step_of_either_player_descends_on_the_cross_entropy_of_its_labels(monkeypatch):
    losses, original = [], egbad.descend
    monkeypatch.setattr(egbad, "descend", lambda optimizer, loss: losses.append(float(loss.detach())) or original(optimizer, loss))
    config = TINY.model_copy(update={"steps": 1, "batch_size": 4, "learning_rate": 1e-9})  # both on the same weights, nearly
    fit(pictures(), config, seed=0, device=CPU, run=Run())
    net = Egbad(config, 1, 32)
    draw_weights(net, generators([0], 0))
    run = Run()
    for _ in run.steps(1, {}, seed=0):
        z = torch.randn(4, config.latent)
    x = batches([pictures()], 4, [0], CPU)[0][:, 0]
    with torch.no_grad():
        real, fake = net.critic(x, net.encode(x)), net.critic(net.generate(z), z)
    one, zero = torch.ones(4), torch.zeros(4)
    assert losses[0] == pytest.approx(float(cross_entropy(real, one) + cross_entropy(fake, zero)) / 2, rel=1e-4)
    assert losses[1] == pytest.approx(float(cross_entropy(real, zero) + cross_entropy(fake, one)), rel=1e-4)


def test_the_discriminator_looks_at_both_of_a_pair():
    critic = Egbad(TINY, 1, 32).critic
    x, z = as_tensor(pictures(2)), torch.randn(2, TINY.latent)
    logits = critic(x, z)
    assert logits.shape == (2,)
    assert not torch.allclose(critic(x.flip(0), z), logits)
    assert not torch.allclose(critic(x, z.flip(0)), logits)


def test_the_papers_recipe_is_the_papers():
    assert (paper().latent, paper().learning_rate, paper().alpha, paper().batch_size) == (200, 1e-5, 0.9, 100)
