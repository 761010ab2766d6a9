"""Pages that cannot be made: no records, damaged ones, or faults in the files."""

import pytest
from pictures import assert_refused
from table.made_records import GAN, HEAD, KNN

from novelette.cli import main
from novelette.errors import InputError


def test_records_of_other_settings_or_other_contents_are_not_shown(place, capsys):
    path = place.bench(HEAD + KNN)
    place.records(path, {("kNN", "0", 0): 0.9})
    place.bench(HEAD + KNN + "config = { k = 9 }\n")
    assert_refused(place.argv("b"), place.root, capsys, "there are no records of it", "only 1 of other settings")


@pytest.mark.parametrize("name", ["c", "../benchmarks/b", "b.toml", ""])
def test_unknown_name_is_told_with_those_that_there_are(place, name, capsys):
    place.bench(HEAD + KNN)
    assert_refused(place.argv(name), place.root, capsys, f"there is no bench or page {name!r} in", "choose one of b")


def test_bench_without_records_names_the_command_that_makes_them(place, capsys):
    place.bench(HEAD + KNN)
    assert_refused(place.argv("b"), place.root, capsys, "there are no records of it", ": run `novelette bench benchmarks/b.toml`")
    (place.benchmarks / "all.toml").write_text('name = "all"\ntitle = "All"\nbenches = ["b", "b"]\n')
    assert_refused(place.argv("all"), place.root, capsys, "`novelette bench benchmarks/b.toml`")


def test_page_that_a_person_wrote_is_not_replaced(place, tmp_path, capsys):
    place.records(place.bench(HEAD + KNN), {("kNN", "0", 0): 0.9})
    folder = tmp_path / "pages"
    argv = [*place.argv("b"), "-o", str(folder)]
    assert main(argv) == 0
    assert main(argv) == 0  # a page of its own
    (folder / "b.md").write_text("# Mine\n")
    assert_refused(argv, place.root, capsys, "b.md exists and was not written by novelette table", "another -o")
    assert (folder / "b.md").read_text() == "# Mine\n"


def test_damaged_records_are_named(place, capsys):
    path = place.bench(HEAD + GAN)
    damaged = {"fit_seconds": None, "split": [], "curve": [[1]], "noise": {"a": {}}, "stacked": 0, "load": "high", "running": {"auroc": 2}}
    damaged |= {"losses": [[1, 0.5]], "variance": [[1, "a"]], "accuracy": [[1]], "passes": "b"}
    for field, value in damaged.items():
        with pytest.raises(InputError, match=rf"b\.jsonl: the record of GAN, 0, seed 0 is damaged at '{field}"):
            place.records(path, {("GAN", "0", 0): 0.9}, **{field: value})
    with pytest.raises(InputError, match="damaged at 'auroc'"):
        place.records(path, {("GAN", "0", 0): float("nan")})
    with (place.results / "b.jsonl").open("a") as file:
        file.write("half a line\n")
    assert_refused(place.argv("b"), place.root, capsys, "b.jsonl, line 2 is damaged")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD + KNN + 'paper = "OCSVM"\n', "kNN: there is no published column 'OCSVM': the bench names no published table"),
        (HEAD + 'published = "pkdgan-mnist"\n' + KNN + 'paper = "X"\n', "there is no published column 'X': choose from OCSVM, KDE"),
        (HEAD + 'published = "mine"\n' + KNN, "there are no published figures 'mine': choose from kdgan-compression"),
        (HEAD + 'beside = ["gone"]\n' + KNN, "there is no bench file"),
        ("name = ", "b.toml is not a TOML file"),
        ('name = "b"\ntitle = "B"\nbenches = []\n', "benches"),
        ('name = "b"\ntitle = "B"\nbenches = ["a"]\nseeds = [1]\n', "there is no setting seeds"),
        ('name = "b"\ntitle = "B"\nbenches = ["a"]\n', "there is no bench file"),
    ],
)
def test_faults_in_files_are_one_sentence(place, text, says, capsys):
    path = place.bench(HEAD + KNN)
    place.records(path, {("kNN", "0", 0): 0.9})
    path.write_text(text)
    assert_refused(place.argv("b"), place.root, capsys, says)
