"""How long each method trains: steps from minutes, by the time of a step."""

from dataclasses import replace

import joblib
import pytest
from compare.contestants import entered, recipe

from novelette import store
from novelette.cli_compare import entrants
from novelette.compare import trial
from novelette.data.images import Preprocessing
from novelette.data.select import Where, normal_pictures
from novelette.fitting import gather
from novelette.methods import METHODS, deep_svdd, discriminator, ede_gan, knn


def test_steps_follow_from_the_minutes_unless_they_are_given():
    assert [one.paced for one in entrants("ede-gan, ede-gan --steps 7, ede-gan --epochs 2", recipe)[2:]] == [True, False, False]
    assert entered("ede-gan --steps 7").recipe.config == ede_gan.Config(steps=7)
    assert entered("ede-gan --paper --widths 2").recipe.config == ede_gan.paper().model_copy(update={"widths": (2,)})
    assert trial.steps_of(ede_gan.paper()) == 0  # its epochs count
    assert trial.steps_of(knn.Config()) == 0


def test_parts_of_training_are_shortened_in_proportion():
    whole = deep_svdd.Config(pretraining=3000, steps=1000)
    short = trial.shortened(whole, 200)
    assert (short.pretraining, short.steps, trial.steps_of(short)) == (150, 50, 200)
    assert trial.shortened(deep_svdd.Config(pretraining=0, steps=1000), 200) == deep_svdd.Config(pretraining=0, steps=200)


@pytest.mark.parametrize("name", METHODS)
def test_every_update_of_a_method_counts(name):
    config = METHODS[name].Config()
    if not getattr(config, "epochs", 0):
        assert trial.steps_of(config) == (config.steps_for(1) if hasattr(config, "steps_for") else 0)


def test_the_autoencoder_of_a_discriminator_counts_where_it_has_one():
    whole = discriminator.Config(autoencoder="joint", autoencoder_steps=500, steps=2000)
    short = trial.shortened(whole, 250)
    assert (short.autoencoder_steps, short.steps, trial.steps_of(short), short.steps_for(1)) == (50, 200, 250, 250)
    assert trial.shortened(discriminator.Config(steps=2000), 200) == discriminator.Config(steps=200)
    assert not entered("discriminator --autoencoder initial --autoencoder-steps 9").paced
    assert entered("discriminator --autoencoder initial").paced


def test_the_time_of_a_step_is_that_of_the_steps_alone():
    calls = []

    def takes(steps):  # three seconds beside the steps, a quarter a step
        calls.append(steps)
        return 3 + 0.25 * steps

    assert trial.each_takes(takes, long_enough=10, most=10_000) == pytest.approx(0.25)
    assert calls == [4, 8, 16, 32]  # 3 + 32 / 4 is the first of 10 s
    assert trial.each_takes(takes, long_enough=1e9, most=20) == pytest.approx(0.25)
    assert calls[4:] == [4, 8, 16, 32]  # no more than the recipe's steps are tried


@pytest.mark.parametrize(("number", "cut"), [(0.3, 1), (9.9, 9), (42, 42), (129, 120), (1287.5, 1200), (98_765, 98_000)])
def test_steps_are_cut_to_two_digits(number, cut):
    assert trial.two_digits(number) == cut


def test_a_trial_trains_for_what_its_seconds_allow_and_never_longer_than_the_recipe(parts, tmp_path, monkeypatch):
    normal = gather(normal_pictures(str(parts), Where()), Preprocessing(), bar=False)
    joblib.dump(trial.Material(normal, Preprocessing(), None, None), tmp_path / "material")
    monkeypatch.setattr(trial, "each_takes", lambda takes, long_enough, most: 0.5)
    config = ede_gan.Config(widths=(2,), latent=8, steps=9)
    task = trial.Task(recipe("ede-gan", config), tmp_path / "material", 3.0, tmp_path / "a.det")
    outcome = trial.trial(task)
    assert (outcome.steps, outcome.recipe_steps, outcome.config.steps) == (6, 9, 6)
    assert store.load(tmp_path / "a.det").config.steps == 6
    assert trial.trial(replace(task, seconds=100.0)).steps == 9
    assert len(outcome.normal) == 60
    assert len(outcome.scores) == normal.calibrating.sum()
