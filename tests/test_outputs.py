"""Tables of scores and heat maps: what stands in them, and where they are written."""

import csv
import json
import os

import numpy as np
import pytest
from pictures import assert_refused, checks, everything_in, fitted, stripes, write
from PIL import Image

from novelette import heatmap, outputs
from novelette.cli import main
from novelette.data.sources import open_source
from novelette.detector import Predictions
from novelette.files import write_file
from novelette.store import load


@pytest.fixture(scope="module")
def det(tmp_path_factory):
    folder = tmp_path_factory.mktemp("det")
    return fitted(folder / "knn.det", write(folder / "parts", stripes(40)))


@pytest.fixture
def new(tmp_path):
    """Nested folders, of which two hold a picture of the same name, and one picture is novel."""
    write(tmp_path / "new", stripes(2, seed=5))
    write(tmp_path / "new" / "b" / "deep", checks(1))
    write(tmp_path / "new" / "a", stripes(1, seed=6))
    return tmp_path / "new"


def predictions(**changes):
    said = {
        "names": ["a, b.png", 'c".png'],
        "score": np.array([0.1, 2.5], np.float32),
        "p_value": np.array([0.5, 0.0625]),
        "novel": np.array([False, True]),
        "unreadable": {},
    }
    return Predictions(**(said | changes))


def test_csv_by_hand():
    assert outputs.csv_text(predictions()) == (
        "path,score,p_value,novel\n"
        '"a, b.png",0.10000000149011612,0.5,false\n'  # the float32 0.1, in full
        '"c"".png",2.5,0.0625,true\n'
    )


def test_csv_without_calibration_leaves_the_verdicts_empty():
    text = outputs.csv_text(predictions(p_value=np.full(2, np.nan), novel=None))
    assert [row[2:] for row in csv.reader(text.splitlines()[1:])] == [["", ""], ["", ""]]


def test_json_lines_by_hand(tmp_path):
    outputs.write(predictions(p_value=np.array([np.nan, 0.0625]), novel=None), tmp_path / "a.jsonl")
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == [
        {"path": "a, b.png", "score": float(np.float32(0.1)), "p_value": None, "novel": None},
        {"path": 'c".png', "score": 2.5, "p_value": 0.0625, "novel": None},
    ]


def test_sentence_on_one_picture():
    assert outputs.sentence(predictions(), 1) == 'c".png: score 2.5, p = 0.0625, novel'
    assert outputs.sentence(predictions(), 0) == "a, b.png: score 0.1, p = 0.5, normal"
    assert outputs.sentence(predictions(p_value=np.full(2, np.nan), novel=None), 1) == 'c".png: score 2.5'


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_scores_are_written_in_input_order_as_python_gives_them(ending, det, new, tmp_path, capsys):
    output = tmp_path / "made" / f"scores.{ending}"
    assert main(["score", str(det), str(new), "-o", str(output)]) == 0
    said = load(det).predict(str(new))
    assert f"4 pictures, {said.novel.sum()} novel" in capsys.readouterr().out
    text = output.read_text()
    rows = list(csv.DictReader(text.splitlines())) if ending == "csv" else [json.loads(line) for line in text.splitlines()]
    assert [row["path"] for row in rows] == ["00.png", "01.png", "a/00.png", "b/deep/00.png"] == said.names
    assert [np.float32(row["score"]) for row in rows] == said.score.tolist()
    np.testing.assert_allclose([float(row["p_value"]) for row in rows], said.p_value, rtol=1e-5)  # CSV has six digits
    assert [row["novel"] in (True, "true") for row in rows] == said.novel.tolist()
    assert said.novel[3]  # the chequered one


def test_scores_without_an_output_are_printed_as_csv(det, new, capsys):
    capsys.readouterr()
    assert main(["score", str(det), str(new)]) == 0
    assert capsys.readouterr().out == outputs.csv_text(load(det).predict(str(new)))


