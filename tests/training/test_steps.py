"""The steps of a loop: descent, learning rates, seeds, devices and threads."""

import math

import pytest
import torch
from torch import nn
from training.small_runs import CONFIG, CPU, pictures

from novelette.errors import InputError
from novelette.methods import ede_gan
from novelette.training import Run, descend, generators, pick_device, set_learning_rate


# Batches
def test_descend_touches_its_optimizers_parameters_and_no_others():
    torch.manual_seed(0)
    g, d = nn.Linear(3, 3), nn.Linear(3, 1)
    before = {name: value.clone() for name, value in d.state_dict().items()}
    descend(torch.optim.SGD(g.parameters(), 0.1), d(g(torch.ones(2, 3))).mean())
    assert all(p.grad is None for p in d.parameters())
    assert all(torch.equal(before[name], value) for name, value in d.state_dict().items())
    assert all(p.grad is not None for p in g.parameters())


def test_a_run_leaves_torchs_random_numbers_and_its_handling_of_denormals_as_they_were():
    tiny = torch.tensor(1e-40)
    for flushed in (True, False):
        torch.set_flush_denormal(flushed)
        torch.manual_seed(7)
        expected = torch.rand(3)
        torch.manual_seed(7)
        for _ in Run().steps(3, {}, seed=0):
            torch.rand(5)
            assert tiny * 1 == 0
        assert torch.equal(torch.rand(3), expected)
        assert bool(tiny * 1 == 0) is flushed


def test_descend_takes_one_step_by_hand_and_forgets_the_last_gradient():
    w = nn.Parameter(torch.tensor([2.0]))
    sgd = torch.optim.SGD([w], 0.5)
    descend(sgd, (w**2).sum())  # 2 - 0.5 * 4
    assert w.item() == 0
    descend(sgd, w.sum())  # 0 - 0.5 * 1, not 0 - 0.5 * (4 + 1)
    assert w.item() == -0.5


def test_learning_rate_on_a_cosine_by_hand():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 1.0)
    rates = []
    for step in (0, 25, 50, 75, 100):
        set_learning_rate(optimizer, 0.2, "cosine", step, 100)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.2, 0.1 * (1 + math.sqrt(0.5)), 0.1, 0.1 * (1 - math.sqrt(0.5)), 0], abs=1e-15)


def test_a_constant_learning_rate_is_the_peak():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 1.0)
    for step in (0, 99):
        set_learning_rate(optimizer, 0.2, "constant", step, 100)
        assert optimizer.param_groups[0]["lr"] == 0.2


def test_generators_depend_on_their_seed_and_salt_alone():
    def draw(*args):
        return [torch.rand(1, generator=rng).item() for rng in generators(*args)]

    assert draw([1, 2], 0)[1] == draw([2], 0)[0]
    assert len({*draw([1, 2], 0), *draw([1, 2], 1), *draw([1, 2], 1, 5)}) == 6


def test_a_device_that_is_not_there_is_refused():
    for name in ("cuda", "mps"):
        present = torch.cuda.is_available() if name == "cuda" else torch.backends.mps.is_available()
        if not present:
            with pytest.raises(InputError, match=f"--device {name}"):
                pick_device(name)
    with pytest.raises(InputError, match="--device toaster"):
        pick_device("toaster")
    assert pick_device("cpu") == CPU
    assert pick_device("auto").type in ("cpu", "cuda", "mps")


def test_each_step_begins_from_its_own_seed():
    def draws(first, total):
        return {step: torch.rand(1).item() for step in Run().steps(total, {}, seed=1) if step >= first}

    assert draws(4, 6) == {step: value for step, value in draws(0, 6).items() if step >= 4}
    assert len(set(draws(0, 6).values())) == 6


def test_a_small_network_trains_on_one_thread_and_gives_the_others_back(monkeypatch):
    counts = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", counts.append)
    for weights in (10, 4000):
        for _ in Run().steps(1, {"net": nn.Linear(weights, weights, bias=False)}, seed=0):
            pass
    assert counts == [1, 2, 2, 2]


def test_training_pictures_are_left_as_they_were():
    images = pictures()
    before = images.clone()
    ede_gan.fit(images, CONFIG, seed=0, device=CPU, run=Run())
    assert torch.equal(images, before)


def test_numbers_too_small_for_full_precision_are_zero_while_it_trains_and_no_longer():
    tiny = torch.tensor([1e-39])
    assert [(tiny / 2).item() for _ in Run().steps(1, {}, seed=0)] == [0]
    assert (tiny / 2).item() > 0
