"""`novelette study`: its pages, and what is refused."""

import re

import pytest

from novelette.cli import main
from novelette.cli_study import STUDIES
from novelette.studies import page


def refused(argv, capsys):
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_an_unknown_study_is_refused_with_those_there_are(capsys):
    assert "there is no study 'nothing': choose one of linear-gan" in refused(["study", "nothing"], capsys)


def test_the_studies_are_listed(capsys):
    assert main(["study"]) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^  {name} +\w.+\.$", out, re.MULTILINE) for name in STUDIES)


def test_a_page_that_is_there_is_not_replaced_unless_asked(tmp_path, capsys):
    (tmp_path / "linear-gan.md").write_text("mine")
    assert "linear-gan.md exists: give --force" in refused(["study", "linear-gan", "-o", str(tmp_path)], capsys)
    assert (tmp_path / "linear-gan.md").read_text() == "mine"


@pytest.mark.parametrize(("option", "value"), [("--steps", "3"), ("--seeds", "0")])
def test_a_number_out_of_its_range_is_refused(option, value, tmp_path, capsys):
    assert f"{option} {value} is out of range: give " in refused(["study", "linear-gan", "-o", str(tmp_path), option, value], capsys)


def test_what_is_no_named_set_or_has_no_class_is_refused(tmp_path, capsys):
    assert "nowhere is not a named set" in refused(["study", "order", "nowhere", "-o", str(tmp_path)], capsys)
    assert "say which is normal with --normal" in refused(["study", "order", "digits", "-o", str(tmp_path)], capsys)


def test_the_study_of_order_writes_the_page_that_its_command_gives_again(tmp_path, capsys):
    argv = ["study", "order", "digits", "--normal", "3", "--pictures", "60", "--orders", "5", "-o", str(tmp_path)]
    assert main(argv) == 0
    out, text = capsys.readouterr().out, (tmp_path / "order.md").read_text()
    assert "`novelette study order digits --normal 3 --pictures 60 --orders 5 --seed 0` made this page." in text
    assert "\n- seed: 0, of the pictures and of the orders\n" in text
    assert len(out.splitlines()) == 1 + 4
    for line in out.splitlines()[1:]:
        _, _, k, n, _, first, _, *drawn = line.split()
        always, depends, never = map(int, drawn[:3])
        assert (always + depends + never, never >= int(n) - int(first)) == (int(n), True)
        assert len(drawn[3:]) == (k == "1")  # in every order: of the five drawn at most
        assert all(int(exact) <= always for exact in drawn[3:])


def test_a_page_names_its_table_its_plots_and_what_made_it(tmp_path, monkeypatch):
    picture = page.Picture("dots", "Two dots", lambda figure: figure.subplots().plot([0, 1], [1, 0], "o"))
    made = page.Study(
        "tiny", "Tiny", "Some words.", ["what", "how many"], [["dots", "2"]], [picture], "So it is.", "novelette study tiny", {"seed": "3"}
    )
    monkeypatch.setattr(page, "versions", lambda: {"novelette": "1.2", "numpy": "3.4"})
    monkeypatch.setattr(page.platform, "machine", lambda: "abacus")
    path = page.write(made, tmp_path / "a" / "b", "c0ffee")
    assert path.read_text() == (
        "# Tiny\n\nSome words.\n\n| what | how many |\n| --- | ---: |\n| dots | 2 |\n\n"
        "![Two dots](tiny-dots.svg)\n\n*Two dots.*\n\nSo it is.\n\n## Where these figures come from\n\n"
        "`novelette study tiny` made this page.\n\n- seed: 3\n- commit: c0ffee\n- versions: novelette 1.2, numpy 3.4\n- on: abacus CPU\n"
    )
    assert {file.name for file in path.parent.iterdir()} == {"tiny.md", "tiny-dots.svg", "tiny-dots.png"}
    before = (path.parent / "tiny-dots.svg").read_bytes()
    page.write(made, path.parent, None)
    assert "commit" not in path.read_text()
    assert (path.parent / "tiny-dots.svg").read_bytes() == before
