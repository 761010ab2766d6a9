"""Sources without pictures that a command can use: none, too few, broken, in colour where grey is wanted."""

import numpy as np
import pytest
from pictures import assert_refused, checks, stripes, write, write_bomb

from novelette.cli import main


def no_folder(folder):
    return folder / "nowhere"


def empty_folder(folder):
    (folder / "empty").mkdir()
    return folder / "empty"


def text_only(folder):
    (folder / "notes").mkdir()
    (folder / "notes" / "read.me").write_text("no pictures here")
    return folder / "notes"


def all_unreadable(folder):
    write(folder / "broken", stripes(12))
    for path in (folder / "broken").iterdir():
        path.write_bytes(path.read_bytes()[:50])
    return folder / "broken"


def empty_file(folder):
    (folder / "empty.png").touch()
    return folder / "empty.png"


def text_named_png(folder):
    (folder / "text.png").write_text("this is no picture\n" * 50)
    return folder / "text.png"


def folder_of_text_named_png(folder):
    (folder / "sole").mkdir()
    return text_named_png(folder / "sole").parent


def bomb(folder):
    return write_bomb(folder / "bomb.png")


def pickle_array(folder):
    np.save(folder / "objects.npy", np.array([{}], object), allow_pickle=True)
    return folder / "objects.npy"


UNUSABLE = {
    no_folder: "does not exist",
    empty_folder: "no pictures",
    text_only: "no pictures",
    all_unreadable: "12 pictures can be read",
    empty_file: "empty file",
    text_named_png: "not an image",
    folder_of_text_named_png: "not an image",
    bomb: "900 Mpx",
    pickle_array: "pickled",
}


@pytest.mark.parametrize("source", UNUSABLE, ids=lambda make: make.__name__)
@pytest.mark.parametrize("command", ["fit", "score", "calibrate"])
def test_source_without_a_readable_picture_is_refused_in_one_sentence(command, source, tmp_path, det, capsys):
    given = str(source(tmp_path))
    argv = {
        "fit": ["fit", "knn", given, "-o", str(tmp_path / "new" / "new.det")],
        "score": ["score", str(det), given, "-o", str(tmp_path / "new" / "scores.csv"), "--heatmaps", str(tmp_path / "new" / "maps")],
        "calibrate": ["calibrate", str(det), given],
    }[command]
    assert_refused(argv, tmp_path, capsys, UNUSABLE[source])


def test_two_pictures_are_too_few_to_fit(tmp_path, capsys):
    source = write(tmp_path / "two", stripes(2))
    assert_refused(
        ["fit", "knn", str(source), "-o", str(tmp_path / "a.det")], tmp_path, capsys, "2 different readable pictures", "at least 10"
    )


def test_copies_of_one_picture_do_not_count_as_many(tmp_path, capsys):
    source = write(tmp_path / "copies", [stripes(1)[0]] * 20)
    assert_refused(["fit", "knn", str(source), "-o", str(tmp_path / "a.det")], tmp_path, capsys, "1 different readable picture")


def test_one_channel_detector_refuses_colour_pictures(tmp_path, det, capsys):
    grey = checks(3)
    colour = write(tmp_path / "colour", np.stack([grey, grey[:, ::-1], grey[:, :, ::-1] // 2], axis=-1))
    argv = ["score", str(det), str(colour), "-o", str(tmp_path / "a.csv")]
    assert_refused(argv, tmp_path, capsys, "00.png", "it is in colour")
    write(tmp_path / "colour" / "grey", grey)
    assert main(argv) == 3  # what is grey is scored
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 4
    assert capsys.readouterr().err.count("it is in colour") == 3
