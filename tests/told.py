"""What every configuration owes the person who sets it, for the tests of detectors, classifiers and taggers."""

from typing import get_args

import pytest
from pydantic import ValidationError


def assert_settings_are_told(module):
    """A help line for each field of a method's Config, limits both ways of a number, choices of names; and nothing else is taken."""
    config = module.Config
    for field, info in config.model_fields.items():
        assert info.description, field
        if info.annotation in (int, float):
            limits = {kind for limit in info.metadata for kind in ("ge", "gt", "le", "lt") if hasattr(limit, kind)}
            assert limits & {"ge", "gt"}, f"{field} has no lowest value"
            assert limits & {"le", "lt"}, f"{field} has no highest value"
    assert config.model_validate(config().model_dump()) == config()  # defaults are within their limits
    assert config.model_validate_json(module.TINY.model_dump_json()) == module.TINY
    with pytest.raises(ValidationError, match="extra"):
        config(no_such_setting=1)


def assert_names_are_choices(config):
    """A setting that is no number says whether, or which of some."""
    for field, info in config.model_fields.items():
        assert info.annotation in (int, float, bool) or get_args(info.annotation), f"{field} is open: a choice of names is wanted"
