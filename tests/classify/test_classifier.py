"""A fitted classifier: what it says of pictures, when it says `unknown`, how it is saved, measured and refused."""

import json
import math
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from classify.made import across, down, fitted, noisy, write_classes
from pictures import assert_refused, write

from novelette.classify import METHODS, players, store
from novelette.classify.certainty import PASSES, Reading, Scorer
from novelette.classify.classifier import Classifier
from novelette.classify.evaluate import Evaluation, costs, evaluate, findings
from novelette.classify.fitting import Task, fit, gather
from novelette.classify.kdgan import Config
from novelette.classify.report import _mistakes
from novelette.cli import main
from novelette.data.images import Preprocessing, as_tensor
from novelette.data.select import Where, pictures_by_class
from novelette.errors import InputError
from novelette.fitting import fit as fit_detector
from novelette.metrics import auroc_interval
from novelette.training import Run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures of three classes, and a KDGAN classifier of them with its teacher."""
    folder = tmp_path_factory.mktemp("classes")
    write_classes(folder / "train")
    write_classes(folder / "test", 10, seed=50)
    write(folder / "test" / "unknown", 255 - noisy(6, 3) // 4)
    fitted(folder / "clf", folder / "train")
    return folder


@pytest.fixture(scope="module")
def classifier(folder):
    return store.load(folder / "clf")


def test_it_tells_the_classes_of_new_pictures(classifier):
    found = classifier.predict(np.concatenate([across(5, 70), down(5, 71), noisy(5, 72)]))
    assert found.label == ["across"] * 5 + ["down"] * 5 + ["plain"] * 5
    assert found.probability.shape == (15, 3)
    assert found.probability.sum(1) == pytest.approx(1, abs=1e-5)


def test_what_it_says_of_a_picture_does_not_depend_on_the_others(classifier):
    pictures = np.concatenate([across(3, 70), noisy(4, 72)])
    together, alone = classifier.predict(pictures), [classifier.predict(one) for one in pictures]
    assert together.score == pytest.approx(np.concatenate([one.score for one in alone]), rel=1e-4, abs=1e-7)
    assert together.probability == pytest.approx(np.concatenate([one.probability for one in alone]), abs=1e-6)


def test_uncertainty_by_hand():
    """In plain loops: the mean over passes of the softmax under dropout, its entropy over log K."""
    torch.manual_seed(0)
    net = players.build("mlp", 1, 16, 3, divide_widths=100).eval()
    x = torch.rand(4, 1, 16, 16) * 2 - 1
    scorer = Scorer.of(net, seed=5)
    kept = [scorer.reading.kept0, scorer.reading.kept1]
    assert [k.shape for k in kept] == [(PASSES, 8), (PASSES, 8)]
    p = torch.zeros(4, 3)
    with torch.no_grad():
        for t in range(PASSES):
            h = torch.relu(net[2](net[1](net[0](x)))) * kept[0][t] / 0.88
            h = torch.relu(net[5](h)) * kept[1][t] / 0.88
            p += torch.softmax(net[8](h), 1) / PASSES
        plain = torch.softmax(net(x), 1)
    got, score = scorer.both(x)
    assert torch.allclose(got, plain, atol=1e-6)
    assert torch.allclose(score, -(p * p.log()).sum(1) / math.log(3), atol=1e-5)


def test_a_network_without_dropout_is_asked_once():
    torch.manual_seed(0)
    net = players.build("resnet", 1, 16, 3, divide_widths=20).eval()
    assert len(Scorer.of(net, 0).state()) == len(net.state_dict())
    x = torch.rand(2, 1, 16, 16)
    p, score = Reading(net, []).eval().both(x)
    assert torch.allclose(score, -(p * p.log()).sum(1) / math.log(3), atol=1e-5)


def test_convolutions_are_computed_once_for_all_passes():
    net, calls = players.build("lenet", 1, 16, 3, divide_widths=32), []
    reading = Scorer.of(net, 0).reading
    net[1].register_forward_hook(lambda *args: calls.append(1))
    reading(torch.zeros(2, 1, 16, 16))
    assert calls == [1]


def test_a_false_alarm_rate_holds_on_calibration_pictures(classifier):
    detector = classifier.detector
    assert detector.threshold is not None
    assert (detector.calibration > detector.threshold).mean() <= 0.2
    assert len(detector.calibration) + len(detector.trained_on) == 90


def test_saved_and_loaded_says_the_same(classifier, tmp_path):
    again = store.load(store.save(classifier, tmp_path / "again"))
    pictures = across(4, 9)
    assert np.array_equal(again.predict(pictures).probability, classifier.predict(pictures).probability)
    assert np.array_equal(again.predict(pictures).score, classifier.predict(pictures).score)
    assert again.classes == ("across", "down", "plain")


def test_the_teacher_of_the_same_fit_stands_beside(folder, classifier, tmp_path):
    teacher = store.teacher_of(classifier, folder / "clf")
    assert teacher.player == "lenet"
    assert teacher.cost().macs > classifier.cost().macs
    store.save(classifier, tmp_path / "clf")
    assert store.teacher_of(classifier, tmp_path / "clf") is None
    fitted(tmp_path / "clf.teacher", folder / "train", "plain")  # something else that stands there
    assert store.teacher_of(classifier, tmp_path / "clf") is None


def test_the_same_seed_gives_the_same_classifier(folder, classifier, tmp_path):
    again = store.load(fitted(tmp_path / "again", folder / "train"))
    assert torch.equal(again.net[2].weight, classifier.net[2].weight)
    assert np.array_equal(again.detector.calibration, classifier.detector.calibration)


def gathered(source, n, seed=0):
    chosen = pictures_by_class(source, Where())
    return chosen, gather(Task("kdgan", Config(), pictures=n, seed=seed), chosen, Preprocessing(size=28), bar=False)


def test_so_many_pictures_train_as_many_of_each_class_as_possible(folder):
    _, pictures = gathered(folder / "train", 31)
    assert sorted(np.bincount(pictures.labels.numpy()).tolist()) == [10, 10, 11]
    assert len(pictures.training) == 31
    other = gathered(folder / "train", 31, seed=1)[1]
    assert other.fingerprint != pictures.fingerprint
    # calibration goes by contents alone
    assert set(pictures.loaded.hashes[pictures.calibrating]) == set(other.loaded.hashes[other.calibrating])
    assert not set(pictures.trained_on) & set(pictures.loaded.hashes[pictures.calibrating])


def test_evaluation_by_hand(folder, classifier):
    labelled = pictures_by_class(folder / "test", Where())
    found = evaluate(classifier, None, labelled)
    said = classifier.predict(folder / "test")
    folders = [name.split("/")[0] for name in said.names]
    table = np.zeros((3, 3), int)
    for true, label in zip(folders, said.label, strict=True):
        if true != "unknown":
            table[classifier.classes.index(true), classifier.classes.index(label)] += 1
    assert found.confusion.tolist() == table.tolist()
    assert found.accuracy == table.trace() / 30
    low, high = found.interval
    assert low < found.accuracy <= high
    unknown = np.array([name == "unknown" for name in folders])
    assert found.rates() == (said.novel[~unknown].mean(), said.novel[unknown].mean())
    assert found.of_class(0)[0] == table[0, 0] / 10


def judged(true, said, score=None):
    """An Evaluation of classes that were said, -1 for pictures of none; without a threshold."""
    true, said, n = np.array(true), np.array(said), len(true)
    score = np.zeros(n, np.float32) if score is None else np.array(score, np.float32)
    cost = {"params": 1}
    return Evaluation(("a", "b", "c"), [""] * n, np.arange(n), true, said, np.ones(n), score, None, 0.05, 99, 0, {}, (cost,))


@pytest.mark.parametrize(
    ("right", "tone", "says"),
    [
        (40, "plain", "That is better than always saying b, the most frequent class here, which finds 50.0 %."),
        (27, "bad", "It tells classes apart no better than always saying b, the most frequent class here, which finds 50.0 %."),
        (10, "bad", "It tells classes apart worse than always saying b, the most frequent class here, which finds 50.0 %."),
    ],
)
def test_accuracy_stands_beside_always_saying_the_most_frequent_class(right, tone, says):
    """Of 50 pictures 25 are b: Wilson's intervals are 67 to 89 % of 40, 40 to 67 % of 27, and 11 to 33 % of 10."""
    true = np.array([0] * 15 + [1] * 25 + [2] * 10)
    said = np.where(np.arange(50) < right, true, (true + 1) % 3)
    found = judged([*true, -1], [*said, 1])  # a picture of no class counts for neither
    first = next(findings(found))
    assert found.majority == found.to_json()["majority"] == 0.5
    assert first.tone == tone
    assert first.text.endswith(says)


