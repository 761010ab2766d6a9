"""The page of a study: what was found, in Markdown, with its plots as SVG and PNG beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from novelette.bench.cells import markdown
from novelette.bench.figures import drawn
from novelette.errors import InputError
from novelette.files import check_writable, reason, write_whole

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
        command: that gives the same page.
    """

    name: str
    title: str
    text: str
    heads: Sequence[str]
    lines: Sequence[Sequence[str]]
    pictures: Sequence[Picture]
    closing: str
    command: str


def text_of(study: Study) -> str:
    """The page in Markdown."""
    blocks = [f"# {study.title}", study.text.strip(), markdown(study.heads, study.lines)]
    blocks += [f"![{picture.alt}]({study.name}-{picture.name}.svg)\n\n*{picture.alt}.*" for picture in study.pictures]
    return "\n\n".join([*blocks, study.closing.strip(), f"Made by `{study.command}`."]) + "\n"


def check(folder: Path, name: str, *, force: bool) -> None:
    """Refuse, before any work, a folder that the page cannot or must not be written to. Raises: InputError."""
    if (folder / f"{name}.md").exists() and not force:
        raise InputError(f"{folder / name}.md exists: give --force to replace it, or another -o")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, and a study is written into a folder: give another -o")
    check_writable(folder)


def write(study: Study, folder: Path) -> Path:
    """FOLDER/NAME.md and its plots, NAME-*.svg and .png.   Returns: the page.   Raises: InputError when the disk says no."""
    files: dict[Path, str | bytes] = {}
    for picture in study.pictures:
        svg, png = drawn(picture.paint)
        files |= {folder / f"{study.name}-{picture.name}.svg": svg, folder / f"{study.name}-{picture.name}.png": png}
    page = folder / f"{study.name}.md"
    try:
        for path, content in (files | {page: text_of(study)}).items():  # the page last: it names no plot that is not there
            write_whole(path, content)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {reason(error)}; give another -o") from error
    return page
