"""What the training of every method keeps: its pictures, its steps when it is stopped, and a GPU."""

import pytest
import torch
from contract.fitted_methods import CPU, StopsBefore, brief, discs, every_method, kinds, mixed, trained

from novelette.distill import scores as by_scores
from novelette.methods import METHODS
from novelette.training import HasSteps, Interrupted, Run

VARIANTS = [  # settings that train in other ways than TINY
    ("deep-svdd", {"objective": "soft-boundary"}),
    ("discriminator", {"autoencoder": "joint"}),
    ("discriminator", {"novelties": "density", "minibatch": True}),
]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
@every_method
def test_on_a_gpu_a_method_trains_scores_as_on_the_cpu_and_teaches(name):
    gpu, images, x = torch.device("cuda"), discs(48), mixed()
    scorer = METHODS[name].fit(images, brief(name), labels=kinds(images), seed=0, device=gpu, run=Run())
    again = METHODS[name].Scorer.from_state(scorer.config, {key: value.cpu() for key, value in scorer.state().items()}, 1, 32)
    there = x if scorer.module() is None else x.to(next(iter(scorer.module().state_dict().values())).device)
    torch.testing.assert_close(again.score(x), scorer.score(there).cpu(), rtol=1e-3, atol=1e-5)
    config = by_scores.TINY.model_copy(update={"steps": 2})
    student, _ = by_scores.distil(scorer, images, config, seed=0, device=gpu, run=Run())
    assert torch.isfinite(student.score(x)).all()


@every_method
def test_training_pictures_are_left_as_they_were(name):
    images = discs(48)
    METHODS[name].fit(images, brief(name), labels=kinds(images), seed=0, device=CPU, run=Run())
    assert torch.equal(images, discs(48))


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(value, b[key]) for key, value in a.items())


@pytest.mark.parametrize(("name", "changes"), [*((name, {}) for name in METHODS if isinstance(METHODS[name].TINY, HasSteps)), *VARIANTS])
def test_a_run_stopped_in_each_part_goes_on_as_if_it_had_not_been_and_snapshots_are_scorers_of_their_step(name, changes, tmp_path):
    total = brief(name).model_copy(update=changes).steps_for(12)
    at = {"snapshot_steps": frozenset({1, total})}
    whole = Run(**at)
    end = trained(name, changes, whole)
    for resume, step in ((False, 1), (True, total - 1)):
        stopped = StopsBefore(tmp_path, resume=resume, checkpoint_every_s=0.0, **at)
        stopped.at = step
        with pytest.raises(Interrupted):
            trained(name, changes, stopped)
    again = Run(tmp_path, resume=True, **at)
    assert same(trained(name, changes, again).state(), end.state())
    for run in (whole, again):
        assert sorted(run.snapshots) == [1, total]
        assert same(run.snapshots[total][0], end.state())
    (first,) = again.snapshots[1]
    assert same(first, whole.snapshots[1][0])
    assert not same(first, end.state())
    assert same(end.from_state(end.config, first, 1, 32).state(), first)
