"""The report: one page that stands alone, with the extremes and the mistakes."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from report.made_detector import MeanPicture, digits, made

from novelette import report
from novelette.data.images import Preprocessing
from novelette.data.pixels import UnreadablePicture
from novelette.data.sources import ArraySource
from novelette.errors import InputError
from novelette.evaluate import evaluate
from novelette.gallery import MOST, choose


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
    with pytest.raises(InputError, match=r"cannot write .*file exists"):
        report.write_report(tmp_path / "file", detector, e, source, title="t")
