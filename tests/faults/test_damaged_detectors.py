"""Detectors with files that are missing, cut off, foreign or changed by hand."""

import errno
import json
import os
from pathlib import Path

import pytest
from pictures import assert_refused, write_labelled

from novelette import store
from novelette.cards import digest
from novelette.cli import main


def card_of(det):
    return json.loads((det / "detector.json").read_text())


def rewrite(det, **changes):
    """Change the card and sign it, as nothing but a program would."""
    card = {name: value for name, value in (card_of(det) | changes).items() if name != "card_sha256"}
    (det / "detector.json").write_text(json.dumps(card | {"card_sha256": digest(card)}))


def edit(det, **changes):
    """Change the card by hand: its hash is the old one's, or None to leave it out."""
    card = card_of(det) | changes
    (det / "detector.json").write_text(json.dumps({name: value for name, value in card.items() if value is not None}))


DAMAGES = {
    "no card": (lambda det: (det / "detector.json").unlink(), "is not a detector"),
    "no weights": (lambda det: (det / "weights.safetensors").unlink(), "weights.safetensors cannot be read"),
    "truncated card": (lambda det: os.truncate(det / "detector.json", 200), "detector.json is damaged"),
    "empty card": (lambda det: os.truncate(det / "detector.json", 0), "detector.json is damaged"),
    "card in no text": (lambda det: (det / "detector.json").write_bytes(bytes(range(256))), "detector.json is damaged"),
    "truncated weights": (lambda det: os.truncate(det / "weights.safetensors", 1000), "weights.safetensors is damaged"),
    "foreign weights": (lambda det: (det / "weights.safetensors").write_bytes(b"PK\x03\x04"), "weights.safetensors is damaged"),
    "foreign card": (lambda det: (det / "detector.json").write_text('{"model": "other"}'), "not the card of a detector"),
    "card that is a list": (lambda det: (det / "detector.json").write_text("[1]"), "not the card of a detector"),
    "newer schema": (lambda det: rewrite(det, schema=store.SCHEMA + 1), "newer novelette"),
    "unknown method": (lambda det: rewrite(det, method="oracle"), "the method 'oracle'"),
    "method that is a list": (lambda det: rewrite(det, method=["knn"]), "the method ['knn']"),
    "another method's settings": (lambda det: rewrite(det, method="ede-gan"), "do not match"),
    "another size": (lambda det: rewrite(det, preprocessing=card_of(det)["preprocessing"] | {"size": 64}), "do not match"),
    "calibration halved": (lambda det: edit(det, calibration=card_of(det)["calibration"][::2]), "detector.json is damaged"),
    "another rate": (lambda det: edit(det, false_alarm_rate=0.3), "detector.json is damaged"),
    "card without its hash": (lambda det: edit(det, card_sha256=None), "detector.json is damaged"),
    "hash that is no text": (lambda det: edit(det, card_sha256=[1]), "detector.json is damaged"),
    "unknown setting": (lambda det: rewrite(det, config={"k": 5, "power": 9}), "do not match"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_or_foreign_detector_is_refused_by_every_command(damage, tmp_path, det, parts, capsys):
    spoil, says = damage
    spoil(det)
    labelled = write_labelled(tmp_path / "labelled", 2)
    for argv in (
        ["info", str(det)],
        ["score", str(det), str(parts), "-o", str(tmp_path / "a.csv")],
        ["calibrate", str(det), str(parts)],
        ["evaluate", str(det), str(labelled), "-o", str(tmp_path / "report")],
    ):
        assert_refused(argv, tmp_path, capsys, says, "knn.det")


def test_card_that_may_not_be_read_is_not_called_damaged(tmp_path, det, parts, capsys, monkeypatch):
    def refuse(*args, **more):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "read_text", refuse)
    assert_refused(["score", str(det), str(parts)], tmp_path, capsys, "detector.json cannot be read: permission denied")


KEYS = ("schema", "method", "config", "preprocessing", "seed", "false_alarm_rate", "calibration", "weights_sha256", "provenance")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", [None, [], {}, "x", -1, True, 1e999, [None], [[1.0]], {"x": 1}], ids=repr)
def test_card_with_a_wrong_value_is_refused_or_harmless(key, value, tmp_path, det, parts, capsys):
    rewrite(det, **{key: value})
    capsys.readouterr()
    for argv in (["info", str(det)], ["score", str(det), str(parts)]):
        status = main(argv)
        err = capsys.readouterr().err
        assert (status, err) == (0, "") or (status == 2 and err.count("\n") == 1)


def test_file_where_a_detector_is_expected_is_refused(tmp_path, parts, capsys):
    (tmp_path / "a.det").write_text("a file")
    assert_refused(["score", str(tmp_path / "a.det"), str(parts)], tmp_path, capsys, "is not a detector")
