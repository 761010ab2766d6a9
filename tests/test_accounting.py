"""Costs against arithmetic by hand, the papers' figures and PyTorch's own counter; speeds without a look at their values."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from novelette.accounting import BATCH, BATCH_MACS, TURN, WARM_UP, Cost, count, measure
from novelette.methods import METHODS, certainty
from novelette.methods.ede_gan import Config, Generator, Scorer, paper
from novelette.training import Run

ROOT = Path(__file__).parents[1]


def generator(widths, channels, size=32, **config):
    """The cost of a generator, on the meta device: nothing is computed."""
    with torch.device("meta"):
        return count(Generator(Config(widths=widths, **config), channels, size), torch.zeros(1, channels, size, size))


def multiply_adds(score, x):
    """By PyTorch's counter, which counts a multiply-add as two operations."""
    with FlopCounterMode(display=False) as counter:
        score(x)
    return counter.get_total_flops() / 2


# by hand


def test_a_small_network_by_hand():
    net = nn.Sequential(
        nn.Conv2d(1, 2, 4, 2, 1, bias=False),  # 8x8 to 2 x 4x4: 2 kernels of 1 x 4x4, one for each of 2 * 16 outputs
        nn.GroupNorm(2, 2),  # weight and bias for 2 channels
        nn.LeakyReLU(0.2),
        nn.Conv2d(2, 3, 4, bias=True),  # to 3 x 1x1: 3 kernels of 2 x 4x4 and 3 biases
        nn.Flatten(),
        nn.Linear(3, 5),
        nn.Unflatten(1, (5, 1, 1)),
        nn.ConvTranspose2d(5, 2, 4, bias=False),  # to 2 x 4x4: each of 5 inputs times 2 x 4x4
        nn.ConvTranspose2d(2, 1, 4, 2, 1, bias=False),  # to 8x8: each of 2 * 16 inputs times 1 x 4x4
        nn.Tanh(),
    )
    params = 2 * 16 + (2 + 2) + (3 * 32 + 3) + (3 * 5 + 5) + 5 * 32 + 2 * 16
    macs = 32 * 16 + 3 * 32 + 3 * 5 + 5 * 32 + 32 * 16
    elementwise = 32 + 32 + 64  # GroupNorm, LeakyReLU, Tanh
    assert count(net, torch.zeros(1, 1, 8, 8)) == Cost(params, macs, elementwise, weight_bytes=4 * params)


def test_a_generator_by_hand():
    # E at 32 px: 2 x 16x16, 4 x 8x8, 8 x 4x4 outputs of kernels over 1, 2, 4 channels, then 16 of kernels over 8
    encoder = 16 * (2 * 256 * 1 + 4 * 64 * 2 + 8 * 16 * 4 + 16 * 8)
    normalized = 2 * 256 + 4 * 64 + 8 * 16
    params = 16 * (1 * 2 + 2 * 4 + 4 * 8 + 8 * 16) + 2 * (2 + 4 + 8)
    cost = generator((2, 4, 8), 1, latent=16)
    assert cost.params == 3 * params  # G = E, D, E, and D is E turned round
    assert cost.macs == 3 * encoder
    assert cost.elementwise == 2 * 2 * normalized + 2 * (8 * 16 + 4 * 64 + 2 * 256) + 32 * 32  # D ends in Tanh, over pixels


def test_a_layer_counts_as_often_as_it_runs_and_its_weights_once():
    layer = nn.Linear(3, 3, bias=False)
    cost = count(nn.Sequential(layer, layer), torch.zeros(1, 3))
    assert (cost.params, cost.macs) == (9, 18)


def test_what_does_not_run_does_not_count():
    ede, hat, ed = (
        count(Scorer(config, Generator(config, 1, 32), {}).module(), torch.zeros(1, 1, 32, 32))
        for config in (Config(widths=(2,), pipeline=pipeline) for pipeline in ("ede", "ed-hat", "ed"))
    )
    assert hat == ed  # the second encoder is for training
    assert 3 * ed.params == 2 * ede.params


def test_frozen_weights_and_averages_are_bytes_but_no_parameters():
    net = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2)).eval()
    net[0].requires_grad_(False)
    cost = count(net, torch.zeros(1, 1, 3, 3))
    assert cost.params == 2 + 2
    assert cost.weight_bytes == 4 * (2 * 9 + 2 + 2 + 2 + 2) + 8  # mean, variance, and an int64 that counts batches


def test_counting_leaves_no_hook_behind_even_after_an_error():
    net = nn.Sequential(nn.Linear(2, 2), nn.LSTM(2, 2))
    with pytest.raises(TypeError, match="LSTM"):
        count(net, torch.zeros(1, 2))
    assert not any(layer._forward_hooks for layer in net.modules())


def test_a_table_is_looked_into_once_for_each_number_of_an_image():
    images = torch.zeros(10, 3, 8, 8, dtype=torch.uint8)
    scorer = METHODS["bayes-factor"].fit(images, METHODS["bayes-factor"].TINY, seed=0, device=torch.device("cpu"), run=Run())
    cost = count(scorer.module(), torch.zeros(1, 3, 8, 8))
    assert (cost.params, cost.macs, cost.elementwise) == (0, 0, 3 * 8 * 8)


def test_a_slope_costs_a_way_back_through_the_network_for_each_class():
    config = certainty.Config(reading="gradient", width=3)
    scorer, x = certainty.Scorer(config, certainty.AllConv(2, 5, 3, config.dropouts), [], 16), torch.zeros(1, 2, 16, 16)
    once = count(certainty.AllConv(2, 5, 3, config.dropouts), x).macs
    assert count(scorer.module(), x).macs == (1 + 5) * once


# the papers'