def test_pictures_of_one_class_say_nothing_of_telling_classes_apart():
    first = next(findings(judged([1] * 9, [1] * 9)))
    assert first.tone == "plain"
    assert first.text.endswith("All of them are of the class b, so they do not say whether it tells classes apart.")


@pytest.mark.parametrize(
    ("ahead", "tone", "says"),
    [
        (2, "plain", "It is less sure of pictures of no class of its own than of the others (AUROC 0."),
        (0, "bad", "tells pictures of no class from the others no better than chance (AUROC 0."),
        (-2, "bad", "It is surer of pictures of no class of its own than of the others (AUROC 0."),
    ],
)
def test_uncertainty_that_does_not_find_pictures_of_no_class_is_told(ahead, tone, says):
    rng = np.random.default_rng(4)
    true = np.array([0, 1, 2, -1] * 10)
    found = judged(true, np.maximum(true, 0), rng.normal(0, 1, 40) + ahead * (true < 0))
    told = next(one for one in findings(found) if "AUROC" in one.text)
    assert told.tone == tone
    assert says in told.text
    figures = found.to_json()
    assert figures["unknown_auroc_low"] < figures["unknown_auroc"] < figures["unknown_auroc_high"]
    low, high = auroc_interval(found.score, true < 0, seed=0)
    assert f"95 % interval {low:.3f} to {high:.3f}" in told.text


