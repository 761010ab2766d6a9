"""EDE-GANs that are trained together end as each would alone."""

import math

import pytest
import torch
from methods.small_ede_gan import CPU, pictures, same_weights, tiny, trained

from novelette import training
from novelette.data.images import as_tensor
from novelette.methods import ede_gan
from novelette.methods.ede_gan import fit, fit_many
from novelette.training import Run


@pytest.mark.parametrize("pipeline", ["ede", "ed"])
def test_models_trained_together_end_as_each_would_alone(in_float64, pipeline):
    """In float64, so that 30 steps of an adversarial game do not grow the rounding of sums taken in another order past 1e-6."""
    config = tiny(pipeline=pipeline, steps=30)
    images, seeds = [pictures(12, seed=1), pictures(9, seed=2), pictures(20, seed=3)], [4, 5, 6]
    together = fit_many(images, config, seeds=seeds, device=CPU, run=Run())
    for m in range(3):
        alone = fit(images[m], config, seed=seeds[m], device=CPU, run=Run())
        for name, value in alone.state().items():
            assert value.dtype == torch.float64
            torch.testing.assert_close(together[m].state()[name], value, rtol=1e-6, atol=1e-9)


def test_models_trained_together_in_float32_start_as_each_would_alone():
    """One step: float32 rounding of 1e-7 is divided by the gradient's size in Adam, so later steps part by chance, not by design."""
    images, config = [pictures(seed=1), pictures(seed=2)], tiny(steps=1)
    together = fit_many(images, config, seeds=[4, 5], device=CPU, run=Run())
    x = as_tensor(pictures(3, seed=9))
    for m in range(2):
        torch.testing.assert_close(together[m].score(x), trained(config, seed=4 + m, images=images[m]).score(x), rtol=1e-3, atol=0)


def test_unstacked_models_share_no_memory():
    first, second = fit_many([pictures(), pictures(seed=1)], tiny(steps=1), seeds=[0, 1], device=CPU, run=Run())
    before = {name: value.clone() for name, value in second.state().items()}
    for value in first.state().values():
        value.zero_()
    assert all(torch.equal(value, before[name]) for name, value in second.state().items())


@pytest.mark.usefixtures("in_float64")
def test_a_model_that_diverges_in_a_stack_is_named_and_the_others_end_as_they_would_without_it(monkeypatch):
    """Model 1 has a loss of NaN from step 9 on, and so weights of NaN."""
    images, seeds, config = [pictures(12, seed=1), pictures(9, seed=2), pictures(20, seed=3)], [4, 5, 6], tiny(steps=30)
    monkeypatch.setattr(training, "LOG_EVERY", 5)
    well = fit_many(images, config, seeds=seeds, device=CPU, run=Run())
    original, calls = ede_gan.generator_loss, []

    def poisoned(*terms, **weights):
        loss = original(*terms, **weights)
        calls.append(loss)
        return loss * torch.tensor([1, math.nan if len(calls) > 8 else 1, 1]).repeat(len(loss) // 3)  # rows: image by image

    run = Run()
    with monkeypatch.context() as patched:
        patched.setattr(ede_gan, "generator_loss", poisoned)
        scorers = fit_many(images, config, seeds=seeds, device=CPU, run=run)
    assert {m: str(error) for m, error in run.failed.items()} == {
        1: "training diverged at step 10: g is nan; try a lower --learning-rate or another --seed"
    }
    assert [line["step"] for line in run.history] == [5, 10, 15, 20, 25, 30]
    assert all(math.isfinite(value) for line in run.history for value in line.values())
    for m in (0, 2):
        assert same_weights(scorers[m], well[m])
        alone = fit(images[m], config, seed=seeds[m], device=CPU, run=Run())
        for name, value in alone.state().items():
            torch.testing.assert_close(scorers[m].state()[name], value, rtol=1e-6, atol=1e-9)  # sums in another order, in float64
    assert not torch.isfinite(scorers[1].state()["encode.head.weight"]).any()


def test_the_running_average_is_of_each_stacked_model_alone():
    config, images = tiny(average=0.9, steps=6), [pictures(seed=0), pictures(seed=1)]
    together = fit_many(images, config, seeds=[0, 1], device=CPU, run=Run())
    for m, scorer in enumerate(together):
        for name, value in trained(config, seed=m, images=images[m]).state().items():
            # tolerance: float32 sums in another order, then whitened
            torch.testing.assert_close(scorer.state()[name], value, rtol=1e-2, atol=1e-3)