def test_one_picture_without_an_output_prints_one_line(det, new, capsys):
    capsys.readouterr()
    assert main(["score", str(det), str(new / "b" / "deep" / "00.png")]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert "00.png: score " in out
    assert out.endswith(", novel\n")
    assert err == ""


def test_heat_maps_of_every_readable_picture_in_the_same_nested_folders(det, new, tmp_path, capsys):
    (new / "a" / "broken.png").write_bytes(b"\x89PNG")
    maps = tmp_path / "maps"
    assert main(["score", str(det), str(new), "--heatmaps", str(maps), "-o", str(tmp_path / "a.csv")]) == 3
    written = {name for name, content in everything_in(maps).items() if content}
    assert written == {"00.png.png", "01.png.png", "a/00.png.png", "b/deep/00.png.png"}
    for name in written:
        with Image.open(maps / name) as shown:
            assert (shown.size, shown.mode) == ((32, 32), "RGB")


@pytest.mark.parametrize("name", ["../up.png", "/root.png", "a/../../../up.png", "..", "//two.png"])
def test_heat_map_of_no_name_escapes_its_folder(name, tmp_path):
    below = (tmp_path / outputs._below(name)).resolve()
    assert tmp_path.resolve() in below.parents


def test_heat_maps_of_pictures_outside_the_folder_stay_inside(det, new, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    source = open_source(["../new/00.png", str(new / "01.png")])
    before = everything_in(new)
    assert outputs.write_heatmaps(load(det), source, tmp_path / "here" / "maps") == 2
    assert everything_in(new) == before
    assert sorted(path.name for path in (tmp_path / "here" / "maps").rglob("*.png")) == ["00.png.png", "01.png.png"]


def test_heat_maps_of_different_pictures_never_share_a_file(det, tmp_path):
    folder = tmp_path / "new"
    write(folder, stripes(1))
    for name in ("a.png", "a.bmp", "a..png", "a_.png", "a...png"):
        Image.open(folder / "00.png").save(folder / name)
    assert outputs.write_heatmaps(load(det), open_source(folder), tmp_path / "maps") == 6
    assert len(everything_in(tmp_path / "maps")) == 6


def test_heat_maps_of_the_readable_pictures_are_made_where_one_is_in_colour(det, new, tmp_path, capsys):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(new / "00a.png")
    assert main(["score", str(det), str(new), "--heatmaps", str(tmp_path / "maps"), "-o", str(tmp_path / "a.csv")]) == 3
    assert "skipped 00a.png: " in capsys.readouterr().err
    assert len(list((tmp_path / "maps").rglob("*.png"))) == 4


def test_heat_maps_inside_the_folder_of_the_pictures_are_no_pictures_of_the_next_run(det, new, tmp_path, monkeypatch):
    argv = ["score", str(det), ".", "--heatmaps", "maps", "-o", str(tmp_path / "a.csv"), "--force"]
    monkeypatch.chdir(new)
    assert main(argv) == 0
    before = (tmp_path / "a.csv").read_text()
    assert main(argv) == 0
    assert (tmp_path / "a.csv").read_text() == before
    assert len(list((new / "maps").rglob("*.png"))) == 4
    assert main(["score", str(det), "00.png", "--heatmaps", ".", "--force"]) == 0  # one that is named is meant


def test_heat_maps_between_the_pictures_are_refused(det, new, tmp_path, capsys):
    argv = ["score", str(det), str(new), "--heatmaps", str(new), "-o", str(tmp_path / "a.csv"), "--force"]
    assert_refused(argv, tmp_path, capsys, "holds all pictures", "give another folder")


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "é" * 125 + "a.png"])
def test_heat_map_of_a_picture_with_the_longest_name_is_written(name, det, tmp_path):
    write(tmp_path / "new", stripes(2))
    for i in range(2):
        (tmp_path / "new" / f"0{i}.png").rename(tmp_path / "new" / f"{name[:-5]}{i}.png")
    assert outputs.write_heatmaps(load(det), open_source(tmp_path / "new"), tmp_path / "maps") == 2
    assert len(list((tmp_path / "maps").glob("*.png"))) == 2


def test_pictures_whose_names_are_no_text_have_a_heat_map_and_a_row_each(det, tmp_path):
    write(tmp_path / "new", stripes(2))
    try:
        for i, name in enumerate((b"\xfe.png", b"\xff.png")):
            (tmp_path / "new" / f"0{i}.png").rename(tmp_path / "new" / os.fsdecode(name))
    except OSError:
        pytest.skip("this file system wants UTF-8 names")
    output = tmp_path / "a.csv"
    assert main(["score", str(det), str(tmp_path / "new"), "--heatmaps", str(tmp_path / "maps"), "-o", str(output)]) == 0
    assert [line.split(",")[0] for line in output.read_text().splitlines()[1:]] == [r"\xfe.png", r"\xff.png"]
    assert set(everything_in(tmp_path / "maps")) == {r"\xfe.png.png", r"\xff.png.png"}


def test_text_with_bytes_that_are_none_is_written(tmp_path):
    write_file(tmp_path / "a.txt", "caf" + os.fsdecode(b"\xff"))
    assert (tmp_path / "a.txt").read_bytes() == b"caf\\udcff"


def test_common_colour_scale_of_large_pictures_is_set_by_few_of_their_pixels(det, tmp_path, monkeypatch):
    seen, original = [], heatmap.heat_scale
    monkeypatch.setattr(heatmap, "heat_scale", lambda maps: original(seen.extend(maps) or seen))
    large = np.kron(checks(1), np.ones((1, 32, 20), np.uint8))[0]  # 1024 x 640
    for i in range(2 * outputs.SCALED_BY + 6):
        write(tmp_path / "new" / f"{i:03}", [large] if i < 2 else stripes(1, seed=i))
    source = open_source(tmp_path / "new")
    assert outputs.write_heatmaps(load(det), source, tmp_path / "maps") == len(source)
    assert len(seen) == len(source) // 2
    assert seen[0].shape == (256, 160)  # every fourth pixel
    assert seen[0].base is None  # a copy: a view would keep the whole map
    whole = load(det).heatmap(large)
    assert np.quantile(seen[0], 0.995) == pytest.approx(np.quantile(whole, 0.995), rel=0.01)  # smooth maps: neighbours are alike
    assert {s.shape for s in seen[1:]} == {(32, 32)}


def test_picture_and_its_pixels_as_an_array_have_the_same_score(det, new, tmp_path):
    files = sorted(new.rglob("*.png"))
    np.save(tmp_path / "same.npy", np.stack([np.asarray(Image.open(path)) for path in files]))
    detector = load(det)
    np.testing.assert_array_equal(detector.score(tmp_path / "same.npy"), detector.score([str(path) for path in files]))
