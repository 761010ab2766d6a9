"""Pages: their sections, their sets, where their figures come from, and the files that are written."""

import re

import pytest
from pictures import assert_refused
from table.made_records import CURVE, GAN, HEAD, KNN, PAIR, rows

from novelette.bench import page
from novelette.cli import main
from novelette.data.named import load_named, outline
from novelette.errors import InputError


def test_what_the_records_do_not_hold_has_no_section(place):
    place.records(place.bench(HEAD + KNN), {("kNN", "0", 0): 0.5})
    assert re.findall("^## (.*)", place.text(), re.MULTILINE) == ["Classes", "Where these figures come from"]


def test_page_of_several_benches_has_a_row_a_label_and_a_column_a_set(place):
    ten = HEAD.replace('classes = ["0", "1"]\n', 'published = "pkdgan-mnist-structures"\nbeside = ["near"]\n')
    place.records(place.bench(HEAD + KNN, "near"), {("kNN", normal, 0): 0.8 for normal in "01"})
    place.records(place.bench(ten + GAN + 'paper = "KDGAN-1"\n', "one"), {("GAN", str(digit), 0): 0.97 for digit in range(10)})
    place.records(place.bench(HEAD.replace("B", "Two") + GAN, "two"), {("GAN", normal, 0): 0.9 for normal in "01"})
    place.bench(HEAD + GAN, "none")
    (place.benchmarks / "all.toml").write_text('name = "all"\ntitle = "All"\ntext = "Of them."\nbenches = ["one", "two", "none"]\n')
    text = place.text("all")
    assert text.startswith("# All\n\nOf them.\n\n## Sets\n")
    table = rows(text)
    assert table[0] == ["mean over classes", "B, 10 classes", "printed", "difference", "Two, 2 classes", "printed", "difference"]
    assert table[2] == ["GAN", "0.9700", "0.9670", "+0.0030", "0.9000", "", ""]
    assert table[3] == ["kNN", "", "", "", "", "", ""]  # its mean is of two classes, not of ten
    assert "\n## B\n\n### Classes\n" in text
    assert "\n## Two\n\n### Classes\n" in text
    assert "none of its 2 runs has a record yet" in text


def test_rows_of_one_published_column_are_one_row_whatever_their_labels(place):
    ten = HEAD.replace('classes = ["0", "1"]\n', 'published = "pkdgan-mnist-structures"\n')
    aurocs = {(label, str(digit), 0): auroc for digit in range(10) for label, auroc in (("GAN", 0.97), ("G", 0.95), ("H", 0.9))}
    place.records(place.bench(ten + GAN + 'paper = "KDGAN-1"\n', "one"), aurocs)
    two = GAN.replace("GAN", "G") + 'paper = "KDGAN-1"\n'
    place.records(place.bench(ten.replace("B", "Two") + two, "two"), aurocs)
    place.records(place.bench(ten.replace("B", "Three") + two + GAN.replace("GAN", "H") + 'paper = "KDGAN-1"\n', "three"), aurocs)
    (place.benchmarks / "all.toml").write_text('name = "all"\ntitle = "All"\nbenches = ["one", "two", "three"]\n')
    table = rows(place.text("all"))
    assert table[0][1::3] == ["B, 10 classes", "Two, 10 classes", "Three, 10 classes"]
    assert table[2] == ["GAN, G", "0.9700", "0.9670", "+0.0030", "0.9500", "0.9670", "-0.0170", "", "", ""]
    assert [line[0] for line in table[3:5]] == ["G", "H"]  # two rows of the third stand against that column
    assert table[4][-3:] == ["0.9000", "0.9670", "-0.0670"]


def test_page_says_where_its_figures_come_from(place):
    text = HEAD + "seeds = [0, 1]\n" + KNN + GAN
    aurocs = {("kNN", "0", 0): 0.9, ("kNN", "0", 1): 0.8, ("GAN", "0", 0): "ValueError: no", ("GAN", "1", 0): 0.5}
    place.records(place.bench(text), aurocs)
    ending = place.text().partition("## Where these figures come from")[2]
    for words in (
        "`novelette table b -o docs/results`",
        "`novelette bench benchmarks/b.toml`",
        "- runs: 3 of 8; 5 are missing or failed",
        "- data: MNIST, protocol `standard`, 32 px; seeds 0, 1",
        "- on: a CPU; threads a run: 1; stacked runs: 2",
        "- training: 1 min 30 s in all, on 2026-01-01 to 2026-01-02",
        "- commits: abc1234; versions: novelette 0.1.0",
        "Failed:\n\n- GAN, 0, seed 0: ValueError: no",
    ):
        assert words in ending
    assert str(place.root) not in ending


def test_outline_of_a_set_is_the_set_without_its_pictures():
    digits, whole = outline("digits"), load_named("digits")
    assert (digits.title, digits.classes, len(digits.source)) == (whole.title, whole.classes, 0)
    assert outline("fashion-mnist").classes[8] == "Bag"
    with pytest.raises(InputError, match="nothing is not a named data set"):
        outline("nothing")


def test_page_is_written_with_its_plots_and_twice_the_same(place, capsys):
    place.records(place.bench(HEAD + PAIR), {(label, normal, 0): 0.9 for label in "TS" for normal in "01"}, curve=CURVE)
    written = []
    for folder in (place.root / "one", place.root / "two"):
        assert main([*place.argv("b"), "-o", str(folder)]) == 0
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert capsys.readouterr().out.endswith("b.md: 2 plots beside it, each as .svg and .png\n")
    assert sorted(written[0]) == ["b-classes.png", "b-classes.svg", "b-course.png", "b-course.svg", "b.md"]
    assert written[0] == written[1]
    assert "](b-course.svg)" in written[0]["b.md"].decode()
    assert written[0]["b-classes.svg"].startswith(b"<?xml")
    assert b"dc:date" not in written[0]["b-classes.svg"]
    assert written[0]["b-classes.png"].startswith(b"\x89PNG")


def test_page_is_printed_without_plots_and_draws_none(place, capsys, monkeypatch):
    place.records(place.bench(HEAD + KNN), {("kNN", "0", 0): 0.9})
    monkeypatch.setattr(page, "draw", None)
    assert main(place.argv("b")) == 0
    out = capsys.readouterr().out
    assert out.startswith("# B\n\n## Classes\n")
    assert ".svg" not in out
    assert not (place.root / "docs").exists()


def test_output_that_cannot_be_written_is_told(place, capsys):
    place.records(place.bench(HEAD + KNN), {("kNN", "0", 0): 0.9})
    (place.root / "file").write_text("a file")
    assert_refused([*place.argv("b"), "-o", str(place.root / "file" / "folder")], place.root, capsys, "cannot write to")
