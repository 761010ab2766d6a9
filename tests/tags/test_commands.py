"""novelette tag: fitted, stored, suggesting without any weight file, measured; and what a person gets wrong."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import assert_refused
from PIL import Image
from safetensors.numpy import load_file

from novelette.cli import main
from novelette.errors import InputError
from novelette.tags import METHODS, store
from novelette.tags.features import Look
from novelette.tags.fitting import Evaluation, Recipe, evaluate, fit
from novelette.tags.readers import read
from novelette.training import Run

SMALL = ("--layer", "block-2", "--size", "32")
SHORT = ("--pretraining", "30", "--epochs", "2", "--learning-rate", "0.01", "--batch-size", "10")
QUICK = {"kdgan": SHORT, "nagan": SHORT, "plain": SHORT, "knn": ("--k", "5"), "tprop": ("--k", "5"), "rexmp": ("--k", "5", "--rounds", "1")}
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 40, 230)}


def tagged(folder: Path, n: int = 40, seed: int = 0, text: bool = True) -> Path:
    """Noisy pictures of one colour each, tagged with it and with light or dark, and a text that names it."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, rows = np.random.default_rng(seed), []
    for i in range(n):
        name, dark = list(COLOURS)[i % 3], bool(rng.integers(2))
        picture = np.array(COLOURS[name]) * (0.4 if dark else 1.0) + rng.normal(0, 12, (32, 32, 3))
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / f"{i:02}.png")
        rows.append([f"{i:02}.png", f"{name};{'dusk' if dark else 'noon'}", f"something {name} somewhere"][: 3 if text else 2])
    with (folder / "tags.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "tags", "text"][: 3 if text else 2], *rows])
    return folder


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A KDGAN tagger, and the pictures that it comes from."""
    root = tmp_path_factory.mktemp("tags")
    assert main(["tag", "fit", "kdgan", str(tagged(root / "set")), "-o", str(root / "t"), *SMALL, *QUICK["kdgan"]]) == 0
    return root


def test_suggests_tags_without_text_or_weight_file(fitted, tmp_path, monkeypatch, capsys):
    new = tagged(tmp_path / "new", 12, seed=9)
    truth = {row["file"]: row["tags"].split(";")[0] for row in csv.DictReader((new / "tags.csv").open())}
    (new / "tags.csv").unlink()
    monkeypatch.setenv("NOVELETTE_DATA", str(tmp_path))  # where there are no weights
    capsys.readouterr()
    assert main(["tag", "suggest", str(fitted / "t"), str(new), "-n", "2"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["file"] for row in rows] == sorted(truth)
    assert np.mean([truth[row["file"]] in row["tags"].split(";") for row in rows]) > 0.8


def test_suggestions_are_a_table_to_fit_on_and_json_lines_have_scores(fitted, tmp_path):
    new = tagged(tmp_path / "new", 12, seed=9)
    assert main(["tag", "suggest", str(fitted / "t"), str(new), "-o", str(new / "tags.csv"), "--force"]) == 0
    assert main(["tag", "fit", "knn", str(new), "-o", str(tmp_path / "again"), *SMALL, "--k", "3", "--everything"]) == 0
    assert main(["tag", "suggest", str(tmp_path / "again"), str(new), "-o", str(tmp_path / "s.jsonl"), "-n", "1"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert len(lines) == 12
    assert all(len(line["tags"]) == 1 and line["tags"][0]["score"] > 0 for line in lines)


def test_evaluates_on_what_was_held_out_of_the_same_source(fitted, capsys):
    capsys.readouterr()
    assert main(["tag", "evaluate", str(fitted / "t"), str(fitted / "set"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pictures"] + found["trained_on"] == 40
    assert 0 < found["pictures"] < 20
    assert found["MRR"] > 0.8
    assert found["f_at_n"] == "standard"
    assert found["MAP_difference"] == pytest.approx(found["MAP"] - found["most_frequent"]["MAP"])
    assert found["MAP_difference_low"] <= found["MAP_difference"] <= found["MAP_difference_high"]
    assert main(["tag", "evaluate", str(fitted / "t"), str(fitted / "set"), "--f-at-n", "kdgan"]) == 0
    out = capsys.readouterr().out
    assert " F@3 (kdgan) " in out.splitlines()[0]
    assert f"on {found['pictures']} pictures; left out: {found['trained_on']} that trained the tagger" in out
    assert any(line.startswith("the most frequent tags") and f"{found['most_frequent']['MAP']:.4f}" in line for line in out.splitlines())
    assert "that of always suggesting the tags most frequent in training" in out


def test_the_tags_most_frequent_in_training_are_measured_beside(fitted):
    """In a plain loop: every picture is suggested the same tags, in the vocabulary's order."""
    tagger, source = store.load(fitted / "t"), read(str(fitted / "set"), ())
    found = evaluate(tagger, source, "standard")
    seen = tagger.see(source.source)
    tops = []
    for i, trained in zip(seen.indices, tagger.saw(seen.hashes), strict=True):
        if not trained:
            tops.append(sum(tag in source.tags[i] for tag in tagger.vocabulary[:3]) / 3)
    assert found.most_frequent["P@3"] == pytest.approx(np.mean(tops))
    assert found.most_frequent["P@3"] < found.values["P@3"]


@pytest.mark.parametrize(
    ("interval", "says"),
    [
        ((0.05, 0.2), "Its MAP is 0.1000 above that of always suggesting"),
        ((-0.3, -0.02), "Its MAP is 0.1000 below that of always suggesting"),
        ((-0.1, 0.3), "Its MAP cannot be distinguished from that of always suggesting"),
        ((0.0, 0.0), "Its MAP cannot be distinguished from that of always suggesting"),
        (None, "5 pictures cannot tell its MAP from that of always suggesting"),
    ],
)
def test_whether_a_tagger_is_told_from_the_most_frequent_tags(interval, says):
    difference = -0.1 if interval is not None and interval[1] < 0 else 0.1
    found = Evaluation({"MAP": 0.5}, {"MAP": 0.5 - difference}, difference, interval, 5, 0, 0, {})
    assert found.sentence().startswith(says)
    assert found.to_json()["MAP_difference_low"] == (None if interval is None else interval[0])


def test_too_few_pictures_have_no_interval(fitted, tmp_path):
    few = evaluate(store.load(fitted / "t"), read(str(tagged(tmp_path / "few", 5, seed=9)), ()), "standard")
    enough = evaluate(store.load(fitted / "t"), read(str(tagged(tmp_path / "enough", 6, seed=9)), ()), "standard")
    assert few.interval is None
    assert enough.interval is not None


def test_info_says_what_a_tagger_is(fitted, capsys):
    capsys.readouterr()
    assert main(["info", str(fitted / "t"), "--json"]) == 0
    said, tagger = json.loads(capsys.readouterr().out), store.load(fitted / "t")
    assert said["vocabulary"] == list(tagger.vocabulary)
    assert said["disk_bytes"] == sum((fitted / "t" / name).stat().st_size for name in ("tagger.json", "weights.safetensors"))
    assert main(["info", str(fitted / "t")]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["tagger", "kdgan"] in lines
    assert ["tags", f"5: {', '.join(tagger.vocabulary)}"] in lines
    assert lines[2] == ["sees", "pictures by            mobilenet-0.25 up to block-2, 32 px"]


def test_what_is_kept_of_kdgan_is_the_classifier(fitted):
    names = {name for name in load_file(fitted / "t" / "weights.safetensors") if name.startswith("scorer.")}
    layers = {f"{layer}.{part}" for layer in ("first.0", "last") for part in ("weight", "bias")}
    assert names == {f"scorer.net.{name}" for name in {"standard.mean", "standard.std"} | layers}
    assert not (fitted / "t.run").exists()


def test_resuming_with_another_look_or_other_tags_or_texts_is_refused(tmp_path):
    source, run = tagged(tmp_path / "set"), tmp_path / "run"

    def resume(**look):
        recipe = Recipe("kdgan", METHODS["kdgan"].TINY, Look(layer="block-2", **{"size": 32} | look))
        return fit(recipe, read(str(source), ()), Run(run, resume=True)).tagger

    first = resume().scorer.state_dict()
    assert all(torch.equal(first[name], again) for name, again in resume().scorer.state_dict().items())
    with pytest.raises(InputError, match=r"was started with another --size"):
        resume(size=64)
    table = (source / "tags.csv").read_text()
    for was, now in (("something red", "anything red"), ("red;noon", "red;dusk")):
        (source / "tags.csv").write_text(table.replace(was, now))
        with pytest.raises(InputError, match="was started with another set of tags and texts"):
            resume()


@pytest.mark.parametrize("name", METHODS)
def test_a_stored_tagger_scores_the_same(name, fitted, tmp_path):
    assert main(["tag", "fit", name, str(fitted / "set"), "-o", str(tmp_path / "t"), *SMALL, *QUICK.get(name, ())]) == 0
    loaded = store.load(tmp_path / "t")
    store.save(loaded, tmp_path / "again")
    assert (tmp_path / "again" / "weights.safetensors").read_bytes() == (tmp_path / "t" / "weights.safetensors").read_bytes()
    assert loaded.method == name


def test_a_picture_that_cannot_be_read_is_skipped_and_told(fitted, tmp_path, capsys):
    new = tagged(tmp_path / "new", 3, seed=9)
    (new / "01.png").write_bytes(b"no picture")
    capsys.readouterr()
    assert main(["tag", "suggest", str(fitted / "t"), str(new)]) == 3
    out, err = capsys.readouterr()
    assert out.count("\n") == 3
    assert "skipped 01.png" in err


def test_text_that_is_missing_in_training_is_told(tmp_path, capsys):
    silent = tagged(tmp_path / "set", text=False)
    command = ["tag", "fit", "kdgan", str(silent), "-o", str(tmp_path / "out" / "t"), *SMALL]
    capsys.readouterr()
    assert main(command) == 2
    assert "a teacher needs text: fit plain or rexmp instead" in capsys.readouterr().err
    assert not (tmp_path / "out" / "t").exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["fit", "svm", "SET", "-o", "OUT"], "no method 'svm' for taggers: choose one of kdgan"),
        (["fit", "knn", "SET", "-o", "SET"], "exists and is not a tagger"),
        (["fit", "knn", "SET", "-o", "OUT", "--k", "0"], "--k: input should be greater than or equal to 1"),
        (["fit", "knn", "SET", "-o", "OUT", "--layer", "block-99"], "no layer 'block-99'"),
        (["fit", "knn", "SET", "-o", "OUT", "--vocabulary-size", "1"], "--vocabulary-size 1 is out of range: give 2 to"),
        (["fit", "knn", "SET/00.png", "-o", "OUT"], "has no tags"),
        (["guess"], "there is no command novelette tag 'guess': choose one of fit, suggest, evaluate"),
        (["suggest", "SET", "SET"], "is not a tagger: it has no tagger.json"),
        (["suggest", "TAGGER", "SET", "-n", "0"], "-n 0 is too small: give 1 or more"),
        (["suggest", "TAGGER", "SET", "-o", "OUT.txt"], "must end in .csv or .jsonl"),
    ],
)
def test_what_a_person_gets_wrong_is_one_sentence(fitted, args, says, capsys):
    places = {"SET": str(fitted / "set"), "OUT": str(fitted / "no" / "out"), "TAGGER": str(fitted / "t")}
    filled = [next((word.replace(key, place) for key, place in places.items() if word.startswith(key)), word) for word in args]
    force = ["--force"] if "SET" in args[3:] and args[0] == "fit" and args[-1] == "SET" else []
    assert_refused(["tag", *filled, *force], fitted, capsys, says)


