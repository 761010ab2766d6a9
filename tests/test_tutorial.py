"""docs/tutorial.md run from its first block to its last, as somebody who follows it does."""

import re
import shlex
from pathlib import Path

import pytest

from novelette.cli import main

PAGE = Path(__file__).parents[1] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
SURE = re.compile(  # what does not go back to trained weights, and so is the same on every machine
    r"\S+: .* fitted on .* others|.* duplicate: .*|\S+: calibrated on .*|no threshold.*|(?:parameters|multiply-adds|bytes of weights) .*"
    r"|maps: .*|\(AUROC .* Euclidean, .* cosine\)|catches 96 of 100 .*|strangest pictures: part100_0.*(?=, \.\.\.)"
)


@pytest.mark.slow
def test_every_command_of_the_tutorial_runs_and_prints_what_stands_there(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    printed, compared = "", 0
    for kind, block in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "python":
            exec(compile(block, str(PAGE), "exec"), {"__name__": "__main__"})
        elif kind == "bash":
            for command in block.splitlines():
                assert main(shlex.split(command)[1:]) == 0, command
            printed = "".join(capsys.readouterr())
        else:
            for line in SURE.findall(block):
                assert line in printed
                compared += 1
    assert compared == 17
