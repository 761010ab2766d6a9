"""`novelette evaluate`: its figures, its page, and the training pictures that it compares with."""

import shutil

import numpy as np
import pytest
from cli.answers import as_json
from pictures import checks, everything_in, fitted, stripes, write, write_views

from novelette import store
from novelette.cli import main
from novelette.data.images import Preprocessing, load
from novelette.data.sources import open_source


def test_evaluate_prints_one_json_object_with_every_figure(labelled, knn, capsys):
    said = as_json(["evaluate", str(knn), str(labelled)], capsys)
    keys = "auroc auroc_low auroc_high aupr fpr95 false_alarm_rate miss_rate knn_auroc knn_cosine_auroc n_normal n_novel seconds"
    assert set(keys.split()) <= set(said)
    assert (said["n_normal"], said["n_novel"]) == (12, 12)
    assert said["auroc_low"] <= said["auroc"] <= said["auroc_high"]
    assert said["knn_cosine_auroc"] == said["auroc"]  # the detector is that very kNN
    alarms = store.load(knn).predict(labelled / "normal").novel
    assert said["false_alarm_rate"] == pytest.approx(alarms.mean())


def test_evaluate_tells_the_novel_folders_apart(tmp_path, labelled, knn, capsys):
    for folder, name in (("normal", "normal"), ("novel", "scratch"), ("novel", "pit")):
        shutil.copytree(labelled / folder, tmp_path / name)
    said = as_json(["evaluate", str(knn), str(tmp_path)], capsys)["kinds"]
    assert set(said) == {"pit", "scratch"}
    assert said["pit"] == said["scratch"]
    caught = store.load(knn).predict(tmp_path / "pit").novel
    assert (said["pit"]["pictures"], said["pit"]["called_novel"]) == (12, caught.sum())
    assert main(["evaluate", str(knn), str(tmp_path)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["by", "kind", "pictures", "called", "novel", "AUROC"] in lines
    assert ["scratch", "12", str(caught.sum())] in [line[:3] for line in lines]
    assert as_json(["evaluate", str(knn), str(labelled)], capsys)["kinds"] == {}


def test_evaluate_without_the_training_pictures_says_so_and_takes_others(tmp_path, labelled, capsys):
    source = write(tmp_path / "parts", stripes(40))
    det = fitted(tmp_path / "a.det", source)
    here = as_json(["evaluate", str(det), str(labelled)], capsys)
    source.rename(tmp_path / "moved")
    gone = as_json(["evaluate", str(det), str(labelled)], capsys)
    assert gone["knn_auroc"] is gone["knn_cosine_auroc"] is None
    assert "not at hand" in gone["note"]
    assert gone["auroc"] == here["auroc"]
    given = as_json(["evaluate", str(det), str(labelled), "--train", str(tmp_path / "moved")], capsys)
    assert given["knn_auroc"] is not None
    write(source, stripes(40, seed=3))  # other pictures have come to its place: they are not taken for the detector's own
    assert as_json(["evaluate", str(det), str(labelled)], capsys)["knn_auroc"] is None


def test_a_class_is_of_the_named_set_whether_it_is_evaluated_or_the_neighbours_are_of_it(tmp_path, knn, labelled, parts, capsys):
    det = fitted(tmp_path / "3.det", "digits", "knn", "--normal", "3")
    own = as_json(["evaluate", str(det), "digits", "--normal", "3"], capsys)
    others = as_json(["evaluate", str(det), "digits", "--normal", "3", "--train", str(parts)], capsys)
    assert (others["auroc"], others["n_novel"]) == (own["auroc"], own["n_novel"])
    assert others["knn_auroc"] < own["knn_auroc"]  # stripes are no neighbours of digits
    here = as_json(["evaluate", str(knn), str(labelled)], capsys)
    digits = as_json(["evaluate", str(knn), str(labelled), "--train", "digits", "--normal", "3"], capsys)
    assert (digits["auroc"], digits["n_normal"]) == (here["auroc"], here["n_normal"])
    assert digits["knn_auroc"] is not None


def test_evaluate_on_the_set_of_the_fit_takes_its_class_and_protocol_and_says_when_others_are_given(tmp_path, capsys):
    det = fitted(tmp_path / "3.det", "digits", "knn", "--normal", "3", "--protocol", "gpnd", "--protocol-seed", "4")
    own = as_json(["evaluate", str(det), "digits"], capsys)
    spelled = as_json(["evaluate", str(det), "digits", "--normal", "3", "--protocol", "gpnd", "--protocol-seed", "4"], capsys)
    assert (own["auroc"], own["n_normal"], own["note"]) == (spelled["auroc"], spelled["n_normal"], None)
    assert as_json(["evaluate", str(det), "digits", "--train", "digits"], capsys)["knn_auroc"] is not None
    for said, title in (
        (["--normal", "4", "--protocol", "gpnd", "--protocol-seed", "4"], "normal = 4, gpnd, drawn by seed 4"),
        (["--normal", "3", "--protocol", "gpnd"], "normal = 3, gpnd, drawn by seed 0"),
        (["--normal", "3"], "normal = 3, standard"),
    ):
        note = as_json(["evaluate", str(det), "digits", *said], capsys)["note"]
        assert f"fitted on digits, normal = 3, gpnd, drawn by seed 4; these pictures are of digits, {title}." in note


def test_evaluate_counts_other_views_of_what_training_saw(tmp_path, capsys):
    folder = tmp_path / "parts"
    for i, picture in enumerate(write_views(folder)):
        picture.rename(folder / f"part{i // 3:02}-{i % 3}.png")
    det = fitted(tmp_path / "a.det", folder, "knn", "--group-by", "part[0-9]+")
    trained = store.load(det).scorer.state()["images"][:, 0].numpy()
    write(tmp_path / "labelled" / "novel", checks(3))
    normal = write(tmp_path / "labelled" / "normal", np.concatenate([trained[:1], stripes(3, seed=5)]))
    for old, name in zip(sorted(normal.iterdir()), ("part1-0.png", "part1-1.png", "part1-2.png", "part2-0.png"), strict=True):
        old.rename(normal / name)
    note = as_json(["evaluate", str(det), str(tmp_path / "labelled")], capsys)["note"]
    assert "3 of these 7 pictures are also among the training pictures, or of a group with one that is" in note
    capsys.readouterr()
    weigh = ["--miss-cost", "5", "--novel-prior", "0.2", "-o", str(tmp_path / "b.det")]
    assert main(["calibrate", str(det), str(tmp_path / "labelled"), *weigh]) == 0
    assert "calibrated on 1 normal picture and 3 novel" in capsys.readouterr().out  # part2-0 alone is new


def test_looking_for_the_training_pictures_never_downloads(tmp_path, knn, monkeypatch):
    from novelette.data import named
    from novelette.data.select import Where
    from novelette.evaluate_saved import training_pixels

    monkeypatch.delenv("NOVELETTE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    asked = []
    monkeypatch.setattr(named, "fetch", lambda *args: asked.append(args))
    detector = store.load(knn)
    detector.provenance["source"] |= {"source": "mnist", "normal": "3"}
    assert training_pixels(detector, None, Where()) is None
    assert asked == []


def test_neighbours_are_the_pictures_that_the_detector_trained_on(labelled, gan, knn, parts):
    from novelette.data.select import Where
    from novelette.evaluate_saved import training_pixels

    detector = store.load(gan)
    neighbours = training_pixels(detector, None, Where())
    everything = load(open_source(parts), Preprocessing())
    assert len(neighbours) == detector.provenance["n_training"] == len(everything.pixels) - len(detector.calibration)
    np.testing.assert_array_equal(neighbours[:, 0], store.load(knn).scorer.state()["images"].numpy())


def test_evaluate_writes_a_page_and_says_where(tmp_path, labelled, gan, capsys):
    capsys.readouterr()
    assert main(["evaluate", str(gan), str(labelled), "-o", str(tmp_path / "made" / "report")]) == 0
    out, err = capsys.readouterr()
    assert "AUROC" in out
    assert err == f"report: {tmp_path / 'made' / 'report' / 'index.html'}\n"
    assert set(everything_in(tmp_path)) == {"made", "made/report", "made/report/index.html"}