def test_nothing_left_to_measure_on_is_told(fitted, tmp_path, capsys):
    assert main(["tag", "fit", "knn", str(fitted / "set"), "-o", str(tmp_path / "t"), *SMALL, *QUICK["knn"], "--everything"]) == 0
    assert_refused(
        ["tag", "evaluate", str(tmp_path / "t"), str(fitted / "set")], fitted, capsys, "of 40 pictures the tagger was trained on 40"
    )


@pytest.mark.parametrize("changed", ["tagger.json", "weights.safetensors"])
def test_damage_is_told(changed, fitted, tmp_path, capsys):
    broken = tmp_path / "t"
    shutil.copytree(fitted / "t", broken)
    content = bytearray((broken / changed).read_bytes())
    content[-20] ^= 1
    (broken / changed).write_bytes(content)
    assert_refused(["tag", "suggest", str(broken), str(fitted / "set")], tmp_path, capsys, "damaged")


def test_a_vocabulary_of_another_length_than_the_weights_is_told(fitted, tmp_path, capsys):
    store.save(replace(store.load(fitted / "t"), vocabulary=("one", "two")), tmp_path / "t")
    assert_refused(["tag", "suggest", str(tmp_path / "t"), str(fitted / "set")], tmp_path, capsys, "do not match")


def test_help_names_the_commands_and_the_methods(capsys):
    assert main(["tag", "--help"]) == main(["tag", "fit", "--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("suggest", "evaluate", *METHODS))
