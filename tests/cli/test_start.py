"""Starting, help, and every command that the documentation shows."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import tyro

from novelette import arguments, cli, cli_classify, cli_study, cli_tag, cli_train
from novelette.cli import main
from novelette.methods import ede_gan

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("program", ["import novelette", "from novelette.cli import main; main(['--help'])"])
def test_starting_loads_neither_torch_nor_numpy(program):
    heavy = "import sys; print(sorted({name.partition('.')[0] for name in sys.modules} & {'torch', 'numpy', 'PIL', 'sklearn'}))"
    ended = subprocess.run([sys.executable, "-c", f"{program}\n{heavy}"], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_help_names_every_command_in_one_line(argv, capsys):
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^  {name} +\w.+\.$", out, re.MULTILINE) for name in cli.COMMANDS)


@pytest.mark.parametrize("argv", [["fit"], *([name] for name in cli.COMMANDS), ["fit", "knn"], ["fit", "ede-gan"]], ids=" ".join)
def test_help_of_every_command_ends_well(argv, capsys):
    assert main([*argv, "--help"]) == 0
    assert "usage" in capsys.readouterr().out


@pytest.mark.parametrize("recipe", [[], ["--paper"]], ids=["ours", "paper"])
def test_help_of_a_method_lists_its_settings_with_their_ranges_and_defaults(recipe, capsys):
    main(["fit", "ede-gan", *recipe, "--help"])
    words = re.sub(r"[\s│]", "", capsys.readouterr().out)  # lines break anywhere
    config = ede_gan.paper() if recipe else ede_gan.Config()
    widths = "-".join(map(str, config.widths))
    assert re.search(rf"--widthsN-N-Nchannelsofeachdownsamplingblock[^)]+\(default:{widths}\)", words)
    assert f"--batch-sizeINTpicturesperupdate(from1to4,096)(default:{config.batch_size})" in words


def test_methods_and_version_are_printed(capsys):
    assert main(["methods"]) == 0
    assert main(["--version"]) == 0
    out = capsys.readouterr().out
    assert "ede-gan" in out
    assert "knn" in out
    assert re.search(r"^novelette \d+\.\d+", out, re.MULTILINE)


def commands_in(page):
    """The commands of a page's ```bash blocks, as argument lists; lines that end in a backslash go on."""
    blocks = re.findall(r"^```bash\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    said = [shlex.split(re.split(r"[|;>&]", line.strip().removeprefix("$ "))[0], comments=True) for line in lines]
    return [words[1:] for words in said if words[:1] == ["novelette"]]


def test_commands_are_found_in_a_page():
    page = "```bash\n$ novelette info a.det --json | head  # x\nmake demo\nnovelette score \\\n  a.det b/\n```\n```\nnovelette no\n```\n"
    assert commands_in(page) == [["info", "a.det", "--json"], ["score", "a.det", "b/"]]


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: page.name)
def test_every_command_in_the_documentation_parses(page, monkeypatch):
    def parse_only(command, args, name):
        tyro.cli(arguments.spied(command, []), args=list(args), prog=name)
        return 0

    for module in (cli, cli_classify, cli_study, cli_tag, cli_train):
        monkeypatch.setattr(module, "parse", parse_only)
    for argv in commands_in(page.read_text()):
        assert cli._run(argv) == 0, argv
