"""Algorithms 1 and 2 step by step: who moves when, down which loss; the remedies, the warnings, a resumed run."""

import math
import signal

import pytest
import torch
from pictures import stripes, write

from novelette import training
from novelette.cli import main
from novelette.data.images import as_tensor
from novelette.methods import discriminator
from novelette.methods.discriminator import TINY, Config, Game, fit, judge, play
from novelette.training import Diverged, Interrupted, Run

CPU = torch.device("cpu")


def tiny(**changes):
    return Config(**(TINY.model_dump() | {"steps": 6, "batch_size": 4} | changes))


def pictures(n=12, channels=1, seed=0, size=32):
    return torch.randint(0, 256, (n, channels, size, size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def game_of(config):
    game = Game(config, pictures(), CPU)
    game.draw(0)
    return game


def moved(net, before):
    return any(not torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True))


def test_each_update_moves_its_own_player_alone():
    game, x = game_of(tiny()), as_tensor(pictures(4))
    nets = {"d": game.critic, "g": game.net.generate, "e": game.net.encode}
    expected = {"d": {"d"}, "g": {"g"}, "ae": {"g", "e"}}
    updates = {"d": lambda: game.descend_d(x), "g": lambda: game.descend_g(4, 1.0), "ae": lambda: game.descend_ae(x)}
    for name, update in updates.items():
        before = {own: [p.detach().clone() for p in net.parameters()] for own, net in nets.items()}
        update()
        assert {own for own, net in nets.items() if moved(net, before[own])} == expected[name], name


def test_d_descends_the_cross_entropy_of_data_and_novelties_and_g_that_of_passing_for_data():
    game, x, bce = game_of(tiny()), as_tensor(pictures(4)), torch.nn.functional.binary_cross_entropy
    torch.manual_seed(3)
    g = game._generated(4)
    on_data, on_made = game.critic(x).sigmoid(), game.critic(g.detach()).sigmoid()
    own = list(game.critic.parameters())
    expected = torch.autograd.grad(bce(on_data, torch.ones(4)) + bce(on_made, torch.zeros(4)), own)
    torch.manual_seed(3)
    made, log = game.descend_d(x)
    assert torch.equal(made, g)
    for p, q in zip(own, expected, strict=True):
        torch.testing.assert_close(p.grad, q, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(log["data"], on_data.detach())
    torch.testing.assert_close(log["novel"], 1 - on_made.detach())
    torch.manual_seed(4)
    theirs = list(game.net.generate.parameters())
    expected = torch.autograd.grad(bce(game.critic(game._generated(4)).sigmoid(), torch.ones(4)), theirs)
    torch.manual_seed(4)
    game.descend_g(4, 1.0)
    for p, q in zip(theirs, expected, strict=True):
        torch.testing.assert_close(p.grad, q, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"novelties": "gaussian"}, "D"),
        ({"novelties": "density"}, "D"),
        ({}, "DG"),
        ({"critic_steps": 3}, "DDDG"),
        ({"autoencoder": "initial", "autoencoder_steps": 2}, "DG"),
        ({"autoencoder": "joint", "autoencoder_steps": 2}, "DGA"),
    ],
)
def test_the_updates_come_in_the_order_of_the_algorithms(changes, expected, monkeypatch):
    said, config = [], tiny(steps=2, **changes)
    for letter, name in (("D", "descend_d"), ("G", "descend_g"), ("A", "descend_ae")):
        original = getattr(Game, name)
        monkeypatch.setattr(Game, name, lambda self, *a, letter=letter, original=original: said.append(letter) or original(self, *a))
    play(pictures(), config, seed=0, device=CPU, run=Run())
    assert "".join(said) == "A" * config.opening + expected * 2


def test_a_score_is_how_sure_d_is_that_a_picture_is_no_data():
    game, x = game_of(tiny()), as_tensor(pictures(5, seed=2))
    scores = judge(game, pictures()).score(x)
    assert scores.tolist() == pytest.approx([math.log(1 + math.exp(-y)) for y in game.critic.eval()(x).tolist()], rel=1e-5)


def test_a_minibatch_feature_varies_as_over_shuffled_batches_however_the_pictures_are_sorted():
    game = Game(tiny(minibatch=True, batch_size=8), pictures(), CPU)
    game.draw(0)
    dark, bright = pictures(200) // 4, pictures(200, seed=1) // 4 + 192
    mixed = torch.stack([dark, bright], 1).flatten(0, 1)
    spreads = [judge(game, images).net.critic.spread.item() for images in (torch.cat([dark, bright]), mixed)]
    assert spreads[0] == pytest.approx(spreads[1], rel=0.15)  # over 8 batches of 8 pictures


def test_pictures_that_d_is_sure_are_novel_are_still_told_apart(monkeypatch):
    judging = discriminator.Judging(tiny(), 1, 32)
    monkeypatch.setattr(judging.critic, "forward", lambda x: torch.tensor([-200.0, -100.0, -30.0]))
    assert judging(torch.zeros(3, 1, 32, 32)).tolist() == pytest.approx([200, 100, 30])


