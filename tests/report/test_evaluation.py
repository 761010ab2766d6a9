"""Evaluating a detector and reporting it: figures, the kNNs beside it, honest sentences, a page that stands alone."""

import json
import re
from copy import copy
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import BaseModel
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from novelette import calibrate, charts, metrics, report
from novelette.data.images import Preprocessing, load
from novelette.data.pixels import UnreadablePicture
from novelette.data.sources import ArraySource, open_source
from novelette.errors import InputError
from novelette.evaluate import Evaluation, evaluate, knns
from novelette.gallery import MOST, choose
from novelette.heatmap import smooth, to_picture
from novelette.verdict import kind_rows, verdict

KEYS = [
    *["auroc", "auroc_low", "auroc_high", "aupr", "fpr95", "precision", "false_alarm_rate", "miss_rate", "knn_auroc", "knn_cosine_auroc"],
    *["knn_difference", "knn_difference_error", "knn_cosine_difference", "knn_cosine_difference_error", "n_normal", "n_novel"],
    *["seconds", "threshold", "pixel_auroc", "mean_picture_auroc", "n_masks", "kinds", "unreadable", "note"],
]


class Config(BaseModel):
    widths: tuple[int, ...] = (2, 4)
    learning_rate: float = 0.002


GREY_32 = Preprocessing()


