"""`novelette classify`: what it evaluates, predicts, saves and refuses."""

import json
import os
import re
import shutil

import numpy as np
import pytest
from classify.made import across, down, fitted, noisy, write_classes
from pictures import assert_refused, write

from novelette.classify import METHODS, store
from novelette.classify.fitting import Task, fit
from novelette.classify.kdgan import Config
from novelette.cli import main
from novelette.errors import InputError
from novelette.training import Run


def test_the_command_evaluates_and_writes_a_report(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("novelette.classify.evaluate.SECONDS", 0.0)
    assert main(["classify", "evaluate", str(folder / "clf"), str(folder / "test"), "-o", str(tmp_path / "report")]) == 0
    out = capsys.readouterr().out
    assert "It finds the class of 30 of 30 pictures" in out
    assert "Its teacher finds" in out
    page = (tmp_path / "report" / "index.html").read_text()
    assert "What is taken for what" in page
    assert "It made none." in page
    assert main(["classify", "evaluate", str(folder / "clf"), str(folder / "test"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["n"] == 30
    assert said["n_unknown"] == 6
    assert said["ratios"]["macs"] == said["teacher"]["cost"]["macs"] / said["cost"]["macs"] > 1


def test_the_command_predicts(folder, tmp_path, capsys):
    one = folder / "test" / "down" / "00.png"
    assert main(["classify", "predict", str(folder / "clf"), str(one)]) == 0
    assert "down" in capsys.readouterr().out
    assert main(["classify", "predict", str(folder / "clf"), str(folder / "test"), "-o", str(tmp_path / "out.csv"), "--every"]) == 0
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == ("path,label,probability,score,p_value,unknown,probability of across,probability of down,probability of plain")
    cells = dict(zip(lines[0].split(","), lines[1].split(","), strict=True))
    assert cells["label"] == "across"
    assert cells["unknown"] in ("true", "false")


def test_class_whose_folder_has_a_name_that_is_no_text_is_written_as_text(folder, tmp_path, capsys):
    shutil.copytree(folder / "train", tmp_path / "train")
    try:
        (tmp_path / "train" / "down").rename(tmp_path / "train" / os.fsdecode(b"d\xff"))
    except OSError:
        pytest.skip("this file system wants UTF-8 names")
    fitted(tmp_path / "clf", tmp_path / "train", "plain")
    assert store.load(tmp_path / "clf").classes == ("across", r"d\xff", "plain")
    assert main(["classify", "predict", str(tmp_path / "clf"), str(folder / "test"), "-o", str(tmp_path / "out.csv"), "--every"]) == 0
    assert r",probability of d\xff," in (tmp_path / "out.csv").read_text()


def test_info_has_the_teacher_beside(folder, capsys, monkeypatch):
    monkeypatch.setattr("novelette.classify.evaluate.SECONDS", 0.0)
    assert main(["info", str(folder / "clf")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["classes", "across,", "down,", "plain"] for line in lines)
    assert any(line.split()[:3] == ["student", "teacher", "ratio"] for line in lines)
    assert any(line.startswith("multiply-adds") for line in lines)


def test_force_replaces_a_classifier_and_the_teacher_of_the_fit_before(folder, tmp_path):
    store.save(store.load(folder / "clf"), tmp_path / "clf")
    store.save(store.load(folder / "clf.teacher"), tmp_path / "clf.teacher")
    fitted(tmp_path / "clf", folder / "train", "plain", "--force")
    assert store.load(tmp_path / "clf").detector.method == "plain"
    assert not (tmp_path / "clf.teacher").exists()
    assert not (tmp_path / "clf.run").exists()


@pytest.mark.parametrize("there", ["another classifier", "none"])
def test_classifier_that_stands_where_a_teacher_goes_and_is_none_of_the_one_replaced_is_never_lost(there, folder, tmp_path, capsys):
    if there == "another classifier":
        fitted(tmp_path / "clf", folder / "train", "plain")
    store.save(store.load(folder / "clf.teacher"), tmp_path / "clf.teacher")
    for method in ("plain", "kdgan"):
        argv = ["classify", "fit", method, str(folder / "train"), "-o", str(tmp_path / "clf"), "--force"]
        assert_refused(argv, tmp_path, capsys, "holds one that is not of", "move it away")


def test_pictures_of_one_class_alone_are_refused(tmp_path):
    write(tmp_path / "a" / "one", across(20))
    with pytest.raises(InputError, match="pictures of only one class, one"):
        fit(Task("plain", Config()), tmp_path / "a", Run())


def test_a_class_that_is_taken_for_masks_is_named(folder, tmp_path, capsys):
    write(tmp_path / "no_mask", across(20))
    write(tmp_path / "mask", down(20))
    masks = r"taken for masks and left out: mask/00\.png, mask/01\.png, mask/02\.png and 17 more; if they are pictures, rename"
    with pytest.raises(InputError, match=rf"pictures of only one class, no_mask: a classifier needs two or more \({masks}"):
        fit(Task("plain", Config()), tmp_path, Run())
    write(tmp_path / "plain", noisy(20, 3))
    fitted(tmp_path / "clf", tmp_path, "plain")
    assert re.search(masks, capsys.readouterr().err)
    assert main(["classify", "evaluate", str(tmp_path / "clf"), str(tmp_path)]) == 0
    assert re.search(masks, capsys.readouterr().err)
    assert main(["classify", "predict", str(tmp_path / "clf"), str(tmp_path)]) == 0
    assert re.search(masks, capsys.readouterr().err)


def test_pictures_of_no_class_train_nothing(folder):
    with pytest.raises(InputError, match="the folder unknown is for pictures of no class"):
        fit(Task("plain", Config()), folder / "test", Run())


def test_resuming_with_other_names_or_labels_is_refused(tmp_path):
    """The pictures are the same: what differs is what each is said to be."""
    folder, config = write_classes(tmp_path / "set"), METHODS["plain"].TINY

    def resume():
        return fit(Task("plain", config, false_alarm_rate=0.2), folder, Run(tmp_path / "run", resume=True)).classifier

    first = resume()
    assert np.array_equal(resume().predict(across(3)).score, first.predict(across(3)).score)
    (folder / "across").rename(folder / "zigzag")
    with pytest.raises(InputError, match="was started with another set of classes, set of labels"):
        resume()
    (folder / "zigzag").rename(folder / "across")
    (folder / "down" / "00.png").rename(folder / "across" / "moved.png")
    with pytest.raises(InputError, match="was started with another set of labels"):
        resume()


def test_resuming_with_another_split_of_the_same_pictures_is_refused(tmp_path, monkeypatch):
    """As another --group-by may give, with as many pictures of each class: it would calibrate on some that the run before trained on."""
    folder = write_classes(tmp_path / "set")

    def resume(first):
        monkeypatch.setattr("novelette.calibrate.held_out", lambda hashes, groups: np.arange(len(hashes)) % 5 == first)
        return fit(Task("plain", METHODS["plain"].TINY, false_alarm_rate=0.2), folder, Run(tmp_path / "run", resume=True))

    resume(0)
    with pytest.raises(InputError, match="was started with another set of training pictures:"):
        resume(1)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["fit", "kdgan", "{train}", "-o", "{out}", "--pictures", "1000"], "--pictures 1,000 is out of range: give 2 to"),
        (["fit", "kdgan", "{train}", "-o", "{out}", "--pictures", "2"], "none of the 2 training pictures is of the class"),
        (["fit", "gan", "{train}", "-o", "{out}"], "no method 'gan' for classifiers"),
        (["fit", "kdgan", "{train}/down", "-o", "{out}"], "lies in no subfolder"),
        (["fit", "kdgan", "nowhere", "-o", "{out}"], "neither a folder with a subfolder for each class nor a named set"),
        (["fit", "kdgan", "{train}", "-o", "{out}", "--alpha", "1"], "--alpha"),
        (["fit", "kdgan", "{train}", "-o", "{clf}"], "exists: give --force"),
        (["evaluate", "{clf}", "{strange}"], "has pictures of the class zebra, which the classifier was not trained on"),
        (["evaluate", "{train}", "{train}"], "is not a classifier: it has no classifier.json"),
        (["predict", "{damaged}", "{train}"], "its hash is not the one in classifier.json"),
        (["predict", "{newer}", "{train}"], "was written by a newer novelette"),
        (["predict", "{foreign}", "{train}"], "was made by the method 'ede-gan'"),
        (["explain"], "choose one of fit, evaluate, predict"),
    ],
)
def test_what_a_person_gets_wrong_is_told_in_a_sentence(folder, tmp_path, capsys, argv, says):
    from novelette.cards import digest

    write(tmp_path / "strange" / "zebra", across(2))
    for name, change in {"damaged": {}, "newer": {"schema": 9}, "foreign": {"method": "ede-gan"}}.items():
        (tmp_path / name).mkdir()
        card = json.loads((folder / "clf" / "classifier.json").read_text()) | change
        card.pop("card_sha256")
        (tmp_path / name / "classifier.json").write_text(json.dumps(card | {"card_sha256": digest(card)}))
        (tmp_path / name / "weights.safetensors").write_bytes(b"nothing")
    paths = {name: tmp_path / name for name in ("out", "strange", "damaged", "newer", "foreign")}
    filled = [arg.format(**paths, clf=folder / "clf", train=folder / "train") for arg in argv]
    assert_refused(["classify", *filled], tmp_path, capsys, says)
