"""Configuration fields state their meaning, unit and range once; what a person gets wrong is said in one sentence."""

import pytest
from pydantic import BaseModel, ValidationError
from pydantic import Field as PydanticField

from novelette.errors import InputError
from novelette.settings import Widths, explain, parse_widths, setting, validated


class Sample(BaseModel, frozen=True, extra="forbid"):
    widths: Widths = setting((4, 8, 16), "channels of each block")
    batch_size: int = setting(8, "pictures per update", ge=1, le=4096)
    rate: float = setting(0.5, "Adam's step size", gt=0, lt=1)


def described(name, model=Sample):
    return model.model_fields[name].description


def test_a_description_holds_meaning_range_and_unit():
    assert described("batch_size") == "pictures per update (from 1 to 4,096)"
    assert described("rate") == "Adam's step size (above 0, below 1)"
    assert described("widths") == "channels of each block"

    class Timed(BaseModel):
        wait: float = setting(1.0, "how long to wait", unit="s", ge=0, le=1e4)

    assert described("wait", Timed) == "how long to wait (from 0 to 10000 s)"


def test_defaults_are_defaults():
    assert Sample().model_dump() == {"widths": (4, 8, 16), "batch_size": 8, "rate": 0.5}


@pytest.mark.parametrize(("text", "widths"), [("2-4-8", (2, 4, 8)), ("16", (16,)), ((1, 2), (1, 2)), ([3], (3,))])
def test_widths_are_read_from_text_or_numbers(text, widths):
    assert Sample(widths=text).widths == widths


@pytest.mark.parametrize("text", ["", "2-", "-4", "2-x-8", "2,4,8", "2 - - 4", "2.5"])
def test_what_is_not_widths_is_refused(text):
    with pytest.raises(ValueError, match="is not a list of widths such as 2-4-8"):
        parse_widths(text)
    with pytest.raises(InputError, match=r"^--widths: .*2-4-8"):
        validated(Sample, {"widths": text})


@pytest.mark.parametrize("widths", ["0-4-8", "5000", (2, -1)])
def test_widths_out_of_range_are_refused(widths):
    with pytest.raises(InputError, match=r"^--widths: "):
        validated(Sample, {"widths": widths})


@pytest.mark.parametrize("value", [0, 4097, "many", None, 2.5])
def test_a_field_out_of_its_range_is_named_as_the_option_is(value):
    with pytest.raises(InputError, match=r"^--batch-size: ") as refused:
        validated(Sample, {"batch_size": value})
    assert repr(value) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_every_wrong_field_is_named():
    with pytest.raises(InputError) as refused:
        validated(Sample, {"batch_size": 0, "rate": 1.0})
    message = str(refused.value)
    assert message.count("; ") == 1
    assert "--batch-size: " in message
    assert "--rate: " in message


def test_an_unknown_field_is_refused_by_name():
    with pytest.raises(InputError, match="--colour"):
        validated(Sample, {"colour": "red"})


@pytest.mark.parametrize("rate", [0.0, 1.0, float("nan"), float("inf")])
def test_limits_that_are_outside_are_outside(rate):
    with pytest.raises(InputError, match=r"^--rate: "):
        validated(Sample, {"rate": rate})


def test_explain_gives_the_text_of_a_rule_about_several_fields_alone():
    from novelette.methods.ede_gan import Config

    with pytest.raises(ValidationError) as found:
        Config(statistics="running")
    assert explain(found.value).startswith("--statistics running needs --norm batch: ")


def test_validated_gives_the_model():
    assert validated(Sample, {"batch_size": 3}) == Sample(batch_size=3)


def test_setting_is_a_plain_pydantic_field():
    ours, plain = setting(1, "one", ge=0), PydanticField(1, description="one (from 0)", ge=0)
    assert (ours.default, ours.description, ours.metadata) == (plain.default, plain.description, plain.metadata)
