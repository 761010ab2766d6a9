"""Contextual self-supervision: which patch is predicted from what, in plain loops; where its map points."""

import pytest
import torch

from novelette.data.images import as_tensor
from novelette.errors import InputError
from novelette.methods.contextual import TINY, Config, Contextual, Scorer, fit
from novelette.nets import draw_kaiming_weights
from novelette.training import Run

CPU = torch.device("cpu")


def pictures(n=6, channels=2, size=16, seed=0):
    return torch.randint(0, 256, (n, channels, size, size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def untrained(channels=2, **config):
    net = Contextual(Config(width=5, **config), channels, 16)
    draw_kaiming_weights(net, torch.Generator().manual_seed(0))
    return net


def patch_at(x, row, column, p):
    """The numbers of a patch of an image (C, S, S), channel by channel; zeros where it lies outside."""
    inside = 0 <= row < x.shape[1] // p and 0 <= column < x.shape[2] // p
    return x[:, row * p : (row + 1) * p, column * p : (column + 1) * p].flatten() if inside else torch.zeros(x.shape[0] * p * p)


def errors_in_loops(net, x):
    """The map of squared errors of an image (C, S, S), patch by patch."""
    p, r, side = net.config.patch, net.config.ring, x.shape[1] // net.config.patch
    ways = [(i, j) for i in range(-r, r + 1) for j in range(-r, r + 1) if (i, j) != (0, 0)]
    total, count = torch.zeros_like(x), torch.zeros_like(x)

    def add(row, column, predicted):
        if 0 <= row < side and 0 <= column < side:
            at = (slice(None), slice(row * p, (row + 1) * p), slice(column * p, (column + 1) * p))
            total[at] += (predicted.view(-1, p, p) - x[at]).square()
            count[at] += 1

    for row in range(side):
        for column in range(side):
            around = torch.cat([patch_at(x, row + i, column + j, p) for i, j in ways])
            given = around if net.config.predict == "patch" else patch_at(x, row, column, p)
            out = net.predict(given[None, :, None, None]).flatten()
            if net.config.predict == "patch":
                add(row, column, out)
            else:
                for (i, j), predicted in zip(ways, out.chunk(len(ways)), strict=True):
                    add(row + i, column + j, predicted)
    return total / count


@pytest.mark.parametrize("predict", ["patch", "surroundings"])
@pytest.mark.parametrize(("patch", "ring"), [(4, 1), (2, 2), (8, 1)])
def test_the_map_is_the_squared_error_of_each_patch_from_its_surroundings_or_the_reverse(predict, patch, ring):
    net, x = untrained(predict=predict, patch=patch, ring=ring), as_tensor(pictures(2))
    with torch.no_grad():
        found, expected = net.errors(x), torch.stack([errors_in_loops(net, image) for image in x])
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(net(x), expected.flatten(1).mean(1), rtol=1e-4, atol=1e-5)


def test_a_patch_takes_no_part_in_its_own_prediction():
    net, x = untrained(patch=4), as_tensor(pictures(1))
    changed = x.clone()
    changed[:, :, 4:8, 8:12] += 0.5
    with torch.no_grad():
        predicted, again = (net.predict(net._patches_and_around(image)[1]) for image in (x, changed))
    moved = (predicted != again).any(1)[0]
    assert moved.tolist() == [[False, True, True, True], [False, True, False, True], [False, True, True, True], [False] * 4]


def test_the_score_is_the_mean_of_the_heat_map():
    scorer, x = Scorer(TINY, untrained()), as_tensor(pictures(3))
    torch.testing.assert_close(scorer.heatmap(x).flatten(1).mean(1), scorer.score(x))


@pytest.mark.parametrize("predict", ["patch", "surroundings"])
def test_the_map_points_at_a_patch_that_does_not_belong(predict):
    """Waves of one phase everywhere, in one patch the opposite: its surroundings foretell the rest."""
    row = torch.sin(torch.arange(16) * torch.pi / 4)
    images = (127.5 + 100 * row).round().to(torch.uint8).expand(8, 1, 16, 16).roll(1, 3)
    images = torch.cat([images.roll(k, 3) for k in range(8)])
    scorer = fit(images, TINY.model_copy(update={"predict": predict, "steps": 150}), seed=0, device=CPU, run=Run())
    x = as_tensor(images[:1]).clone()
    x[0, 0, 8:12, 4:8] *= -1
    by_patch = scorer.heatmap(x).view(4, 4, 4, 4).mean((1, 3))
    assert divmod(int(by_patch.argmax()), 4) == (2, 1)
    assert scorer.score(x) > 2 * scorer.score(as_tensor(images[:1]))


def test_patches_that_do_not_tile_the_image_are_refused():
    with pytest.raises(InputError, match="--patch 8 does not cut images of 28 px into whole patches"):
        fit(pictures(size=28), Config(patch=8), seed=0, device=CPU, run=Run())
    with pytest.raises(InputError, match="two or more across"):
        fit(pictures(size=16), Config(patch=16), seed=0, device=CPU, run=Run())
