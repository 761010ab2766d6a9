"""What every method's settings keep: a sentence, limits, a paper."""

import pytest
from contract.fitted_methods import every_method
from pydantic import ValidationError
from told import assert_settings_are_told

from novelette.methods import METHODS


@every_method
def test_every_setting_says_what_it_means_and_has_limits_or_choices(name):
    assert_settings_are_told(METHODS[name])


@every_method
def test_a_config_is_frozen(name):
    config = METHODS[name].Config()
    first = next(iter(type(config).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(config, first, getattr(config, first))


@every_method
def test_a_config_survives_json(name):
    for config in (METHODS[name].Config(), METHODS[name].TINY, METHODS[name].paper()):
        assert METHODS[name].Config.model_validate_json(config.model_dump_json()) == config


@every_method
def test_a_method_cites_its_paper(name):
    paper = METHODS[name].PAPER
    assert isinstance(paper, str)
    assert any(year in paper for year in map(str, range(1950, 2040)))