@pytest.mark.parametrize(
    ("widths", "channels", "params", "macs"),
    [
        (paper().widths, 3, 5.12e6, 55.8e6),
        (paper().widths, 1, 5.115e6, 54.26e6),
        ((2, 4, 8), 1, 100.4e3, 172e3),
        ((1, 2, 4), 1, 49.7e3, 74e3),
    ],
)
def test_networks_are_as_large_as_they_should_be(widths, channels, params, macs):
    cost = generator(widths, channels)
    assert cost.params == pytest.approx(params, rel=0.01)  # 1 %: three digits are known
    assert cost.macs == pytest.approx(macs, rel=0.01)


# P-KDGAN, Table 4: channels, the student's widths, the ratios of parameters and of "FLOPs", and the students' rounded FLOPs in millions
PRINTED = {
    "CIFAR-10": (3, (8, 16, 64), 6.22, 24.45, 2.29),
    "MNIST": (1, (2, 4, 8), 52.22, 311.11, 0.18),
    "Fashion-MNIST": (1, (1, 2, 4), 105.45, 700.0, 0.08),
}
every_student = pytest.mark.parametrize(("channels", "widths", "params", "flops", "rounded"), PRINTED.values(), ids=PRINTED)


@every_student
def test_ratios_are_near_the_printed_ones(channels, widths, params, flops, rounded):
    teacher, student = generator(paper().widths, channels), generator(widths, channels)
    assert teacher.params / student.params == pytest.approx(params, rel=0.03)  # printed with the student's in units of 1024: 2.4 %
    assert teacher.macs / student.macs == pytest.approx(flops, rel=0.10)  # printed as 56 over counts with one or two digits


@every_student
def test_the_printed_ratios_come_out_of_our_counts_by_the_papers_arithmetic(channels, widths, params, flops, rounded):
    student, colour_teacher = generator(widths, channels), generator(paper().widths, 3)
    assert round((student.macs + student.elementwise) / 1e6, 2) == rounded
    assert round((colour_teacher.macs + colour_teacher.elementwise) / 1e6) == 56
    assert 56 / rounded == pytest.approx(flops, abs=0.006)  # two decimals are printed
    assert 5.12e6 / 1000 / (student.params / 1024) == pytest.approx(params, abs=0.011)  # and one of three is a hundredth off


# PyTorch's counter


@pytest.mark.parametrize("pipeline", ["ede", "ed-hat", "ed"])
@pytest.mark.parametrize(("widths", "channels", "size"), [((1,), 1, 32), ((2,), 3, 64), ((8, 16, 64), 3, 32), ((4, 3, 5, 7), 1, 64)])
def test_agrees_with_pytorchs_counter(pipeline, widths, channels, size):
    config = Config(widths=widths, latent=24, pipeline=pipeline)
    scorer, x = Scorer(config, Generator(config, channels, size), {}), torch.zeros(1, channels, size, size)
    assert count(scorer.module(), x).macs == multiply_adds(scorer.score, x)


def test_agrees_with_pytorchs_counter_on_groups():
    net, x = Generator(Config(widths=(2,), latent=8), 1, 32, models=3), torch.zeros(1, 3, 32, 32)
    with torch.no_grad():
        assert count(net, x).macs == multiply_adds(net, x) == 3 * generator((2,), 1, latent=8).macs


# A discriminator's last layer is in no score.
IDLE = {"alad": "d_xx.head", "egbad": "critic.head", "f-anogan": "critic.head", "skip-ganomaly": "critic.head"}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_counted_as_pytorchs_counter_does(name):
    images = torch.randint(0, 256, (9, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(9) % 2
    scorer = METHODS[name].fit(images, METHODS[name].TINY, labels=labels, seed=0, device=torch.device("cpu"), run=Run())
    x, module = torch.zeros(1, 1, 32, 32), scorer.module()
    if module is None:
        return
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    cost = count(module, x)
    assert cost.macs == multiply_adds(scorer.score, x)
    assert cost.macs + cost.elementwise > 0
    assert cost.weight_bytes == sum(tensor.nbytes for key, tensor in before.items() if not key.startswith(IDLE.get(name, "none")))
    assert all(torch.equal(tensor, before[key]) for key, tensor in module.state_dict().items())


# speed


def test_scorers_take_turns_on_one_thread_and_the_threads_come_back():
    calls = []

    def scorer(name):
        def score(x):
            calls.append((name, len(x), torch.get_num_threads()))
            return x.sum((1, 2, 3))

        return score

    torch.set_num_threads(2)
    try:
        a, b = measure([scorer("a"), scorer("b")], (1, 4, 4), [10, BATCH_MACS // 3], seconds=0.0)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    sizes = ({"a": 1, "b": 1}, {"a": BATCH, "b": 3})
    assert calls == [(name, n[name], 1) for n in sizes for often in (WARM_UP, TURN) for name in "ab" for _ in range(often)]
    for speed, batch in ((a, BATCH), (b, 3)):
        assert (speed.batch, speed.calls, speed.threads) == (batch, TURN, 1)
        assert 0 < speed.latency_ms <= speed.latency_p99_ms
        assert speed.images_per_second > 0


def test_a_network_too_large_for_a_batch_is_timed_image_by_image():
    (speed,) = measure([lambda x: x.sum((1, 2, 3))], (1, 4, 4), [10 * BATCH_MACS], seconds=0.0)
    assert speed.batch == 1


# the page


def test_the_page_of_the_ratios_holds_the_counts_of_today():
    spec = importlib.util.spec_from_file_location("compression", ROOT / "benchmarks" / "compression.py")
    compression = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(compression)
    page = (ROOT / "docs" / "results" / "compression.md").read_text(encoding="utf-8")
    assert compression.counts_table() in page
    assert compression.ratios_table() in page
