"""Methods that train in one network: a stopped run goes on bit for bit, and snapshots are of the steps that were asked for."""

import pytest
import torch

from novelette.methods import METHODS
from novelette.training import Interrupted, Run

CPU = torch.device("cpu")
every_method = pytest.mark.parametrize("name", ["autoencoder", "deep-svdd", "lsa", "vae"])


class Stopped(Run):
    """Interrupted before its step 5, as by Ctrl-C."""

    def steps(self, total, parts, **more):
        for step in super().steps(total, parts, **more):
            if step == 5:
                raise Interrupted(step)
            yield step


def state(name, run):
    images = torch.randint(0, 256, (12, 1, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    steps = {"pretraining": 4, "steps": 3} if name == "deep-svdd" else {"steps": 7}
    config = METHODS[name].TINY.model_copy(update=steps)
    return METHODS[name].fit(images, config, seed=0, device=CPU, run=run).state()


def same(a, b):
    return all(torch.equal(a[name], value) for name, value in b.items())


@every_method
def test_a_stopped_run_goes_on_as_if_it_had_not_been_stopped(name, tmp_path):
    whole = state(name, Run())
    with pytest.raises(Interrupted):
        state(name, Stopped(tmp_path, checkpoint_every_s=0.0))
    assert same(state(name, Run(tmp_path, resume=True)), whole)


@every_method
def test_snapshots_are_of_the_steps_that_were_asked_for(name):
    run = Run(snapshot_steps=frozenset({3, 7}))
    end = state(name, run)
    assert sorted(run.snapshots) == [3, 7]
    assert same(run.snapshots[7][0], end)
    assert not same(run.snapshots[3][0], end)
