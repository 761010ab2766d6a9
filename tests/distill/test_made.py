"""Pictures made from normal ones: functions of their draws, and each change by what it may and may not do to a picture."""

import pytest
import torch

from novelette.distill import made as changes
from novelette.distill.made import blended, blurred, from_elsewhere, made, noisy, pasted, recoloured, shuffled, turned

ALL = [turned, from_elsewhere, recoloured, shuffled, pasted, blended, blurred, noisy]
every_change = pytest.mark.parametrize("change", ALL, ids=lambda change: change.__name__)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(n=12, channels=3, size=32, seed=0):
    return torch.rand(n, channels, size, size, generator=rng(seed)) * 2 - 1


def test_every_change_takes_part():
    assert {change for _, change in changes.CHANGES} == set(ALL) - {turned, from_elsewhere}


@pytest.mark.parametrize("change", [*ALL, made], ids=lambda change: change.__name__)
def test_what_is_made_is_a_function_of_the_pictures_and_the_draws(change):
    x = pictures()
    before = x.clone()
    y = change(x, rng())
    assert torch.equal(y, change(x, rng()))
    assert torch.equal(x, before)
    assert not torch.equal(y, x)
    if change is not blurred:  # which draws nothing
        assert not torch.equal(y, change(x, rng(1)))


@pytest.mark.parametrize(("n", "channels", "size"), [(1, 3, 32), (5, 1, 32), (3, 3, 64), (2, 1, 8)])
def test_made_pictures_are_images_of_the_same_shape(n, channels, size):
    for seed in range(5):
        y = made(pictures(n, channels, size), rng(seed))
        assert y.shape == (n, channels, size, size)
        assert y.dtype == torch.float32
        assert y.abs().max() <= 1


@pytest.mark.parametrize("change", [turned, from_elsewhere, shuffled, pasted, blended, blurred], ids=lambda change: change.__name__)
def test_changes_of_place_leave_a_picture_of_one_colour(change):
    x = torch.tensor([0.5, -0.25, 1.0])[None, :, None, None].expand(6, 3, 32, 32)
    torch.testing.assert_close(change(x, rng()), x.contiguous(), rtol=0, atol=1e-5)  # float32 weights of neighbours that add up to 1


def test_turned_by_each_right_angle_and_never_by_none():
    x = pictures(60)
    y = turned(x, rng())
    by = [next(k for k in range(4) if torch.equal(b, a.rot90(k, (1, 2)))) for a, b in zip(x, y, strict=True)]
    assert set(by) == {1, 2, 3}


def test_from_elsewhere_shows_what_the_matrix_says():
    """A mirrored, rotated, zoomed ramp is a ramp: values are linear in the place, away from mirrored edges."""
    ramp = torch.linspace(-1, 1, 64).expand(1, 1, 64, 64).contiguous()
    for seed in range(20):
        y = from_elsewhere(ramp, rng(seed))[0, 0]
        inner = y[28:36, 28:36]
        across, down = inner.diff(dim=1), inner.diff(dim=0)
        if inner.abs().max() < 0.8:
            torch.testing.assert_close(across, across.mean().expand_as(across), rtol=0, atol=1e-4)
            torch.testing.assert_close(down, down.mean().expand_as(down), rtol=0, atol=1e-4)
            zoom = (across.mean() ** 2 + down.mean() ** 2).sqrt() / (2 / 63)
            assert 0.35 * 0.74 < zoom < 1.3 * 1.36  # exp(±0.3) is 0.74 and 1.35


def test_from_elsewhere_stretches_the_picture_and_then_turns_it():
    """Steps to the right and down stay at right angles in the old picture, whatever the angle, and differ in length by exp(±0.3) each."""
    ramp = torch.linspace(-1, 1, 64)
    both = torch.stack([ramp.expand(64, 64), ramp[:, None].expand(64, 64)])[None].contiguous()
    lengths = []
    for seed in range(40):
        inner = from_elsewhere(both, rng(seed))[0, :, 31:33, 31:33] * 63 / 2
        if inner.abs().max() < 0.8 * 63 / 2:
            right, down = inner[:, 0, 1] - inner[:, 0, 0], inner[:, 1, 0] - inner[:, 0, 0]
            assert abs(float(right @ down)) < 1e-3 * float(right.norm() * down.norm()), seed
            lengths.append(float(right.norm() / down.norm()))
    assert 0.5 < min(lengths) < 0.8
    assert 1.25 < max(lengths) < 1.9


def test_recoloured_changes_each_channel_alike_everywhere():
    """Each channel of the new picture is a line of one channel of the old, cut off at black and white."""
    x = pictures(30)
    for a, b in zip(x, recoloured(x, rng()), strict=True):
        sources = set()
        for channel in b:
            inside = channel.abs() < 1
            r = [abs(torch.corrcoef(torch.stack([channel[inside], old[inside]]))[0, 1]) for old in a]
            assert max(r) > 0.9999
            sources.add(r.index(max(r)))
        assert sources == {0, 1, 2}


def test_shuffled_keeps_the_pieces():
    x = pictures(20)
    for seed in range(4):
        for a, b in zip(x, shuffled(x, rng(seed)), strict=True):
            assert any(pieces(a, k) == pieces(b, k) for k in (2, 4))


def pieces(picture, k):
    side = picture.shape[-1] // k
    return sorted(picture[:, r * side : r * side + side, c * side : c * side + side].flatten().tolist() for r in range(k) for c in range(k))


def test_pasted_takes_one_rectangle_of_the_picture_before():
    x = pictures(30)
    y = pasted(x, rng())
    for i in range(len(x)):
        foreign = (y[i] != x[i]).all(0)
        assert torch.equal(torch.where(foreign, x[i - 1], x[i]), y[i])
        rows, columns = foreign.any(1), foreign.any(0)
        assert torch.equal(foreign, rows[:, None] & columns)
        for side in (rows, columns):
            places = side.nonzero()[:, 0]
            assert len(places) == places[-1] - places[0] + 1
            assert 10 <= len(places) <= 24


def test_blended_is_between_the_picture_and_the_one_before():
    x = pictures(30)
    y = blended(x, rng())
    share = (y - x.roll(1, 0)) / (x - x.roll(1, 0))
    for own, picture in zip(share, x - x.roll(1, 0), strict=True):
        clear = own[picture.abs() > 0.1]
        assert clear.max() - clear.min() < 1e-4  # float32 over a difference of a tenth
        assert 0.249 < clear.mean() < 0.751


def test_blurred_and_noisy_change_detail_and_no_brightness():
    x = pictures(30)
    soft = blurred(x, rng())
    assert (soft.flatten(1).std(1) < 0.7 * x.flatten(1).std(1)).all()
    noise = (noisy(x, rng()) - x).flatten(1)
    assert noise.std(1).max() < 0.42
    assert noise.std(1).min() < 0.1 < noise.std(1).max()
    for y in (soft, noisy(x, rng())):
        assert (y.flatten(1).mean(1) - x.flatten(1).mean(1)).abs().max() < 0.05