class MeanPicture:
    """Scores by the distance to the mean normal picture: a detector that needs no fitting."""

    method, config, seed = "mean-picture", Config(), 3

    def __init__(self, pictures, preprocessing=GREY_32, rate=0.05):
        self.preprocessing, self.false_alarm_rate = preprocessing, rate
        images = load(ArraySource(pictures), preprocessing).pixels
        self.train = images[len(images) // 3 :]
        self.mean = self.train.mean(axis=(0, 1))
        self.calibration = np.sort(self.score_pixels(images[: len(images) // 3]).astype(np.float64))
        self.provenance = {"source": {"path": "good <parts>", "pictures": len(self.train)}, "versions": {"numpy": "2"}}

    @property
    def threshold(self):
        return calibrate.threshold(self.calibration, self.false_alarm_rate)

    def _error(self, images):
        return np.abs(images.astype(np.float32) - self.mean) / 255

    def score_pixels(self, pixels):
        return self._error(pixels).mean(axis=(2, 3, 4)).max(axis=1).astype(np.float32)

    seen = np.zeros(0, np.uint64)

    def saw(self, hashes):
        return np.isin(hashes, self.seen)

    def heatmap(self, picture):
        from novelette.data.images import prepare

        maps = self._error(prepare(picture, self.preprocessing)).mean(axis=1)
        return to_picture(smooth(maps), self.preprocessing, picture.shape[:2])


def digits():
    """(normal zeros for fitting, pictures to evaluate, their labels): scikit-learn's digits, 8 x 8."""
    data = load_digits()
    images, zero = (data.images * 15).astype(np.uint8), data.target == 0
    return images[zero][:120], np.concatenate([images[zero][120:], images[~zero][:80]]), np.array([0] * 58 + [1] * 80)


@pytest.fixture(scope="module")
def evaluated():
    torch.set_num_threads(1)
    good, pictures, labels = digits()
    detector = MeanPicture(good)
    source = ArraySource(pictures, names=[f"p/{i:03d}<b>.png" for i in range(len(pictures))])
    return detector, source, evaluate(detector, source, labels, train=detector.train)


def made(scores, labels, threshold=0.5, **changes):
    """An Evaluation of the given scores, without pictures."""
    scores, labels = np.asarray(scores, np.float32), np.asarray(labels)
    both = len(set(labels.tolist())) == 2
    low, high = metrics.auroc_interval(scores, labels, seed=0) if both else (None, None)
    alarms, misses = metrics.rates_at(scores, labels, threshold) if threshold is not None else (np.nan, np.nan)
    fields = {
        "names": tuple(f"n{i}" for i in range(len(scores))),
        "indices": np.arange(len(scores)),
        "scores": scores,
        "labels": labels,
        "threshold": threshold,
        "auroc": metrics.auroc(scores, labels) if both else None,
        "auroc_low": low,
        "auroc_high": high,
        "aupr": metrics.aupr(scores, labels) if both else None,
        "fpr95": metrics.fpr_at_tpr(scores, labels) if both else None,
        "precision": None,
        "false_alarm_rate": None if np.isnan(alarms) else alarms,
        "miss_rate": None if np.isnan(misses) else misses,
        "kinds": (),
        "n_normal": int((labels == 0).sum()),
        "n_novel": int((labels == 1).sum()),
        "seconds": 1.0,
        "unreadable": {},
        "notes": (),
    }
    return Evaluation(**fields | changes)


def knn(its, scores, labels):
    """The fields of an Evaluation on a kNN of such scores."""
    difference, error = metrics.auroc_difference(scores, its, labels)
    error = None if np.isnan(error) else error
    return {"knn_auroc": metrics.auroc(its, labels), "knn_difference": difference, "knn_difference_error": error}


class Calibration:
    method, false_alarm_rate, calibration = "x", 0.1, np.linspace(0, 0.55, 99)


def sentences(evaluation):
    return {f.text: f.tone for f in verdict(Calibration(), evaluation)}


# ---- evaluate


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
    for labels in (e.labels[:-1], np.full(len(source), 7)):
        with pytest.raises(InputError, match="as many labels"):
            evaluate(detector, source, labels, train=None)


# ---- verdict


def test_verdict_says_whether_the_stated_rate_holds():
    # 99 calibration scores, 10 %: the threshold is the tenth highest; of 50 normals 1 to 11 alarms are within chance.
    assert metrics.false_alarms_by_chance(0.1, 99, 50) == (1, 11)
    for alarms, words, tone in [
        (5, "holds: 1 to 11 of 50", "good"),
        (20, "does not hold", "bad"),
        (0, "more than kept", "plain"),
    ]:
        scores = np.r_[np.ones(alarms), np.zeros(50 - alarms), np.ones(50)]
        found = sentences(made(scores, [0] * 50 + [1] * 50))
        assert [t for text, t in found.items() if words in text] == [tone]
        assert any(f"raises {alarms} false alarms on 50 normal pictures" in text for text in found)


def test_verdict_says_when_the_detector_loses_to_knn_or_to_chance():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 100)
    good = rng.normal(1.5 * labels)
    assert any(
        "loses to plain" in text and tone == "bad"
        for text, tone in sentences(made(good, labels, **knn(good + labels, good, labels))).items()
    )
    assert any("beats plain" in text for text in sentences(made(good, labels, **knn(rng.random(200), good, labels))))
    near = good + 0.1 * rng.normal(size=200)
    level = sentences(made(good, labels, **knn(near, good, labels)))
    side = "behind" if metrics.auroc(near, labels) > metrics.auroc(good, labels) else "ahead of"
    assert any(f"is {side}" in text and "sampling error" in text for text in level)
    assert any("exactly as well" in text for text in sentences(made(good, labels, **knn(2 * good, good, labels))))
    assert any("better than chance" in text and tone == "bad" for text, tone in sentences(made(rng.random(200), labels)).items())
    assert any("worse than chance" in text for text in sentences(made(-good, labels)))


def test_verdict_on_knn_is_by_the_difference_on_the_same_pictures_not_by_the_detectors_own_interval():
    """Scores that go along with a kNN's differ from it by more than chance though its AUROC lies within the detector's interval."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 200)
    its = rng.normal(labels)
    better = its + 0.1 * labels
    e = made(better, labels, **knn(its, better, labels))
    assert e.auroc_low < e.knn_auroc < e.auroc_high
    assert any("beats plain" in text for text in sentences(e))
    assert any("loses to plain" in text for text in sentences(made(its, labels, **knn(better, its, labels))))
    one = made(better[199:], labels[199:], **knn(its[199:], better[199:], labels[199:]))  # one normal picture: no error is known
    assert one.knn_difference_error is None
    assert not any("beats plain" in text or "loses to plain" in text for text in sentences(one))


# ---- charts


def test_charts_survive_constant_negative_and_extreme_scores():
    labels = np.array([0, 0, 1, 1])
    for scores in ([1, 1, 1, 1], [-3, -2, -1, 0], [1e-6, 1, 10, 1e6], [0, 0, 0, 1e-30]):
        for threshold in (None, 1.0):
            svg = charts.histogram_chart(np.array(scores, np.float32), labels, threshold)
            assert "nan" not in svg
            assert "inf" not in svg
    assert "logarithmic" in charts.histogram_chart(np.array([0.01, 1, 2, 9]), labels, 0.5)


def test_roc_chart_of_many_scores_stays_small():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 20_000)
    svg = charts.roc_chart(rng.normal(labels), labels, (0.1, 0.5))
    assert len(svg) < 20_000
    assert f"{charts.WIDTH - charts.RIGHT:.1f},{charts.TOP:.1f}" in svg


# ---- report


class Page(HTMLParser):
    """Collects tags and checks that they nest."""

    VOID = frozenset(["meta", "img", "br", "wbr", "line", "circle", "polygon", "polyline", "link"])

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.sources = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)


def test_report_is_one_page_that_stands_alone(evaluated, tmp_path):
    detector, source, e = evaluated
    path = report.write_report(tmp_path / "report", detector, e, source, title="Zeros & <script>alert(1)</script>")
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert path == tmp_path / "report" / "index.html"
    assert [p.name for p in path.parent.iterdir()] == ["index.html"]
    assert "script" not in page.tags
    assert page.tags.count("svg") == 2
    assert page.sources
    assert all(s.startswith("data:image/") for s in page.sources)
    assert "http" not in re.sub(r'http-equiv="[^"]*"', "", text)
    assert "$" not in text
    assert "good &lt;parts&gt;" in text
    assert "&lt;b&gt;.png" in text
    assert len(text) < 5_000_000


def test_report_of_large_noisy_colour_pictures_stays_under_five_megabytes(evaluated):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 40)
    pictures = rng.integers(0, 256, (80, 300, 400, 3)).astype(np.uint8)  # noise: the worst that JPEG can meet
    detector = MeanPicture(digits()[0], Preprocessing(colour="convert", tiles=2))
    source = ArraySource(pictures)
    e = made(rng.normal(labels), labels)
    assert len(report.render(detector, e, source, title="noise")) < 5_000_000


def test_galleries_hold_the_extremes_and_the_mistakes():
    scores, labels = [0.9, 0.1, 0.8, 0.3, 0.6, 0.2], [1, 0, 0, 1, 0, 1]
    chosen = {c.title: c.chosen for c in choose(made(scores, labels))}
    assert chosen["Most novel"] == [0, 2, 4, 3, 5, 1]
    assert chosen["Least novel"] == [1, 5, 3, 4, 2, 0]
    assert chosen["Misses"] == [5, 3]
    assert chosen["False alarms"] == [2, 4]
    chosen = {c.title: c.chosen for c in choose(made(scores, labels, threshold=None))}
    assert chosen["Novel, yet low"] == [5, 3, 0]
    assert chosen["Normal, yet high"] == [2, 4, 1]
    assert max(len(c.chosen) for c in choose(made(np.arange(50), [0, 1] * 25))) == MOST <= 12


def test_report_goes_without_heat_maps_pictures_that_vanished_and_novel_ones(evaluated):
    detector, source, e = evaluated

    class Vanished:
        def __init__(self):
            self.names = source.names

        def __len__(self):
            return len(source)

        def read(self, index):
            raise UnreadablePicture("it is gone")

    class Blind(MeanPicture):
        def heatmap(self, picture):
            return None

    assert "<img" not in report.render(detector, e, Vanished(), title="t")
    blind = report.render(Blind(digits()[0]), e, source, title="t")
    assert "<img" in blind
    assert "Heat maps" not in blind
    alone = evaluate(detector, source, np.zeros(len(source)), train=None)
    assert Page(report.render(detector, alone, source, title="t")).tags.count("svg") == 1
    untold = MeanPicture(digits()[0], rate=0.001)
    Page(report.render(untold, evaluate(untold, source, e.labels, train=None), source, title="t"))


def test_a_report_that_cannot_be_written_says_so_and_leaves_the_old_one(evaluated, tmp_path, monkeypatch):
    detector, source, e = evaluated
    path = report.write_report(tmp_path, detector, e, source, title="old")
    old = path.read_text()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError, match="the disk is full"):
        report.write_report(tmp_path, detector, e, source, title="new")
    assert path.read_text() == old
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        report.write_report(tmp_path / "file", detector, e, source, title="t")
