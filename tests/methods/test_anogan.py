"""AnoGAN: what the search descends on, by hand and step by step; where it begins; and that it is each picture's own."""

import pytest
import torch
from torch.optim import Adam

from novelette.data.images import as_tensor
from novelette.methods.anogan import SEARCHED, TINY, Anogan, Config, fit, paper
from novelette.nets import draw_weights
from novelette.training import Run, generators

CPU = torch.device("cpu")


def tiny(**changes):
    return Config(**(TINY.model_dump() | {"steps": 4} | changes))


def pictures(n=12, channels=1, seed=0):
    return torch.randint(0, 256, (n, channels, 32, 32), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def searched(**changes):
    made = Anogan(tiny(**changes), 1, 32).eval()
    draw_weights(made, generators([0], 0))
    made.start.normal_(generator=generators([0], 1)[0])
    return made


def test_the_loss_by_hand():
    made = searched(weight=0.25)
    x, x_hat = torch.zeros(2, 1, 32, 32), torch.zeros(2, 1, 32, 32)
    x_hat[1] = 0.5
    with torch.no_grad():
        f = made.critic.features(x)
        of_features = (f - made.critic.features(x_hat)).abs().flatten(1).mean(1)
        loss = made.loss(x, f, x_hat)
    assert loss[0] == 0
    assert float(loss[1]) == pytest.approx(0.75 * 0.5 + 0.25 * float(of_features[1]), rel=1e-6)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_lambda_weighs_pixels_against_features(weight):
    made, x = searched(weight=weight, search_steps=1), as_tensor(pictures(2))
    z = made.search(x)
    with torch.no_grad():
        x_hat = made.generate(z)
        differ = (x - x_hat) if weight == 0 else made.critic.features(x) - made.critic.features(x_hat)
    torch.testing.assert_close(made(x), differ.abs().flatten(1).mean(1), rtol=1e-4, atol=1e-6)  # another size of batch


def test_the_search_is_adam_on_each_pictures_own_loss():
    made, x = searched(search_steps=3), as_tensor(pictures(2))
    found = made.search(x)
    for image, z_found in zip(x, found, strict=True):
        z = made.start.clone().requires_grad_()
        optimizer = Adam([z], made.config.search_rate, (made.config.beta1, 0.999))
        for _ in range(3):
            optimizer.zero_grad()
            x_hat = made.generate(z[None])
            pixels = (image - x_hat[0]).abs().mean()
            features = (made.critic.features(image[None]) - made.critic.features(x_hat)).abs().mean()
            (0.9 * pixels + 0.1 * features).backward()
            optimizer.step()
        torch.testing.assert_close(z_found, z.detach(), rtol=1e-3, atol=1e-4)  # Adam's first steps magnify what rounding leaves


def test_a_longer_search_comes_nearer():
    x = as_tensor(pictures(4))
    assert (searched(search_steps=20)(x) < searched(search_steps=1)(x)).all()


def test_a_drawn_picture_is_found_again_better_than_noise():
    made = searched(search_steps=20, weight=0.0)
    with torch.no_grad():
        drawn = made.generate(made.start[None] + 0.1 * torch.randn(3, TINY.latent, generator=torch.Generator().manual_seed(1)))
    assert made(drawn).max() < 0.5 * made(as_tensor(pictures(3))).min()


def test_parts_are_of_one_size_whatever_is_scored(monkeypatch):
    made, seen = searched(search_steps=1), []
    original = Anogan.search
    monkeypatch.setattr(Anogan, "search", lambda self, x: seen.append(len(x)) or original(self, x))
    x = as_tensor(pictures(3))
    assert torch.equal(torch.cat([made(x[:1]), made(x[1:])]), made(x))
    assert set(seen) == {SEARCHED}


def test_scores_are_the_same_where_no_gradients_are_wanted():
    made, x = searched(search_steps=2), as_tensor(pictures(3))
    expected = made(x)
    with torch.inference_mode():
        assert torch.equal(made(as_tensor(pictures(3))), expected)
    assert all(p.grad is None for p in made.parameters())


def test_the_search_begins_where_the_seed_says_and_the_state_keeps_it():
    first, again, other = (fit(pictures(), tiny(steps=1), seed=seed, device=CPU, run=Run()).net.start for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert 0.3 < float(first.std()) < 3


def test_the_papers_recipe_is_the_papers():
    assert (paper().search_steps, paper().weight, paper().latent) == (500, 0.1, 100)
