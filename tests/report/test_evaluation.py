"""Evaluating a detector: figures of its own scores, the kNNs beside it, kinds, and what is not there."""

import json
import re
from copy import copy

import numpy as np
import pytest
from PIL import Image
from report.made_detector import MeanPicture, digits
from sklearn.metrics import roc_auc_score

from novelette import metrics, report
from novelette.data.images import load
from novelette.data.sources import open_source
from novelette.errors import InputError
from novelette.evaluate import evaluate, knns
from novelette.verdict import kind_rows

KEYS = [
    *["auroc", "auroc_low", "auroc_high", "aupr", "fpr95", "precision", "false_alarm_rate", "miss_rate", "knn_auroc", "knn_cosine_auroc"],
    *["knn_difference", "knn_difference_error", "knn_cosine_difference", "knn_cosine_difference_error", "n_normal", "n_novel"],
    *["seconds", "threshold", "pixel_auroc", "mean_picture_auroc", "n_masks", "kinds", "unreadable", "note"],
]


def test_figures_are_those_of_the_detectors_own_scores(evaluated):
    detector, source, e = evaluated
    pixels = load(source, detector.preprocessing).pixels
    np.testing.assert_array_equal(e.scores, detector.score_pixels(pixels))
    assert e.auroc == pytest.approx(roc_auc_score(e.labels, e.scores))
    assert e.auroc_low < e.auroc < e.auroc_high
    assert e.false_alarm_rate == pytest.approx((e.scores[e.labels == 0] > detector.threshold).mean())
    assert e.miss_rate == pytest.approx((e.scores[e.labels == 1] <= detector.threshold).mean())
    assert (e.n_normal, e.n_novel, e.names[0], e.notes) == (58, 80, "p/000<b>.png", ())


def test_knns_agree_with_a_plain_loop(evaluated):
    detector, source, e = evaluated
    train = detector.train.reshape(len(detector.train), -1) / 127.5 - 1
    queries = load(source, detector.preprocessing).pixels.reshape(len(source), -1) / 127.5 - 1

    def nearest_five(a, b):
        return [np.sort(np.sqrt(((b - row) ** 2).sum(1)))[:5].mean() for row in a]

    def direction(rows):
        rows = rows - rows.mean(1, keepdims=True)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    assert e.knn_auroc == pytest.approx(metrics.auroc(nearest_five(queries, train), e.labels))
    assert e.knn_cosine_auroc == pytest.approx(metrics.auroc(nearest_five(direction(queries), direction(train)), e.labels))
    expected = metrics.auroc_difference(e.scores, nearest_five(queries, train), e.labels)
    assert (e.knn_difference, e.knn_difference_error) == pytest.approx(expected)


def test_knn_scores_a_picture_by_its_worst_tile_against_all_training_tiles():
    rng = np.random.default_rng(0)
    train = rng.integers(0, 20, (3, 4, 1, 32, 32)).astype(np.uint8)
    pixels = train[:2].copy()
    pixels[1, 2] = 255  # one odd tile
    for score in knns(train).values():
        alone = np.array([[score(tile[None, None])[0] for tile in picture] for picture in pixels])
        np.testing.assert_allclose(score(pixels), alone.max(1), rtol=1e-5)
    euclidean = knns(train)["knn_auroc"](pixels)
    assert euclidean[1] > 5 * euclidean[0]


def test_json_has_the_promised_keys_and_nothing_that_json_does_not_know(evaluated):
    out = evaluated[2].to_json()
    assert list(out) == KEYS
    assert out["note"] is None
    assert out["unreadable"] == 0
    assert json.loads(json.dumps(out, allow_nan=False)) == out


def test_without_training_pictures_knn_is_null_with_a_sentence(evaluated):
    detector, source, e = evaluated
    out = evaluate(detector, source, e.labels, train=None).to_json()
    assert out["knn_auroc"] is None
    assert out["knn_cosine_auroc"] is None
    assert "not at hand" in out["note"]
    out = evaluate(detector, source, e.labels, train=detector.train[:3]).to_json()
    assert out["knn_auroc"] is None
    assert "3 training pictures are too few" in out["note"]


