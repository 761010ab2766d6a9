"""PIAD: Algorithm 1 step by step, what moves what, a resumed run, and what a detector carries."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from novelette import training
from novelette.balance import gradient_norms
from novelette.data.images import as_tensor
from novelette.errors import InputError
from novelette.fitting import configured
from novelette.methods import piad
from novelette.methods.piad import TINY, Config, Looking, Piad, Scorer, fit, paper
from novelette.perceptual import load
from novelette.training import Run

CPU = torch.device("cpu")
LOSSES = ("mse", "perceptual", "perceptual-l1", "relative-perceptual-l1")


def tiny(**changes):
    seen = {"layer": Config().layer} if changes.get("loss") == "mse" else {}  # nothing is seen
    return Config(**(TINY.model_dump() | {"steps": 6, "batch_size": 4, "balance_every": 2} | seen | changes))


def pictures(n=12, channels=1, seed=0, size=32):
    return torch.randint(0, 256, (n, channels, size, size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def players(config, channels=1):
    seen = None if config.loss == "mse" else load(config.network, config.layer, 32)[0]
    made = Piad(config, channels, 32, CPU, Looking(config.loss, seen).requires_grad_(False))
    made.draw(0)
    return made


def trained(config, **more):
    return fit(pictures(), config, seed=0, device=CPU, run=Run(**more))


def copies(net):
    return [p.detach().clone() for p in net.parameters()]


def moved(net, before):
    return any(not torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True))


@pytest.mark.parametrize("loss", LOSSES)
def test_the_score_is_the_loss_between_a_picture_and_its_reconstruction(loss):
    scorer, x = trained(tiny(loss=loss, steps=2)), as_tensor(pictures(3, seed=1))
    net = scorer.module().net
    with torch.no_grad():
        x_hat = net.generate(net.encode(x))
        if loss == "mse":
            expected = (x - x_hat).square().flatten(1).mean(1)
        else:
            see = scorer.module().looking.net
            f, f_hat = see(x.repeat(1, 3, 1, 1)), see(x_hat.repeat(1, 3, 1, 1))
            n, n_hat = ((g - see.mean) / see.std for g in (f, f_hat))
            expected = {
                "perceptual": (f - f_hat).square().flatten(1).mean(1),
                "perceptual-l1": (n - n_hat).abs().flatten(1).mean(1),
                "relative-perceptual-l1": (n - n_hat).abs().flatten(1).sum(1) / n.abs().flatten(1).sum(1),
            }[loss]
    torch.testing.assert_close(scorer.score(x), expected, rtol=1e-5, atol=1e-7)


def test_the_heat_map_is_the_difference_by_position():
    scorer, x = trained(tiny(steps=2)), as_tensor(pictures(3, seed=1))
    module = scorer.module()
    with torch.no_grad():
        d = module.looking(x, module.net(x))
    torch.testing.assert_close(d.flatten(1).mean(1), scorer.score(x))
    heat = scorer.heatmap(x)
    assert (d.shape[1:], heat.shape[1:]) == ((8, 8), (32, 32))  # block-2 has a position for every 4 x 4 pixels
    torch.testing.assert_close(heat, interpolate(d[:, None], (32, 32), mode="bilinear")[:, 0])


def test_the_critics_step_leaves_encoder_and_generator_and_theirs_leaves_the_critics_and_the_network_that_looks():
    made, x = players(tiny()), as_tensor(pictures(4))
    nets = {"net": made.net, "x": made.critic_x, "z": made.critic_z, "looking": made.looking}
    before = {name: copies(net) for name, net in nets.items()}
    made.descend_d(x)
    assert {name: moved(net, before[name]) for name, net in nets.items()} == {"net": False, "x": True, "z": True, "looking": False}
    before = {name: copies(net) for name, net in nets.items()}
    made.descend_eg(x, 0)
    assert {name: moved(net, before[name]) for name, net in nets.items()} == {"net": True, "x": False, "z": False, "looking": False}


def test_what_encoder_and_generator_descend_is_the_adversarial_gradient_and_gamma_times_that_of_the_reconstruction():
    """Lines 15 to 17 in float64 against the gradients of the three losses, each taken apart and all the way through both networks."""
    made, x = players(tiny(balance="manual", balance_every=100, gamma_e=3.0, gamma_g=7.0)), as_tensor(pictures(4)).double()
    for net in (made.net, made.critic_x, made.critic_z, made.looking):
        net.double()
    made.latents = lambda n: torch.randn(n, 32, 1, 1, generator=torch.Generator().manual_seed(1)).double()
    encode, generate = (list(net.parameters()) for net in (made.net.encode, made.net.generate))
    code = made.net.encode(x)
    rec = made.looking(x, made.net.generate(code)).flatten(1).mean(1).mean()
    adv_g, adv_e = -made.critic_x(made.net.generate(made.latents(4))).mean(), -made.critic_z(code).mean()
    expected = []
    for own, adv, gamma in ((encode, adv_e, 3.0), (generate, adv_g, 7.0)):
        of_rec, of_adv = (torch.autograd.grad(l, own, retain_graph=True) for l in (rec, adv))
        expected += [a + gamma * r for a, r in zip(of_adv, of_rec, strict=True)]
    made.descend_eg(x, 0)
    for p, q in zip([*encode, *generate], expected, strict=True):
        torch.testing.assert_close(p.grad, q, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_bfloat16_is_for_training_alone(loss):
    """Its losses are near those of float32, but not the same; a detector multiplies in float32 whatever it was trained in."""
    full, short = (players(tiny(loss=loss, precision=precision)) for precision in ("float32", "bfloat16"))
    x, found = as_tensor(pictures(4)), []
    for made in (full, short):
        torch.manual_seed(0)
        log = made.descend_d(x)
        found.append(log | made.descend_eg(x, 0)[1])
    for name, value in found[0].items():
        assert found[1][name].dtype == torch.float32
        assert 0 < (found[1][name] - value).abs().max() < 0.05 * value.abs().max() + 0.05, name
    scored = [Scorer.of(short, 1, 32), Scorer.from_state(full.config, Scorer.of(short, 1, 32).state(), 1, 32)]
    assert torch.equal(*(scorer.score(x) for scorer in scored))


@pytest.mark.parametrize(("norm", "reduce"), [("l2", "mean"), ("std", "median")])
def test_gamma_is_how_many_times_larger_the_adversarial_gradients_are_layer_by_layer(norm, reduce):
    """Eq. 12 in plain loops: of one measurement, without smoothing, the mean or median over the layers of ‖∂adv‖ / ‖∂rec‖."""
    made, x = players(tiny(smoothing=1.0, history=1, balance_norm=norm, balance_reduce=reduce)), as_tensor(pictures(4))
    expected = {}
    for name, net in (("e", made.net.encode), ("g", made.net.generate)):
        ratios = []
        for layer in (layer for layer in net.modules() if isinstance(layer, torch.nn.Conv2d)):
            torch.manual_seed(0)
            code = made.net.encode(x)
            rec = made.looking(x, made.net.generate(code)).mean()
            adv = -(made.critic_z(code) if name == "e" else made.critic_x(made.net.generate(made.latents(4)))).mean()
            of_adv, of_rec = (torch.autograd.grad(l, layer.weight, retain_graph=True)[0] for l in (adv, rec))
            ratios.append(float(of_adv.norm() / of_rec.norm() if norm == "l2" else of_adv.std() / of_rec.std()))
        expected[name] = float(np.mean(ratios) if reduce == "mean" else np.median(ratios))
    torch.manual_seed(0)
    made.descend_eg(x, 0)
    assert {name: made.gamma(name) for name in "eg"} == pytest.approx(expected, rel=1e-4)  # sums in another order
    assert expected["g"] > 2 * expected["e"]  # so that neither stands for the other


def test_gradients_are_measured_layer_by_layer_every_so_often():
    made, x = players(tiny()), as_tensor(pictures(4))
    for step in range(5):
        made.descend_eg(x, step)
    lengths = {name: tuple(history.smoothed.shape) for name, history in made.histories.items()}
    assert lengths == {"adv_e": (3, 9), "rec_e": (3, 9), "adv_g": (3, 10), "rec_g": (3, 10)}  # steps 0, 2, 4; convolutions of Table 1


def test_the_first_measurement_is_the_norm_of_each_losses_gradient():
    made, x = players(tiny()), as_tensor(pictures(4))
    layer = made.net.generate.layers[0]
    expected = gradient_norms(torch.autograd.grad(made.looking(x, made.net(x)).mean(), [layer.weight]), "l2")
    made.descend_eg(x, 0)
    torch.testing.assert_close(made.histories["rec_g"].smoothed[0, :1], expected, rtol=1e-4, atol=0)


def test_images_are_scored_in_parts_of_so_many_pixels(monkeypatch):
    scorer, x, seen = trained(tiny(steps=1)), as_tensor(pictures(7)), []
    whole, original = scorer.score(x), scorer.module().forward
    monkeypatch.setattr(scorer.module(), "forward", lambda part: seen.append(len(part)) or original(part))
    monkeypatch.setattr(piad, "PIXELS", 3 * 32 * 32)
    torch.testing.assert_close(scorer.score(x), whole)
    assert seen == [3, 3, 1]


@pytest.mark.parametrize(("architecture", "given", "rounds"), [("small", 0, 2), ("lsun", 0, 3), ("celeba", 0, 3), ("lsun", 1, 1)])
def test_the_critics_have_so_many_rounds(architecture, given, rounds, monkeypatch):
    config = tiny(architecture=architecture, critic_rounds=given, steps=2)
    seen, original = [], Piad.descend_d
    monkeypatch.setattr(Piad, "descend_d", lambda self, x: seen.append(x) or original(self, x))
    trained(config)
    assert len(seen) == 2 * rounds
    assert not torch.equal(seen[0], seen[-1])


def test_everything_is_logged(monkeypatch):
    monkeypatch.setattr(training, "LOG_EVERY", 2)
    run = Run()
    fit(pictures(), tiny(), seed=0, device=CPU, run=run)
    assert [line["step"] for line in run.history] == [2, 4, 6]
    for line in run.history:
        assert set(line) >= {"distance_x", "distance_z", "penalty_x", "penalty_z", "gamma_g", "gamma_e", "rec", "adv_g", "adv_e"}
        assert all(math.isfinite(value) for value in line.values())


def test_a_run_with_other_weights_does_not_go_on_with_a_checkpoint(tmp_path, monkeypatch):
    trained(tiny(), folder=tmp_path)
    original = piad.load
    monkeypatch.setattr(piad, "load", lambda *args, **more: (original(*args, **more)[0], "others"))
    with pytest.raises(InputError, match="was started with another pretrained network"):
        trained(tiny(), folder=tmp_path, resume=True)


def test_the_squared_error_needs_no_pretrained_network(monkeypatch):
    monkeypatch.setattr(piad, "load", lambda *_, **__: pytest.fail("no network is needed"))
    run = Run()
    scorer = fit(pictures(), tiny(loss="mse", steps=1), seed=0, device=CPU, run=run)
    assert not any(name.startswith("looking") for name in scorer.state())
    assert "perceptual" not in run.notes


def test_a_detector_carries_its_layers_and_no_critics(monkeypatch):
    scorer, x = trained(tiny(steps=1)), as_tensor(pictures(3))
    monkeypatch.setenv("NOVELETTE_DATA", "")
    assert torch.equal(Scorer.from_state(scorer.config, scorer.state(), 1, 32).score(x), scorer.score(x))
    assert {name.split(".")[0] for name in scorer.state()} == {"net", "looking"}
    assert "looking.net.layers.conv_pw_2.weight" in scorer.state()
    assert "looking.net.layers.conv_pw_3.weight" not in scorer.state()


def test_settings_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match=r"--layer: vgg-19 has no layer 'block-5'"):
        Config(network="vgg-19")
    with pytest.raises(ValueError, match=r"--gamma-g has no effect with --balance gradients: leave it out, or take another --balance"):
        Config(gamma_g=3)
    with pytest.raises(ValueError, match=r"--balance-every has no effect with --balance manual: leave it out, or take another --balance"):
        Config(balance="manual", balance_every=30)
    for idle in ({"layer": "block-2"}, {"network": "mobilenet-1.0"}, {"perceptual_weights": "w.npz"}, {"filter_table": "t.safetensors"}):
        with pytest.raises(ValueError, match=r"has no effect with --loss mse: leave it out, or take another --loss"):
            Config(loss="mse", **idle)


def test_the_papers_recipe_goes_with_what_makes_some_of_it_idle():
    assert configured("piad", {"balance": "manual", "gamma_e": 3}, paper=True).gamma_e == 3
    assert configured("piad", {"loss": "mse"}, paper=True).loss == "mse"


def test_images_smaller_than_the_stride_are_refused():
    with pytest.raises(InputError, match="images of 8 px are smaller than the stride"):
        fit(pictures(size=8), tiny(layer="block-6"), seed=0, device=CPU, run=Run())


def test_the_papers_recipe_is_the_papers():
    c = paper()
    assert (c.architecture, c.network, c.layer, c.loss, c.balance) == ("small", "vgg-19", "relu4_2", "relative-perceptual-l1", "gradients")
    assert (c.steps, c.batch_size, c.rounds, c.critic_rate, c.learning_rate) == (50_000, 32, 2, 5e-4, 2e-4)
    assert (c.beta1, c.beta2, c.penalty, c.drift, c.balance_every, c.balance_norm) == (0.5, 0.99, 10, 0.001, 100, "l2")
