"""The course of training, and what batch sizes do, by hand."""

import pytest
from table.made_records import CURVE, GAN, HEAD, KNN, rows

from novelette.bench.batch_sizes import batch_sizes
from novelette.bench.course import course


def test_course_by_hand(place):
    text = HEAD + "seeds = [0, 1]\ncurve = 6\ncurve_every = 5\n" + GAN
    aurocs = {("GAN", normal, seed): 0.99 for normal in "01" for seed in (0, 1)}
    found = place.records(place.bench(text), aurocs, curve=lambda run: [[step, a + run.seed / 100] for step, a in CURVE])
    section = course(found)
    # last fifth: from step 80 on: .6, .7, .8, std .1; seed 1 lies .01 above: last .8 and .81, std sqrt(2 · .005²) = .0071
    assert rows(section.text)[2] == ["GAN", "0.8050 ± 0.0071 (2)", "0.9550 ± 0.0071 (2)", "0.1000 ± 0.0000 (2)"]
    assert "one in 5 of the test images" in section.text
    (line,) = section.plots[0].panels["0"]
    assert list(line.x) == [20, 40, 60, 80, 90, 100]
    assert list(line.y) == pytest.approx([0.505, 0.905, 0.955, 0.605, 0.705, 0.805])
    assert course(place.records(place.bench(HEAD + KNN), {("kNN", "0", 0): 0.5})) is None


def test_spread_is_blank_where_the_last_fifth_has_one_point(place):
    found = place.records(place.bench(HEAD + GAN), {("GAN", "0", 0): 0.9}, curve=[[50, 0.8], [100, 0.9]])
    assert rows(course(found).text)[2][-1] == ""


def gan(label, batch, pipeline="ede", more=""):
    config = f'{{ pipeline = "{pipeline}", batch_size = {batch}{more} }}'
    return f'[[detectors]]\nlabel = "{label}"\nmethod = "ede-gan"\nconfig = {config}\n'


def test_batch_sizes_by_hand(place):
    text = HEAD + 'published = "pkdgan-pipelines"\n'
    figures = {}
    for pipeline, at_one, at_four in (("ede", 0.9, 0.8), ("ed", 0.7, 0.75), ("ed-hat", 0.72, 0.6)):
        for batch, auroc in ((1, at_one), (4, at_four)):
            text += gan(f"{pipeline} {batch}", batch, pipeline)
            figures |= {(f"{pipeline} {batch}", "0", 0): auroc, (f"{pipeline} {batch}", "1", 0): auroc + 0.02}
    found = place.records(place.bench(text), figures, curve=[[1, 0.95], [2, 0.5]])
    section = batch_sizes(found)
    table = rows(section.text)
    assert table[0] == ["detector", "normalization", "epoch", "batch 1", "batch 4"]
    assert table[2] == ["EDE-GAN", "per-image normalization", "LAST", "0.9100", "0.8100"]
    assert table[3] == ["EDE-GAN", "per-image normalization", "BEST (peeks)", "0.9500", "0.9500"]
    # at batch 1: .91 against .73 (EDÊ) and .71 (ED); at their best .91 against .76 (ED at 4); EDÊ .73 against ED .71, at best .73 and .76
    name = "EDE-GAN over the better of the two others"
    assert table[-2] == [name, "per-image normalization", "+18.00 (batch 1)", "+15.00", "36.92"]
    assert table[-1] == ["EDÊ-GAN over ED-GAN", "per-image normalization", "+2.00 (batch 1)", "-3.00", "4.66"]
    lines = section.plots[0].panels["per-image normalization"]
    assert [(line.label, line.dashed) for line in lines[:2]] == [("EDE-GAN", False), ("EDE-GAN", True)]


def test_network_with_batchnorm_by_its_running_averages_is_a_line_of_its_own(place):
    text = HEAD + gan("one", 1, more=', norm = "batch"') + gan("four", 4, more=', norm = "batch"')
    aurocs = {(label, normal, 0): 0.9 for label in ("one", "four") for normal in "01"}
    found = place.records(place.bench(text), aurocs, running={"auroc": 0.6, "curve": [[1, 0.65], [2, 0.55]]})
    table = rows(batch_sizes(found).text)
    assert table[2][1:] == ["BatchNorm, batch statistics", "LAST", "0.9000", "0.9000"]
    assert table[3][1:] == ["BatchNorm, running averages", "LAST", "0.6000", "0.6000"]
    assert table[4][1:] == ["BatchNorm, running averages", "BEST (peeks)", "0.6500", "0.6500"]


def test_batch_sizes_compares_only_rows_that_are_otherwise_alike(place):
    text = HEAD + gan("recipe", 8) + gan("batch 2", 2) + gan("wide", 8, more=', widths = "16"')
    found = place.records(place.bench(text), {("recipe", "0", 0): 0.9, ("batch 2", "0", 0): 0.8, ("wide", "0", 0): 0.99})
    table = rows(batch_sizes(found).text)
    assert table[2:] == [["EDE-GAN", "per-image normalization", "LAST", "0.8000", "0.9000"]]
    assert batch_sizes(place.records(place.bench(HEAD + gan("a", 8) + gan("b", 8, more=", steps = 5")), {("a", "0", 0): 0.9})) is None
