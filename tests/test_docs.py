"""The documentation against the program: the page of the commands is fresh, links lead somewhere, commands and their options exist."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from novelette.cli import COMMANDS
from novelette.methods import METHODS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@pytest.fixture(scope="module")
def make_cli():
    spec = importlib.util.spec_from_file_location("make_cli", ROOT / "docs" / "make_cli.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(page):
    """The lines of a page's bash blocks that begin with novelette, continued lines joined."""
    joined = "".join(blocks(page.read_text(encoding="utf-8"), "bash")).replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.startswith("novelette ")]


def heading_ids(text):
    """Fragments that lead to a page's headings, as GitHub makes them: lower case, no punctuation, hyphens for blanks."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


def test_the_page_of_the_commands_is_what_the_program_says(make_cli):
    assert not make_cli.stale()


def test_the_page_of_the_commands_does_not_depend_on_the_terminal(make_cli, monkeypatch):
    before = make_cli.help_text("score")
    for name, value in {"COLUMNS": "40", "FORCE_COLOR": "1", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    assert make_cli.help_text("score") == before
    assert max(map(len, before.splitlines())) <= make_cli.WIDTH
    assert "\x1b" not in before


def test_a_stale_page_of_the_commands_is_told_in_a_sentence(make_cli, monkeypatch, tmp_path):
    monkeypatch.setattr(make_cli, "PAGE", tmp_path / "cli.md")
    assert "missing" in make_cli.stale()
    (tmp_path / "cli.md").write_text("# The commands\n")
    assert "stale" in make_cli.stale()


@every_page
def test_every_relative_link_leads_to_a_file_and_a_heading(page):
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in LINK.findall(prose):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page.name} links to {target}"
        if fragment and found.suffix == ".md":
            assert fragment in heading_ids(found.read_text(encoding="utf-8")), f"{page.name} links to {target}"


@every_page
def test_every_command_shown_exists_with_its_options(page, make_cli):
    for line in commands(page):
        words = shlex.split(line, comments=True)[1:]
        if words[0] in ("--help", "--version"):
            continue
        assert words[0] in COMMANDS, line
        args = words[:2] if words[0] in ("fit", "study", "classify", "tag") and not words[1].startswith("-") else words[:1]
        args = words[:3] if args in (["classify", "fit"], ["tag", "fit"]) else args
        assert words[0] != "fit" or len(args) == 1 or args[1] in METHODS, line
        known = set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", make_cli.help_text(*args)))
        options = [word.partition("=")[0] for word in words[len(args) :] if re.match(r"--?[a-z]", word)]
        for option in options:
            assert option in known, f"{option} in: {line}"


@every_page
def test_no_page_names_a_folder_of_somebodys_machine(page):
    assert not re.search(r"(?<![\w.])/(work|tmp|home|root|Users)/", page.read_text(encoding="utf-8"))


@every_page
def test_every_python_block_is_python(page):
    for block in blocks(page.read_text(encoding="utf-8"), "python"):
        compile(block, page.name, "exec")


def test_the_example_of_a_method_scores_far_pictures_higher_and_survives_its_state():
    import torch

    from novelette.data.images import as_tensor
    from novelette.training import Run

    source = blocks((ROOT / "docs" / "adding-a-method.md").read_text(encoding="utf-8"), "python")[0]
    names: dict = {"__name__": "mean_picture"}
    exec(compile(source, "adding-a-method.md", "exec", dont_inherit=True), names)
    images = torch.full((5, 1, 32, 32), 100, dtype=torch.uint8)
    scorer = names["fit"](images, names["TINY"], seed=0, device=torch.device("cpu"), run=Run())
    near, far = scorer.score(as_tensor(torch.cat([images[:1], images[:1] + 51])))
    assert near == pytest.approx(0, abs=1e-6)  # float32
    assert far == pytest.approx(51 / 127.5, abs=1e-6)
    again = names["Scorer"].from_state(names["TINY"], scorer.state(), 1, 32)
    assert torch.equal(again.score(as_tensor(images + 7)), scorer.score(as_tensor(images + 7)))
