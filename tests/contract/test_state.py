"""What every method's state keeps: the same scores when it is built again, on the CPU, of one size."""

import pytest
import torch
from contract.fitted_methods import CPU, begun, brief, every_method, kept, mixed

from novelette.methods import METHODS


@every_method
def test_a_scorer_rebuilt_from_its_state_gives_exactly_the_same_scores(name):
    scorer, x = begun(name, 3, 32), mixed(3)
    state = {key: value.clone() for key, value in scorer.state().items()}
    rebuilt = METHODS[name].Scorer.from_state(brief(name), state, 3, 32)
    assert torch.equal(rebuilt.score(x), scorer.score(x))
    assert rebuilt.keeps_pictures == scorer.keeps_pictures


@every_method
def test_state_of_another_image_size_or_channel_count_is_refused(name):
    state = begun(name, 3, 32).state()
    with pytest.raises(RuntimeError):
        METHODS[name].Scorer.from_state(METHODS[name].TINY, state, 1, 32)
    with pytest.raises(RuntimeError):
        METHODS[name].Scorer.from_state(METHODS[name].TINY, state, 3, 64)


@every_method
def test_state_is_tensors_on_the_cpu(name):
    state = kept(name, 1).state()
    assert state
    assert all(isinstance(value, torch.Tensor) and value.device == CPU for value in state.values())
