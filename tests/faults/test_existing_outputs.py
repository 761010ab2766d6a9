"""Outputs that exist: what --force replaces, and what nothing does."""

import pytest
from pictures import assert_refused, everything_in, fitted, stripes, write, write_labelled

from novelette import store
from novelette.cli import main


def test_output_that_exists_asks_for_force(tmp_path, det, parts, capsys):
    labelled = write_labelled(tmp_path / "labelled", 2)
    (tmp_path / "scores.csv").write_text("mine")
    write(tmp_path / "maps", stripes(1))
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("mine")
    for argv in (
        ["fit", "knn", str(parts), "-o", str(det)],
        ["calibrate", str(det), str(parts), "-o", str(det)],
        ["score", str(det), str(parts), "-o", str(tmp_path / "scores.csv")],
        ["score", str(det), str(parts), "--heatmaps", str(tmp_path / "maps")],
        ["evaluate", str(det), str(labelled), "-o", str(tmp_path / "report")],
    ):
        assert_refused(argv, tmp_path, capsys, "exists", "--force")


def test_force_replaces_what_the_command_writes(tmp_path, det, parts, capsys):
    labelled = write_labelled(tmp_path / "labelled", 4)
    scores, report = tmp_path / "scores.csv", tmp_path / "report"
    scores.write_text("mine")
    report.mkdir()
    (report / "index.html").write_text("mine")
    assert main(["score", str(det), str(parts), "-o", str(scores), "--force"]) == 0
    assert main(["evaluate", str(det), str(labelled), "-o", str(report), "--force"]) == 0
    assert main(["fit", "knn", str(parts), "-o", str(det), "--k", "3", "--force"]) == 0
    assert scores.read_text().startswith("path,score")
    assert "<html" in (report / "index.html").read_text()
    assert store.load(det).config.k == 3
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_folder_that_is_no_detector_is_never_replaced(force, tmp_path, parts, capsys):
    photos = write(tmp_path / "photos", stripes(3))
    assert_refused(["fit", "knn", str(parts), "-o", str(photos), *force], tmp_path, capsys, "exists", "another -o")


def test_folder_is_never_replaced_by_a_table_nor_a_file_by_heat_maps(tmp_path, det, parts, capsys):
    write(tmp_path / "a.csv", stripes(2))
    (tmp_path / "maps").write_text("mine")
    (tmp_path / "report").write_text("mine")
    assert_refused(["score", str(det), str(parts), "-o", str(tmp_path / "a.csv"), "--force"], tmp_path, capsys, "a folder")
    assert_refused(["score", str(det), str(parts), "--heatmaps", str(tmp_path / "maps"), "--force"], tmp_path, capsys, "a file")
    labelled = str(write_labelled(tmp_path / "labelled", 2))
    assert_refused(["evaluate", str(det), labelled, "-o", str(tmp_path / "report"), "--force"], tmp_path, capsys, "a file")


@pytest.mark.parametrize("mine", ["notes.txt", "report", "bundle.json"])
def test_detector_in_whose_folder_something_else_lies_is_not_replaced(mine, tmp_path, det, parts, capsys):
    (det / mine).mkdir() if mine == "report" else (det / mine).write_text("mine")
    (det / "zebra.txt").write_text("mine")
    for argv in (
        ["calibrate", str(det), str(parts)],
        ["learn", str(det), str(parts / "00.png"), "--in-place"],
        ["fit", "knn", str(parts), "-o", str(det), "--force"],
        ["calibrate", str(det), str(parts), "-o", str(det), "--force"],
    ):
        assert_refused(argv, tmp_path, capsys, f"{det} holds {mine}, which is not part of a detector", "move it away")


def test_what_a_file_manager_left_in_a_detectors_folder_holds_nothing_up(det, parts):
    (det / ".DS_Store").write_bytes(b"")
    assert main(["calibrate", str(det), str(parts), "--false-alarm-rate", "0.2"]) == 0
    assert sorted(file.name for file in det.iterdir()) == ["detector.json", "weights.safetensors"]


def test_bundle_in_whose_folder_something_else_lies_is_not_replaced(tmp_path, det, capsys):
    bundle = tmp_path / "knn.bundle"
    argv = ["export", str(det), "-o", str(bundle)]
    assert main(argv) == 0
    assert main([*argv, "--force"]) == 0
    (bundle / "notes.txt").write_text("mine")
    assert_refused([*argv, "--force"], tmp_path, capsys, "holds notes.txt, which is not part of a bundle")


def test_detector_that_is_a_link_is_changed_where_it_leads(tmp_path, det, parts):
    other = tmp_path / "elsewhere" / "real.det"
    other.parent.mkdir()
    fitted(other, parts, "knn", "--k", "3")
    link = tmp_path / "link.det"
    link.symlink_to(other)
    assert main(["calibrate", str(link), str(parts), "--false-alarm-rate", "0.5"]) == 0
    assert link.is_symlink()
    assert store.load(other).false_alarm_rate == 0.5
    assert set(everything_in(other)) == {"detector.json", "weights.safetensors"}
    assert not [*tmp_path.glob(".*"), *other.parent.glob(".*")]
