"""Pages: what the records of one bench, or of several, show. Reading what is there, putting the sections together, writing the files."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, Field

from novelette.bench.batch_sizes import batch_sizes
from novelette.bench.costs import costs
from novelette.bench.course import course
from novelette.bench.figures import Plot, draw
from novelette.bench.found import Found, find
from novelette.bench.game import accuracies, losses, variances
from novelette.bench.origins import MADE, origins
from novelette.bench.runs import Names
from novelette.bench.sections import Section, classes, teachers
from novelette.bench.sets import sets
from novelette.bench.toml_files import read_toml, shaped
from novelette.bench.trials import noise, passes, seen
from novelette.errors import InputError
from novelette.files import check_writable, write_file

SECTIONS = (
    classes,
    teachers,
    costs,
    batch_sizes,
    course,
    accuracies,
    losses,
    variances,
    passes,
    seen,
    noise,
)  # in their order; what the records do not hold is left out


class Page(BaseModel, frozen=True, extra="forbid"):
    """A page's file: several benches on one page.

    Attributes:
        benches: of the same folder.   text: Markdown under the title.   published: tables beside those that the benches name.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    text: str = ""
    benches: Names = Field(min_length=1)
    published: Names = ()


@dataclass(frozen=True)
class Made:
    """A page as it is printed or written.

    Attributes: parts: a heading of the second level, or none, and the sections below it.
    """

    name: str
    title: str
    text: str
    parts: list[tuple[str, list[Section]]]
    ending: str


def make(name: str, benchmarks: Path, results: Path) -> Made:
    """The page of a bench or of a page's file in `benchmarks`, from the records in `results`.

    Raises: InputError for an unknown name, a file that is wrong, damaged records, or none at all.
    """
    page = read_page(name, benchmarks)
    every = [find(benchmarks / f"{bench}.toml", results, page.published) for bench in page.benches]
    some = [found for found in every if found.good]
    if not some:
        raise no_records(page, benchmarks, results, sum(found.others for found in every))
    if len(page.benches) == 1:
        parts = [("", _sections(some[0]))]
        title, text = page.title or some[0].bench.title, page.text
    else:
        parts = [("", [sets(some)])]
        for found in some:
            parts.append((found.bench.title, told_apart(_sections(found), found.bench.name)))
        title, text = page.title, page.text
    return Made(name, title, text, parts, origins(every, benchmarks.name, name))


def no_records(page: Page, benchmarks: Path, results: Path, others: int) -> InputError:
    """That a page has no record, and how to make some.   Args: others: records of its benches that are of other settings."""
    commands = " and ".join(f"`novelette bench {benchmarks.name}/{bench}.toml`" for bench in page.benches)
    but = f", only {others} of other settings" if others else ""
    return InputError(f"{page.name}: there are no records of it in {results}{but}: run {commands}")


def read_page(name: str, benchmarks: Path) -> Page:
    """A page's file, or the page of one bench alone."""
    path = benchmarks / f"{name}.toml"
    if not path.is_file() or path.parent != benchmarks:
        names = sorted(file.stem for file in benchmarks.glob("*.toml"))
        choice = f"choose one of {', '.join(names)}" if names else "give the folder with --benchmarks"
        raise InputError(f"there is no bench or page {name!r} in {benchmarks}: {choice}")
    entries = read_toml(path)
    return shaped(Page, entries, path) if "benches" in entries else Page.model_construct(name=name, title="", benches=(name,))


def _sections(found: Found) -> list[Section]:
    return [section for make_section in SECTIONS if (section := make_section(found)) is not None]


def told_apart(sections: Sequence[Section], bench: str) -> list[Section]:
    """Sections of one of several benches, whose plots are files with its name in theirs."""
    return [replace(s, plots=tuple(replace(p, name=f"{bench}-{p.name}") for p in s.plots)) for s in sections]


def text_of(made: Made, *, figures: bool) -> str:
    """The page in Markdown.   Args: figures: name the files of its figures."""
    blocks = [f"# {made.title}"] + ([made.text.strip()] if made.text.strip() else [])
    for heading, sections in made.parts:
        blocks += [f"## {heading}"] if heading else []
        for section in sections:
            blocks += [f"{'###' if heading else '##'} {section.title}", section.text]
            blocks += [f"![{plot.alt}]({made.name}-{plot.name}.svg)\n\n*{plot.alt}.*" for plot in section.plots if figures]
    return "\n\n".join([*blocks, made.ending]) + "\n"


def check(name: str, folder: Path) -> None:
    """Refuse to replace a file FOLDER/NAME.md that is no page from records. Raises: InputError."""
    path = folder / f"{name}.md"
    if os.path.lexists(path) and not (path.is_file() and MADE in path.read_text(encoding="utf-8", errors="replace")):
        raise InputError(f"{path} exists and was not written by novelette table: move it away, or give another -o")


def write(made: Made, folder: Path) -> list[Path]:
    """The page and its figures as FOLDER/NAME.md, NAME-*.svg and NAME-*.png.   Returns: their paths."""
    check_writable(folder)
    plots: list[Plot] = [plot for _, sections in made.parts for section in sections for plot in section.plots]
    files: dict[Path, str | bytes] = {}
    for plot in plots:
        svg, png = draw(plot)
        files[folder / f"{made.name}-{plot.name}.svg"], files[folder / f"{made.name}-{plot.name}.png"] = svg, png
    files[folder / f"{made.name}.md"] = text_of(made, figures=True)  # last, so that no page names a figure that is not there
    for path, content in files.items():
        write_file(path, content)
    return list(files)
