"""What every tagger keeps: the contract, over every entry of METHODS."""

import functools

import pytest
import torch
from tags.made import hit_rate, made
from told import assert_names_are_choices, assert_settings_are_told

from novelette.errors import InputError
from novelette.tags import METHODS
from novelette.tags.examples import Examples
from novelette.training import Interrupted, Run

CPU = torch.device("cpu")
WITHOUT_CHANCE = {"knn", "tprop"}  # nothing is drawn
READS = {"kdgan", "nagan"}  # text, in training
TRAINED_BY_STEPS = ("kdgan", "nagan", "plain")

every_method = pytest.mark.parametrize("name", METHODS)


def fitted(name, seed=0, run=None, examples=None):
    method = METHODS[name]
    return method.fit(examples or made(), method.TINY, seed=seed, device=CPU, run=run or Run())


kept = functools.cache(fitted)


@every_method
def test_new_pictures_get_their_own_tags_first(name):
    new = made(60, seed=5)
    scores = kept(name).scores(new.vectors)
    assert (scores.shape, scores.dtype) == ((60, 6), torch.float32)
    assert torch.isfinite(scores).all()
    assert hit_rate(scores, new.tags) > 0.9


@every_method
def test_scores_depend_neither_on_the_batch_nor_on_the_order_and_scoring_changes_nothing(name):
    scorer, v = kept(name), made(19, seed=5).vectors
    before = {key: value.clone() for key, value in scorer.state_dict().items()}
    together, order = scorer.scores(v), torch.randperm(19, generator=torch.Generator().manual_seed(0))
    for size in (1, 7):
        torch.testing.assert_close(
            torch.cat([scorer.scores(part) for part in v.split(size)]), together, rtol=1e-4, atol=1e-5
        )  # float32 sums
    torch.testing.assert_close(scorer.scores(v[order]), together[order], rtol=1e-4, atol=1e-5)
    assert all(torch.equal(value, before[key]) for key, value in scorer.state_dict().items())


@every_method
def test_the_same_seed_gives_the_same_scores_and_another_seed_others(name):
    v = made(19, seed=5).vectors
    torch.rand(3)  # torch's own state is no part of it
    assert torch.equal(fitted(name).scores(v), kept(name).scores(v))
    assert torch.equal(fitted(name, seed=1).scores(v), kept(name).scores(v)) is (name in WITHOUT_CHANCE)


@every_method
def test_a_scorer_rebuilt_from_its_state_gives_exactly_the_same_scores(name):
    v, state = made(19, seed=5).vectors, {key: value.clone() for key, value in kept(name).state_dict().items()}
    rebuilt = METHODS[name].Scorer(METHODS[name].TINY, state)
    assert torch.equal(rebuilt.scores(v), kept(name).scores(v))
    assert rebuilt.state_dict().keys() == state.keys()


@every_method
def test_training_leaves_the_examples_as_they_were(name):
    examples = made()
    fitted(name, examples=examples)
    assert torch.equal(examples.vectors, made().vectors)
    assert torch.equal(examples.tags, made().tags)


@every_method
def test_text_is_needed_by_whom_it_teaches_alone(name):
    silent = made()
    silent = Examples(silent.vectors, silent.tags, ("",) * len(silent))
    if name in READS:
        with pytest.raises(InputError, match="needs text: fit plain or rexmp"):
            fitted(name, examples=silent)
    else:
        assert torch.equal(fitted(name, examples=silent).scores(silent.vectors), kept(name).scores(silent.vectors))


@pytest.mark.parametrize("name", ["knn", "tprop", "rexmp"])
def test_too_few_pictures_for_the_neighbours_are_told(name):
    few = made(5)
    with pytest.raises(InputError, match=r"--k [58] needs more than [58] training pictures .* there are 5"):
        fitted(name, examples=few)


class Stopping(Run):
    """A run that a person stops after so many steps."""

    def steps(self, *args, **kwargs):
        for step in super().steps(*args, **kwargs):
            if step == 65:
                self._save(step, args[1])
                raise Interrupted(step)
            yield step


@pytest.mark.parametrize("name", TRAINED_BY_STEPS)
def test_resumed_is_bit_for_bit_the_same(name, tmp_path):
    with pytest.raises(Interrupted):
        fitted(name, run=Stopping(tmp_path / "run"))
    resumed = fitted(name, run=Run(tmp_path / "run", resume=True))
    assert all(torch.equal(a, b) for a, b in zip(resumed.state_dict().values(), kept(name).state_dict().values(), strict=True))


@every_method
def test_every_setting_says_what_it_means_and_has_limits_or_choices(name):
    assert_settings_are_told(METHODS[name])
    assert_names_are_choices(METHODS[name].Config)


@every_method
def test_a_method_cites_its_paper(name):
    assert name == "plain" or any(str(year) in METHODS[name].PAPER for year in range(2000, 2020))
