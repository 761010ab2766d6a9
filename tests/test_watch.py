"""Watching models train: which divergences stop one, when, and what is said; those beside it go on."""

import math

import pytest
import torch

from novelette.data.images import as_tensor
from novelette.training import Diverged, Run
from novelette.watch import Watch

WELL = {"g": torch.ones(1), "d": torch.ones(1)}


def pictures(n=12, channels=1, seed=0):
    return torch.randint(0, 256, (n, channels, 32, 32), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def watch_of(steps, models=1):
    return Watch(steps, models, Run())


def look(watch, looks, x_hat, x=None, first=0):
    """Look at one model `looks` times, 50 steps apart, from the end of step `first` + 50; images (B, C, S, S)."""
    for i in range(looks):
        assert watch(first + 50 * (i + 1) - 1, WELL, (watched() if x is None else x)[:, None], x_hat[:, None]) == [0]


def watched(n=8):
    return as_tensor(pictures(n)) * 0.8


def one_picture(n=8):
    return as_tensor(pictures(1, seed=5)).expand(n, 1, 32, 32)


def test_reconstructions_that_stay_the_same_stop_the_run_at_the_tenth_look_and_name_the_first():
    watch = watch_of(200)
    look(watch, 10, one_picture())  # the first look, after step 50, is before a quarter of 200
    with pytest.raises(Diverged, match=r"since step 100 the reconstructions are all the same picture; try a lower --learning-rate"):
        look(watch, 1, one_picture(), first=500)


def test_images_made_of_random_latents_are_watched_but_not_compared_with_the_pictures():
    run = Run()
    watch = Watch(200, 1, run)
    watch.log(49, watched(), watched().flip(0), WELL, paired=False)
    watch.log(99, watched(), watched().flip(0), WELL)
    assert [set(line) for line in run.history] == [{"step", "g", "d", "variance"}, {"step", "g", "d", "con"}]
    for i in range(9):
        watch.log(149 + 50 * i, watched(), one_picture(), WELL, paired=False)
    with pytest.raises(Diverged, match="are all the same picture"):
        watch.log(599, watched(), one_picture(), WELL, paired=False)


def test_reconstructions_in_black_and_white_alone_stop_the_run():
    watch = watch_of(1)
    look(watch, 9, watched().sign())
    with pytest.raises(Diverged, match="since step 50 the reconstructions are saturated black and white"):
        look(watch, 1, watched().sign(), first=450)


def test_reconstructions_that_leave_the_range_of_pixels_here_and_there_are_not_saturated():
    """As those of a generator without a last tanh may: 1.05 on average, but grey in a quarter of the pixels."""
    x_hat = 1.3 * watched().sign()
    x_hat[..., :8] = 0.3
    assert x_hat.abs().mean() > 1
    look(watch_of(1), 20, x_hat)


def test_a_collapse_in_the_first_quarter_or_5000_steps_is_forgiven():
    look(watch_of(4000), 19, one_picture())
    watch = watch_of(10**6)
    look(watch, 99, one_picture())
    with pytest.raises(Diverged, match="since step 5,050 "):
        look(watch, 20, one_picture(), first=5000)


def test_a_collapse_that_passes_is_forgiven():
    watch = watch_of(1)
    for _ in range(3):
        look(watch, 9, one_picture())
        look(watch, 1, watched())


def test_good_reconstructions_and_alike_or_black_and_white_training_pictures_are_no_collapse():
    look(watch_of(1), 30, watched())
    look(watch_of(1), 30, one_picture(), x=one_picture())
    look(watch_of(1), 30, watched().sign(), x=watched().sign())


def test_a_collapse_is_seen_at_batch_size_1_too():
    watch, same = watch_of(1), one_picture(1)
    for i in range(9):
        look(watch, 1, same, as_tensor(pictures(1, seed=i)), first=50 * i)
    look(watch, 1, same, as_tensor(pictures(1, seed=9)), first=450)  # the first look had nothing to compare with
    with pytest.raises(Diverged, match="all the same picture"):
        look(watch, 1, same, as_tensor(pictures(1, seed=10)), first=500)
    watch = watch_of(1)
    for i in range(30):
        look(watch, 1, as_tensor(pictures(1, seed=i)), as_tensor(pictures(1, seed=i)), first=50 * i)


def test_of_several_models_those_that_diverge_are_named_and_when_none_is_left_the_first_is_raised():
    watch, x = watch_of(1, models=3), watched()[:, None].expand(8, 3, 1, 32, 32)
    x_hat = torch.stack([watched(), one_picture(), watched()], dim=1)
    losses = {"g": torch.ones(3), "d": torch.tensor([1.0, 1.0, math.nan])}
    said = [watch(50 * (i + 1) - 1, losses, x, x_hat) for i in range(12)]
    assert said == [[0, 1]] * 9 + [[0]] * 3  # a loss is judged at once, a collapse at the tenth look
    assert {m: str(error).partition(";")[0] for m, error in watch.run.failed.items()} == {
        2: "training diverged at step 50: d is nan",
        1: "training collapsed: since step 50 the reconstructions are all the same picture",
    }
    with pytest.raises(Diverged, match="at step 650: g is inf"):
        watch(649, {"g": torch.tensor([math.inf, 1, 1])}, x, x_hat)


def test_log_has_the_mean_losses_of_the_models_that_are_well():
    watch, x = watch_of(1, models=3), watched()[:, None].expand(8, 3, 1, 32, 32).flatten(1, 2)
    g = torch.tensor([1.0, 5.0, math.nan]).repeat(8)  # rows: image by image, model by model
    watch.log(9, x, x / 2, {"g": g})
    (line,) = watch.run.history
    assert (line["step"], line["g"]) == (10, 3.0)
    assert line["con"] == pytest.approx((x / 2).abs().mean().item(), abs=1e-6)  # the log has six digits
    assert list(watch.run.failed) == [2]


def test_pictures_far_out_of_range_are_an_explosion():
    watch, x_hat = watch_of(1), 30 * watched()
    look(watch, 9, x_hat)
    with pytest.raises(Diverged, match="training exploded: since step 50 the reconstructions are far out of the range of pixels"):
        look(watch, 1, x_hat, first=450)


def test_a_loss_above_its_most_is_an_explosion_when_it_stays_there():
    watch, losses = Watch(1, 1, Run(), most=100.0), {"g": torch.ones(1), "d": torch.tensor([101.0])}
    pair = watched()[:, None]
    for step in range(49, 450, 50):  # nine looks
        watch(step, losses, pair, pair)
    watch(499, WELL, pair, pair)
    for step in range(549, 950, 50):
        watch(step, losses, pair, pair)
    with pytest.raises(Diverged, match="training exploded: since step 550 the loss d is above 100;"):
        watch(999, losses, pair, pair)
    unbounded = watch_of(1)
    for step in range(49, 1000, 50):  # the scale of these losses is not known
        unbounded(step, {"d": torch.tensor([1e6])}, pair, pair)


def test_a_watch_that_does_not_stop_warns_of_pictures_but_still_stops_at_a_loss_that_is_no_number():
    watch = Watch(1, 1, Run(), stops=False)
    look(watch, 12, one_picture())
    assert watch.run.notes["warning"] == "training collapsed: since step 50 the reconstructions are all the same picture"
    look(watch, 1, watched(), first=500)
    assert watch.run.notes == {}  # it has passed
    with pytest.raises(Diverged, match="at step 1,000: d is nan"):
        watch(999, {"d": torch.tensor([math.nan])}, watched()[:, None], watched()[:, None])


def test_a_warning_outlives_the_watch_that_gave_it():
    """As when a run has ended, and is taken up again since there was no room for its detector."""
    watch, again = Watch(1, 1, Run(), stops=False), Watch(1, 1, Run(), stops=False)
    look(watch, 12, one_picture())
    again.load_state_dict(watch.state_dict())
    assert again.run.notes == watch.run.notes != {}
    look(again, 1, watched(), first=600)
    assert again.run.notes == {}


def test_of_made_pictures_the_log_has_the_variance_within_the_batch():
    watch = watch_of(1)
    made = watched() / 2
    watch.log(9, watched(), made, {"g": torch.ones(8)}, paired=False)
    (line,) = watch.run.history
    assert set(line) == {"step", "g", "variance"}
    assert line["variance"] == pytest.approx(made.var(0, unbiased=False).mean().item(), abs=1e-6)  # the log has six digits


def test_a_discriminator_at_a_half_on_everything_is_warned_of_when_it_stays_there():
    watch = watch_of(1)
    half, sure = torch.full((8,), 0.51), torch.full((8,), 0.6)
    for i in range(9):
        watch.undecided(50 * i + 49, half, half)
    watch.undecided(499, half, sure)
    assert not watch.run.notes
    for i in range(10):
        watch.undecided(550 + 50 * i - 1, half, 1 - half)
    assert watch.run.notes["warning"] == "since step 550 the discriminator is at ½ on everything, and tells nothing apart"
