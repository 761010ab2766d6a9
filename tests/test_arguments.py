"""What a command line that cannot be parsed is told."""

import re

import pytest
from pictures import assert_refused

from novelette.cli import main


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["fit", "knn", "x", "-o", "y", "--seed", "abc"], "--seed 'abc' is not a whole number;"),
        (["classify", "fit", "plain", "x", "-o", "y", "--pictures", "1.5"], "--pictures '1.5' is not a whole number;"),
        (["calibrate", "x", "y", "--false-alarm-rate", "half"], "--false-alarm-rate 'half' is not a number;"),
        (["fit", "knn", "x", "-o", "y", "--channels", "2"], "--channels 2 is not one of 1, 3;"),
        (["fit", "knn", "x", "-o", "y", "--normal"], "--normal needs a value;"),
        (["classify", "fit", "plain", "x", "-o", "y", "--pictures", "none"], "--pictures 'none' is not a whole number;"),
        (["fit", "knn", "x", "-o", "y", "--szie", "64"], "unrecognized options: --szie; did you mean --size?"),
        (["score", "x", "y", "z"], "unrecognized options: z;"),
        (["fit", "knn"], "missing: SOURCE, -o PATH;"),
        (["fit", "parts", "knn"], "the method comes first: novelette fit knn parts"),
        (["fit", "KNN", "parts"], "there is no method 'KNN': choose one of "),
        (["fit", "ede_gan", "parts"], "; did you mean ede-gan?"),
        (["classify", "fit", "plian", "x"], "; did you mean plain?"),
        (["tag", "fit", "nagam", "x"], "; did you mean nagan?"),
    ],
)
def test_what_is_typed_wrongly_is_told_without_python(argv, says, tmp_path, capsys):
    err = assert_refused(argv, tmp_path, capsys, says)
    assert not re.search(r"int\(\)|NoneType|could not convert|Expected one of", err)


def test_help_asks_for_what_may_be_left_out_by_what_it_is(capsys):
    assert main(["fit", "knn", "--help"]) == 0
    told = capsys.readouterr().out
    assert "--channels {1,3}" in told
    assert "--normal STR" in told
    assert "None" not in told
