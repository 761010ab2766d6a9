"""Write docs/cli.md from what the program itself says: the help of every command, of `fit` for every method, of every study, of `distill`
for either kind of teacher.

python docs/make_cli.py            write the page
python docs/make_cli.py --check    exit 1, with a sentence, when the page is stale
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np

import novelette
from novelette.classify import METHODS as CLASSIFIERS
from novelette.cli import COMMANDS, main
from novelette.cli_classify import COMMANDS as CLASSIFY
from novelette.cli_study import STUDIES
from novelette.cli_tag import TAG
from novelette.methods import METHODS
from novelette.tags import METHODS as TAGGERS

PAGE = Path(__file__).with_name("cli.md")
WIDTH = 100  # columns
HEAD = """\
# The commands

This page is made by the program: `make docs` writes it, and a test fails when it is stale. Do not edit it.

Exit status: 0 done; 1 a run of `novelette bench` or a method of `novelette compare` failed, or `novelette drift` found drift;
2 something was wrong with the request, as one sentence explains; 3 done, but some pictures were skipped, such as one that cannot be read;
130 stopped with Ctrl-C.
"""


@contextmanager
def plain_terminal() -> Iterator[None]:
    """A terminal of fixed width and no colour, whatever the real one is."""
    plain = {"COLUMNS": str(WIDTH), "LINES": "50", "TERM": "dumb", "NO_COLOR": "1", "PYTHON_COLORS": "0"}
    with patch.dict(os.environ, plain):
        for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
            os.environ.pop(name, None)
        yield


def help_text(*args: str) -> str:
    """What `novelette ARGS --help` prints, without blanks at the ends of lines."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with plain_terminal(), redirect_stdout(out):
        status = main([*args, "--help"])
    if status:
        raise RuntimeError(f"novelette {' '.join(args)} --help ended with status {status}")
    out.seek(0)
    return "\n".join(line.rstrip() for line in out.read().strip().splitlines())


def cli_page() -> str:
    """The whole page, Markdown."""
    names = [(), *((command,) for command in COMMANDS), *(("fit", method) for method in METHODS), *(("study", name) for name in STUDIES)]
    names += [("classify", command) for command in CLASSIFY] + [("classify", "fit", method) for method in CLASSIFIERS]
    names += [("tag", command) for command in TAG] + [("tag", "fit", method) for method in TAGGERS]
    names.sort(key=lambda args: (list(COMMANDS).index(args[0]) if args else -1, len(args)))
    sections: list[tuple[str, str]] = []
    for args in names:
        sections.append((" ".join(("novelette", *args)), help_text(*args)))
        if args == ("distill",):
            sections.append(("novelette distill, with a teacher other than an ede-gan", help_of_another_teacher()))
    return HEAD + "".join(f"\n## {title}\n\n```text\n{text}\n```\n" for title, text in sections)


def help_of_another_teacher() -> str:
    """What `novelette distill TEACHER --help` prints for a teacher that teaches through its scores."""
    pictures = np.random.default_rng(0).integers(0, 256, (20, 32, 32), np.uint8)
    with TemporaryDirectory() as folder:
        teacher = novelette.save(novelette.fit("knn", pictures, false_alarm_rate=0.5), Path(folder) / "teacher.det")
        return help_text("distill", str(teacher))


def stale() -> str:
    """Why the page on disk is not what the program says; empty when it is."""
    if not PAGE.exists():
        return "docs/cli.md is missing: run make docs"
    if PAGE.read_text(encoding="utf-8") != cli_page():
        return "docs/cli.md is stale: the commands say something else by now; run make docs"
    return ""


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        found = stale()
        print(found or "docs/cli.md is up to date")
        sys.exit(1 if found else 0)
    PAGE.write_text(cli_page(), encoding="utf-8")
    print("docs/cli.md written")