def test_the_stated_rate_is_judged_on_pictures_of_its_own_classes_alone():
    n = 200
    true = np.array([0, 1] * n + [-1] * 50)
    for flagged, tone, how in ((20, "plain", "holds"), (2, "plain", "is more than kept"), (80, "bad", "does not hold here")):
        unknown = np.arange(len(true)) < flagged
        unknown[-40:] = True
        found = replace(judged(true, np.maximum(true, 0)), unknown=unknown)
        told = next(one for one in findings(found) if "stated rate" in one.text)
        assert told.tone == tone
        assert (
            f"Of 400 pictures of its own classes it calls {100 * flagged / 400:.1f} % unknown: its stated rate of 5 % {how}," in told.text
        )
        assert "Of 50 pictures of no class of its own it calls 80.0 % unknown." in told.text


@pytest.mark.parametrize(
    ("better", "worse", "tone", "how"), [(30, 2, "good", "better than"), (3, 2, "good", "not told from"), (2, 30, "plain", "worse than")]
)
def test_a_teacher_is_told_from_only_beyond_chance(better, worse, tone, how):
    """Of 400 pictures the classifier alone is right on `better`, the teacher alone on `worse`."""
    true = np.zeros(400, int)
    said, its = true.copy(), true.copy()
    its[:better], said[better : better + worse] = 1, 1
    cost = {"params": 1, "macs": 1, "speed": {"latency_ms": 1.0}}
    found = replace(judged(true, said), teacher_said=its, costs=(cost, {"params": 2, "macs": 3, "speed": {"latency_ms": 1.0}}))
    told = next(one for one in findings(found) if "teacher" in one.text)
    assert told.tone == tone
    assert (
        f"it is {how} a network of 2.0 times its parameters and 3.0 times its multiply-adds ({(better - worse) / 4:+.2f} points"
        in told.text
    )
    low, high = found.ahead_of_teacher()
    assert low < (better - worse) / 400 < high
    assert found.to_json()["teacher"]["ahead_low"] == low


def test_no_class_is_found_least_often_where_all_are_alike():
    assert not any("least often" in one.text for one in findings(judged([0, 1, 2], [0, 1, 2])))
    assert any("It finds b least often, 0.0 % of its pictures." in one.text for one in findings(judged([0, 1], [0, 0])))


def test_costs_are_of_the_cpu_wherever_the_pictures_were_read(classifier, monkeypatch):
    moved = []
    monkeypatch.setattr("novelette.classify.evaluate.SECONDS", 0.0)
    move = Classifier.to
    monkeypatch.setattr(Classifier, "to", lambda self, device: (moved.append(device.type), move(self, device))[1])
    costs([classifier])
    assert moved == ["cpu"]


