"""The page of a study: what was found, in Markdown, with its plots as SVG and PNG beside it."""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from novelette.bench.cells import markdown
from novelette.bench.figures import drawn
from novelette.bench.stamps import versions
from novelette.errors import InputError
from novelette.files import check_writable, write_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A plot of a page.   Attributes: alt: what it shows, in words.   paint: draws it on an empty figure."""

    name: str
    alt: str
    paint: Callable[["Figure"], None]


@dataclass(frozen=True)
class Study:
    """What a study found.

    Attributes:
        name: of its command, and of its files.   text: Markdown under the title.
        heads, lines: a table; its first column is words.   pictures: its plots.   closing: Markdown below them, such as a conclusion.
        command: that gives the same page.   origins: what else its figures come from, by a word for it, such as seeds and detectors.
    """

    name: str
    title: str
    text: str
    heads: Sequence[str]
    lines: Sequence[Sequence[str]]
    pictures: Sequence[Picture]
    closing: str
    command: str
    origins: Mapping[str, str]


def text_of(study: Study, commit: str | None) -> str:
    """The page in Markdown.   Args: commit: of the program that made it, as `stamps.commit` gives it."""
    blocks = [f"# {study.title}", study.text.strip(), markdown(study.heads, study.lines)]
    blocks += [f"![{picture.alt}]({study.name}-{picture.name}.svg)\n\n*{picture.alt}.*" for picture in study.pictures]
    return "\n\n".join([*blocks, study.closing.strip(), *_origin(study, commit)]) + "\n"


def _origin(study: Study, commit: str | None) -> list[str]:
    """The end of a page: what its figures come from."""
    by = {"commit": commit} if commit else {}
    by |= {"versions": ", ".join(f"{name} {version}" for name, version in versions().items()), "on": f"{platform.machine()} CPU"}
    lines = [f"- {name}: {said}" for name, said in {**study.origins, **by}.items()]
    return ["## Where these figures come from", f"`{study.command}` made this page.", "\n".join(lines)]


def check(folder: Path, name: str, *, force: bool) -> None:
    """Refuse, before any work, a folder that the page cannot or must not be written to. Raises: InputError."""
    if (folder / f"{name}.md").exists() and not force:
        raise InputError(f"{folder / name}.md exists: give --force to replace it, or another -o")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, and a study is written into a folder: give another -o")
    check_writable(folder)


def write(study: Study, folder: Path, commit: str | None) -> Path:
    """FOLDER/NAME.md and its plots, NAME-*.svg and .png.   Returns: the page.   Raises: InputError when the disk says no."""
    files: dict[Path, str | bytes] = {}
    for picture in study.pictures:
        svg, png = drawn(picture.paint)
        files |= {folder / f"{study.name}-{picture.name}.svg": svg, folder / f"{study.name}-{picture.name}.png": png}
    page = folder / f"{study.name}.md"
    for path, content in (files | {page: text_of(study, commit)}).items():  # the page last: it names no plot that is not there
        write_file(path, content)
    return page