def test_one_kind_of_pictures_gives_null_figures_and_a_sentence(evaluated):
    detector, source, _ = evaluated
    out = evaluate(detector, source, np.zeros(len(source)), train=detector.train).to_json()
    assert [out[k] for k in ("auroc", "auroc_low", "aupr", "fpr95", "knn_auroc", "miss_rate")] == [None] * 6
    assert out["false_alarm_rate"] is not None
    assert "no novel pictures" in out["note"]


def test_without_a_threshold_the_rates_are_null(evaluated):
    _, source, e = evaluated
    out = evaluate(MeanPicture(digits()[0], rate=0.001), source, e.labels, train=None).to_json()
    assert [out[k] for k in ("threshold", "precision", "false_alarm_rate", "miss_rate")] == [None] * 4
    assert out["auroc"] == e.auroc
    assert "novelette calibrate" in out["note"]


def test_unreadable_pictures_are_left_out_and_named(tmp_path):
    good, pictures, labels = digits()
    for i, picture in enumerate(pictures[50:70]):
        Image.fromarray(picture).save(tmp_path / f"{i:02d}.png")
    (tmp_path / "03.png").write_bytes(b"no picture")
    detector, source = MeanPicture(good), open_source(tmp_path)
    e = evaluate(detector, source, labels[50:70], train=None)
    assert len(e.scores) == len(e.labels) == 19
    assert 3 not in e.indices
    assert list(e.unreadable) == ["03.png"]
    assert e.labels.tolist() == [0] * 7 + [1] * 12
    assert e.to_json()["unreadable"] == 1
    page = report.render(detector, e, source, title="t")
    assert "Unreadable pictures" in page
    assert "1 picture could not be read and was left out" in page


def test_novel_pictures_by_kind_agree_with_a_plain_loop(evaluated):
    detector, source, e = evaluated
    names = ["zero" if label == 0 else f"<{'abc'[i % 3]}>" for i, label in enumerate(e.labels)]
    found = evaluate(detector, source, e.labels, train=None, kinds=names)
    normal = e.scores[e.labels == 0]
    for kind in found.kinds:
        its = e.scores[[name == kind.name for name in names]]
        assert (kind.pictures, kind.called_novel) == (len(its), (its > detector.threshold).sum())
        assert kind.auroc == pytest.approx(np.mean([(own > other) + (own == other) / 2 for own in its for other in normal]))
    assert sorted(kind.name for kind in found.kinds) == ["<a>", "<b>", "<c>"]
    assert [kind.auroc for kind in found.kinds] == sorted(kind.auroc for kind in found.kinds)  # the hardest first
    told = found.to_json()["kinds"]["<a>"]
    assert told["share"] == told["called_novel"] / told["pictures"]
    assert (found.auroc, found.miss_rate) == (e.auroc, e.miss_rate)
    page = report.render(detector, found, source, title="t")
    assert "By kind" in page
    assert "&lt;a&gt;" in page


def test_pictures_of_one_kind_have_no_table_of_kinds(evaluated):
    detector, source, e = evaluated
    alone = evaluate(detector, source, e.labels, train=None, kinds=["normal" if label == 0 else "novel" for label in e.labels])
    assert alone.kinds == e.kinds == ()
    assert "By kind" not in report.render(detector, alone, source, title="t")


def test_kinds_without_a_threshold_have_their_auroc_alone(evaluated):
    _, source, e = evaluated
    names = [f"{'ab'[i % 2]}" for i in range(len(e.labels))]
    found = evaluate(MeanPicture(digits()[0], rate=0.001), source, e.labels, train=None, kinds=names)
    assert [kind.called_novel for kind in found.kinds] == [None, None]
    assert {row[2] for row in kind_rows(found)} == {""}


def test_pictures_that_were_trained_on_are_counted(evaluated):
    detector, source, e = evaluated
    detector = copy(detector)
    detector.seen = load(source, detector.preprocessing).hashes[:4]
    note = evaluate(detector, source, e.labels, train=None).to_json()["note"]
    assert re.search(r"\b[4-9] of these 138 pictures are also among the training pictures", note)


def test_labels_that_do_not_fit_are_refused_with_a_sentence(evaluated):
    detector, source, e = evaluated
    for labels, says in ((e.labels[:-1], "as many labels"), (np.full(len(source), 7), "the label 7 is neither 0")):
        with pytest.raises(InputError, match=says):
            evaluate(detector, source, labels, train=None)
