"""A fitted classifier: what it says of pictures, when it says `unknown`, and how it is saved."""

import math

import numpy as np
import pytest
import torch
from classify.made import across, down, fitted, noisy

from novelette.classify import players, store
from novelette.classify.certainty import PASSES, Reading, Scorer
from novelette.classify.fitting import Task, gather
from novelette.classify.kdgan import Config
from novelette.data.images import Preprocessing, as_tensor
from novelette.data.select import Where, pictures_by_class
from novelette.errors import InputError
from novelette.fitting import fit as fit_detector


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
    teacher = store.teacher_of(folder / "clf")
    assert teacher.player == "lenet"
    assert teacher.cost().macs > classifier.cost().macs
    store.save(classifier, tmp_path / "clf")
    assert store.teacher_of(tmp_path / "clf") is None
    fitted(tmp_path / "clf.teacher", folder / "train", "plain")  # something else that stands there
    assert store.teacher_of(tmp_path / "clf") is None


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


def test_a_detector_of_28_px_is_refused(folder):
    with pytest.raises(InputError, match="--size 28 is for classifiers"):
        fit_detector("knn", str(folder / "train" / "down"), size=28)


def test_a_loaded_network_scores_like_the_player(classifier):
    x = as_tensor(across(3, 4)[:, None])
    assert torch.allclose(classifier.scores(x).softmax(1), classifier.scorer.both(x)[0], atol=1e-6)
