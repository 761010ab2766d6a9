"""ADGAN: its searches one by one, in plain loops; copies of the generator that give way and leave the generator as it is."""

import copy

import pytest
import torch
from torch.optim import Adam

from novelette.data.images import as_tensor
from novelette.methods.adgan import COPIES, TINY, Adgan, Config, fit, paper
from novelette.nets import draw_weights
from novelette.training import Run, generators

CPU = torch.device("cpu")


def pictures(n=3, channels=1, seed=0):
    return torch.randint(0, 256, (n, channels, 32, 32), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def searched(**changes):
    made = Adgan(Config(**(TINY.model_dump() | changes)), 1, 32).eval()
    draw_weights(made, generators([0], 0))
    made.starts.normal_(generator=generators([0], 1)[0])
    return made


def test_the_searches_are_adam_on_a_latent_and_a_copy_of_the_generator_for_each_picture_and_start():
    made, x = searched(weights_rate=1e-2), as_tensor(pictures(2))
    drawn = made.search(x)
    assert drawn.shape == (2, 2, 1, 32, 32)
    for i, image in enumerate(x):
        for j, start in enumerate(made.starts):
            net, z = copy.deepcopy(made.generate), start.clone()[None].requires_grad_()
            optimizer = Adam(
                [{"params": [z], "lr": made.config.search_rate}, {"params": net.parameters(), "lr": 1e-2}], betas=(made.config.beta1, 0.999)
            )
            for _ in range(made.config.search_steps):
                optimizer.zero_grad()
                (image - net(z)).square().mean().backward()
                optimizer.step()
            with torch.no_grad():
                torch.testing.assert_close(drawn[i, j], net(z)[0], rtol=1e-2, atol=1e-3)  # Adam magnifies what rounding leaves


def test_the_score_is_the_mean_over_starts_of_the_squared_difference():
    made, x = searched(), as_tensor(pictures())
    filled = torch.cat([x, torch.zeros(COPIES // 2 - 3, 1, 32, 32)])  # the part that the scorer searches in
    with torch.enable_grad():
        drawn = made.search(filled)[:3]
    for i in range(3):
        expected = sum(float((x[i] - drawn[i, j]).square().mean()) for j in range(2)) / 2
        assert float(made(x)[i]) == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(made.heatmap(x)[1], (x[1] - drawn[1]).abs().mean((0, 1)))


def test_copies_that_give_way_come_nearer():
    x = as_tensor(pictures())
    stiff, giving = (searched(weights_rate=rate, search_steps=5)(x) for rate in (0.0, 1e-2))
    assert (giving < stiff).all()


def test_the_generator_stays_as_it_is_and_so_do_the_scores():
    made, x = searched(weights_rate=0.1), as_tensor(pictures())
    before = {name: value.clone() for name, value in made.state_dict().items()}
    first = made(x)
    assert torch.equal(made(x), first)
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


def test_the_starts_are_the_seeds_and_all_different():
    def starts(seed):
        return fit(pictures(12), TINY.model_copy(update={"steps": 1, "starts": 3}), seed=seed, device=CPU, run=Run()).net.starts

    first = starts(0)
    assert first.shape == (3, TINY.latent)
    assert torch.equal(first, starts(0))
    assert not torch.equal(first, starts(1))
    assert len(first.unique(dim=0)) == 3


def test_the_papers_recipe_is_the_papers():
    assert (paper().starts, paper().search_steps, paper().search_rate, paper().weights_rate) == (64, 5, 0.25, 5e-5)