def test_a_teacher_reads_where_it_is_before_costs_move_it(classifier, folder, monkeypatch):
    done = []
    read = Classifier.read
    monkeypatch.setattr(Classifier, "read", lambda self, *given, **more: (done.append("read"), read(self, *given, **more))[1])
    monkeypatch.setattr("novelette.classify.evaluate.costs", lambda both: (done.append("costs"), tuple({} for _ in both))[1])
    evaluate(classifier, store.load(folder / "clf.teacher"), pictures_by_class(folder / "test", Where()))
    assert done == ["read", "read", "costs"]


def test_mistakes_that_cannot_be_read_any_more_are_not_said_to_be_none(classifier, folder, tmp_path):
    write(tmp_path / "across", down(3, 90))
    labelled = pictures_by_class(tmp_path, Where())
    found = evaluate(classifier, None, labelled)
    assert len(found.mistakes)
    shutil.rmtree(tmp_path / "across")
    assert "Their pictures cannot be read any more." in _mistakes(found, labelled.source)


def test_without_pictures_of_no_class_there_is_no_sentence_on_them():
    found = judged([0, 1], [0, 1])
    assert found.to_json()["unknown_auroc_low"] is None
    assert not any("no class" in one.text for one in findings(found))


def test_mistakes_come_with_the_most_certain_first(classifier, folder, tmp_path):
    write(tmp_path / "across", np.concatenate([down(3, 90), across(2, 91)]))
    write(tmp_path / "down", down(2, 92))
    found = evaluate(classifier, None, pictures_by_class(tmp_path, Where()))
    assert len(found.mistakes) == 3
    assert list(found.probability[found.mistakes]) == sorted(found.probability[found.mistakes], reverse=True)
    assert found.of_class(2) == (None, None)
    assert "4 of 7 pictures" in next(findings(found)).text


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


def test_pictures_of_one_class_alone_are_refused(tmp_path):
    write(tmp_path / "a" / "one", across(20))
    with pytest.raises(InputError, match="pictures of one class, one"):
        fit(Task("plain", Config()), tmp_path / "a", Run())


def test_a_class_that_is_taken_for_masks_is_named(folder, tmp_path, capsys):
    write(tmp_path / "no_mask", across(20))
    write(tmp_path / "mask", down(20))
    masks = r"taken for masks and left out: mask/00\.png, mask/01\.png, mask/02\.png and 17 more; if they are pictures, rename"
    with pytest.raises(InputError, match=rf"pictures of one class, no_mask: a classifier needs two or more \({masks}"):
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
        (["fit", "kdgan", "{train}", "-o", "{out}", "--pictures", "1000"], "--pictures 1,000 is not from 2 to the"),
        (["fit", "kdgan", "{train}", "-o", "{out}", "--pictures", "2"], "none of the 2 training pictures is of the class"),
        (["fit", "gan", "{train}", "-o", "{out}"], "no method 'gan' of classification"),
        (["fit", "kdgan", "{train}/down", "-o", "{out}"], "lies in no subfolder"),
        (["fit", "kdgan", "nowhere", "-o", "{out}"], "neither a folder with a subfolder for each class nor a named set"),
        (["fit", "kdgan", "{train}", "-o", "{out}", "--alpha", "1"], "--alpha"),
        (["fit", "kdgan", "{train}", "-o", "{clf}"], "exists: give --force"),
        (["evaluate", "{clf}", "{strange}"], "has pictures of the class zebra, which the classifier was never trained on"),
        (["evaluate", "{train}", "{train}"], "is not a classifier: it has no classifier.json"),
        (["predict", "{damaged}", "{train}"], "its hash is not the one in classifier.json"),
        (["predict", "{newer}", "{train}"], "was written by a newer novelette"),
        (["predict", "{foreign}", "{train}"], "is of the method 'ede-gan'"),
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


def test_a_detector_of_28_px_is_refused(folder):
    with pytest.raises(InputError, match="--size 28 is for classifiers"):
        fit_detector("knn", str(folder / "train" / "down"), size=28)


def test_a_loaded_network_scores_like_the_player(classifier):
    x = as_tensor(across(3, 4)[:, None])
    assert torch.allclose(classifier.scores(x).softmax(1), classifier.scorer.both(x)[0], atol=1e-6)
