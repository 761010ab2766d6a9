"""`novelette info`: what it says of a detector."""

import re

import pytest
from cli.answers import as_json

from novelette import store
from novelette.cli import main


@pytest.mark.parametrize(("method", "keeps"), [("knn", True), ("gan", False)])
def test_info_describes_a_detector(method, keeps, request, capsys):
    det = request.getfixturevalue(method)
    said = as_json(["info", str(det)], capsys)
    keys = "method params macs image_size channels threshold false_alarm_rate seed version contains_training_pictures"
    assert set(keys.split()) <= set(said)
    assert said["contains_training_pictures"] is keeps
    assert (said["image_size"], said["channels"], said["seed"], said["false_alarm_rate"]) == (32, 1, 0, 0.2)
    assert said["threshold"] == store.load(det).threshold
    assert main(["info", str(det)]) == 0
    assert re.search(r"^threshold +\d", capsys.readouterr().out, re.MULTILINE)
