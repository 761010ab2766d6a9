"""Evaluating a classifier: figures by hand, honest sentences, costs and mistakes."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from classify.made import across, down
from pictures import write

from novelette.classify import store
from novelette.classify.classifier import Classifier
from novelette.classify.evaluate import Evaluation, costs, evaluate, findings
from novelette.classify.report import _mistakes
from novelette.data.select import Where, pictures_by_class
from novelette.metrics import auroc_interval


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
    assert first.text.endswith("All of them are of the class b, so they do not show whether it tells classes apart.")


@pytest.mark.parametrize(
    ("ahead", "tone", "says"),
    [
        (2, "plain", "It is less sure of pictures of none of its classes than of the others (AUROC 0."),
        (0, "bad", "Its uncertainty tells pictures of none of its classes from the others no better than chance (AUROC 0."),
        (-2, "bad", "It is surer of pictures of none of its classes than of the others (AUROC 0."),
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
            f"Of 400 pictures of its own classes it calls {100 * flagged / 400:.1f} % unknown: its stated rate of 5 % {how} (" in told.text
        )
        assert "Of 50 pictures of none of its classes it calls 80.0 % unknown." in told.text


@pytest.mark.parametrize(
    ("better", "worse", "tone", "how"),
    [(30, 2, "good", "better than"), (3, 2, "good", "not distinguishable from"), (2, 30, "plain", "worse than")],
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