def test_a_gradient_that_is_too_long_is_cut_to_length():
    lengths = {}
    for clip in (0.0, 0.001):
        game = game_of(tiny(clip=clip))
        torch.manual_seed(0)
        game.descend_d(as_tensor(pictures(4)))
        lengths[clip] = torch.cat([p.grad.flatten() for p in game.critic.parameters()]).norm().item()
    assert lengths[0.0] > 0.01
    assert lengths[0.001] == pytest.approx(0.001, rel=1e-3)


def test_a_control_couples_the_rates_to_the_losses():
    game, x = game_of(tiny(control="linear")), as_tensor(pictures(4))
    _, log = game.descend_d(x)
    rate = game.config.learning_rate * float(log["curator"].mean()) / (2 * math.log(2))
    assert game.opt_d.param_groups[0]["lr"] == pytest.approx(rate)
    game.descend_g(4, float(log["curator"].mean()))
    assert game.opt_g.param_groups[0]["lr"] not in (pytest.approx(rate), game.config.learning_rate)


def test_the_log_shows_the_variance_within_made_pictures_and_how_sure_d_is(monkeypatch):
    monkeypatch.setattr(training, "LOG_EVERY", 2)
    run = Run()
    play(pictures(), tiny(autoencoder="joint", autoencoder_steps=2), seed=0, device=CPU, run=run)
    assert [set(line) for line in run.history] == [{"step", "ae", "con"}] + [
        {"step", "curator", "forger", "data", "novel", "ae", "variance"}
    ] * 3


def test_a_players_loss_that_explodes_is_told(monkeypatch):
    monkeypatch.setattr(training, "LOG_EVERY", 1)
    monkeypatch.setattr(discriminator, "curator_loss", lambda real, made, bound: 1e6 * (real + made).abs() + 1e6)
    run = Run()
    fit(pictures(), tiny(steps=16, collapse="warn"), seed=0, device=CPU, run=run)
    assert run.notes["warning"].startswith("training exploded: since step 5 the loss curator")
    assert run.notes["warning"].endswith("is above 100")
    with pytest.raises(Diverged, match="training exploded"):
        fit(pictures(), tiny(steps=16), seed=0, device=CPU, run=Run())


@pytest.mark.parametrize("collapse", ["stop", "warn"])
def test_a_generator_that_makes_one_picture_stops_the_run_or_is_warned_of(collapse, monkeypatch):
    monkeypatch.setattr(training, "LOG_EVERY", 1)
    monkeypatch.setattr(Game, "_generated", lambda self, n: self.net.generate(torch.ones(n, self.config.latent)))
    run, config = Run(), tiny(steps=16, collapse=collapse)
    if collapse == "stop":
        with pytest.raises(Diverged, match="training collapsed: since step 5 the made pictures are all the same picture"):
            fit(pictures(), config, seed=0, device=CPU, run=run)
    else:
        fit(pictures(), config, seed=0, device=CPU, run=run)
        assert run.notes["warning"] == "training collapsed: since step 5 the made pictures are all the same picture"


def test_a_run_that_is_stopped_and_goes_on_warns_as_one_never_stopped(tmp_path, monkeypatch):
    """The tenth look in a row at one picture is the run's last; it is stopped after nine."""
    monkeypatch.setattr(training, "LOG_EVERY", 1)
    monkeypatch.setattr(Game, "_generated", lambda self, n: self.net.generate(torch.ones(n, self.config.latent)))
    config, wants = tiny(steps=13, collapse="warn"), Run.wants_log

    def press(self, step):
        if step == 11:
            signal.raise_signal(signal.SIGINT)
        return wants(self, step)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "wants_log", press)
        with pytest.raises(Interrupted):
            fit(pictures(), config, seed=0, device=CPU, run=Run(tmp_path))
    run = Run(tmp_path, resume=True)
    fit(pictures(), config, seed=0, device=CPU, run=run)
    assert run.notes["warning"] == "training collapsed: since step 4 the made pictures are all the same picture"


def test_a_warning_is_told_and_kept_in_the_detector(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "LOG_EVERY", 1)
    monkeypatch.setattr(discriminator.Watch, "undecided", lambda self, *_: self.run.notes.update(warning="since step 1 all is even"))
    small = ["--width", "2", "--steps", "2", "--latent", "4", "--false-alarm-rate", "0.3"]
    assert main(["fit", "discriminator", str(write(tmp_path / "good", stripes(30))), "-o", str(tmp_path / "d.det"), *small]) == 0
    assert "warning: since step 1 all is even" in capsys.readouterr().out
    assert "since step 1 all is even" in (tmp_path / "d.det" / "detector.json").read_text()


def test_settings_of_a_generator_need_one():
    for changes in ({"autoencoder": "joint"}, {"critic_steps": 2}):
        with pytest.raises(ValueError, match="--novelties gaussian has no generator"):
            Config(novelties="gaussian", **changes)
