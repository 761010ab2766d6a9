"""Tagged pictures from disk: a folder with tags.csv, captioned photographs in Flickr8k's layout, and YFCC100M's lines."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_plus

from novelette.data.roots import search_order
from novelette.data.sources import FolderSource
from novelette.errors import InputError
from novelette.files import expanded, reason
from novelette.tags.words import lemmatized

TABLE, COLUMNS = "tags.csv", ("file", "tags", "text")
CAPTIONS, PHOTOGRAPHS = "Flickr8k.token.txt", ("images", "Flicker8k_Dataset", "Flickr8k_Dataset")
CAPTIONS_OF_TAGS = 3  # of a photograph's five captions; the others are its text
NAMED = {"flickr8k": ("flickr8k", "Flickr8k"), "flickr8k-1000": ("flickr8k_1000",)}  # places below the data roots
YFCC_FIELDS = (23, 25)  # a line's; the longer form begins with the line's number and has the photo's hash after its id


@dataclass(frozen=True)
class Tagged:
    """Pictures with tags, and text that is there in training alone.

    Attributes: tags: of each picture, none twice.   texts: of each, empty where there is none.   title: what records call them.
        untagged: how many pictures were left out since they have no tag.
    """

    title: str
    source: FolderSource
    tags: tuple[tuple[str, ...], ...]
    texts: tuple[str, ...]
    untagged: int = 0


def read(source: str, data_roots: Sequence[Path] = ()) -> Tagged:
    """Tagged pictures by path or name: a folder with tags.csv or with Flickr8k's files, a .csv file beside its pictures, a .tsv file of
    YFCC100M, or flickr8k or flickr8k-1000, which are looked for in the data roots.

    Raises: InputError, one sentence, which names the line where one is broken.
    """
    path = expanded(source)
    if source in NAMED and not path.exists():
        return flickr8k(_named(source, data_roots), source)
    if not path.exists():
        raise InputError(f"{source} does not exist: give a folder with {TABLE}, a .csv or .tsv file, or one of {', '.join(NAMED)}")
    if path.is_dir() and (path / TABLE).is_file():
        return table(path / TABLE)
    if path.is_dir() and (path / CAPTIONS).is_file():
        return flickr8k(path, path.name)
    if path.suffix == ".csv":
        return table(path)
    if path.suffix == ".tsv":
        return yfcc100m(path)
    raise InputError(f"{source} has no tags: a folder needs {TABLE} with the columns {', '.join(COLUMNS)}, or Flickr8k's {CAPTIONS}")


def table(path: Path) -> Tagged:
    """A table with a header and a line a picture: file (relative to the table), tags (parted by ;) and, optionally, text."""
    lines = _rows(path)
    _, header = next(lines, (1, []))
    if header not in (list(COLUMNS), list(COLUMNS[:2])):
        raise InputError(
            f"{path}, line 1: the columns must be {', '.join(COLUMNS)} (the last is optional), not {', '.join(header) or 'nothing'}"
        )
    found: dict[str, tuple[tuple[str, ...], str]] = {}
    for number, row in lines:
        where = f"{path}, line {number}"
        if len(row) != len(header):
            raise InputError(f"{where}: {len(row)} fields where the header has {len(header)}; put fields with commas in quotes")
        file, tags = row[0], _different(row[1].split(";"))
        if not tags:
            raise InputError(f"{where}: {file or 'a picture'} has no tags: give it at least one, or leave the line out")
        if file in found:
            raise InputError(f"{where}: {file} is listed twice: put all its tags in one line, separated by ;")
        if not (path.parent / file).is_file():
            raise InputError(f"{where}: there is no picture {path.parent / file}: check the name, or leave the line out")
        found[file] = tags, row[2].strip() if len(row) > 2 else ""
    return _gathered(str(path), path, path.parent, found)


def flickr8k(folder: Path, title: str) -> Tagged:
    """Captioned photographs in Flickr8k's layout, those of its captions' that are there. No tag and no text come from the same caption.

    Tags are the content words of the first three captions, in their base forms (`words`); text is the other captions.
    """
    path = folder / CAPTIONS
    photographs = next((folder / name for name in PHOTOGRAPHS if (folder / name).is_dir()), None)
    if photographs is None:
        raise InputError(f"{folder} has no folder of photographs: put them into {PHOTOGRAPHS[0]}/")
    there = {photograph.name for photograph in photographs.iterdir()}
    captions: dict[str, dict[int, str]] = {}
    for number, line in enumerate(_lines(path), 1):
        head, tab, caption = line.partition("\t")
        file, mark, place = head.rpartition("#")
        if not (tab and mark and place.isdecimal() and file):
            raise InputError(f"{path}, line {number}: the line is not FILE#NUMBER, a tab and a caption: correct it")
        if file in there:
            captions.setdefault(file, {})[int(place)] = caption.strip()
    of_tags = [" ".join(c for i, c in sorted(own.items()) if i < CAPTIONS_OF_TAGS) for own in captions.values()]
    texts = [" ".join(c for i, c in sorted(own.items()) if i >= CAPTIONS_OF_TAGS) for own in captions.values()]
    tags = map(_different, lemmatized(of_tags))
    return _gathered(title, path, photographs, dict(zip(captions, zip(tags, texts, strict=True), strict=True)))


def yfcc100m(path: Path) -> Tagged:
    """Lines of YFCC100M's list whose pictures lie below the list's own folder, named ID.jpg, ID_anything.jpg, or by the photo's hash.

    Tags are the users', parted where they have a semicolon, as in tags.csv; text is title and description. Videos are left out, and so
    are lines whose pictures are not there.
    """
    files: dict[str, str] = {}
    for file in FolderSource(path.parent).files:
        files.setdefault(Path(file).stem.partition("_")[0], file)
    found: dict[str, tuple[tuple[str, ...], str]] = {}
    for number, line in enumerate(_lines(path), 1):
        fields = line.split("\t")
        if len(fields) not in YFCC_FIELDS:
            raise InputError(
                f"{path}, line {number}: {len(fields)} fields where a line of YFCC100M has {' or '.join(map(str, YFCC_FIELDS))}"
            )
        names = fields[:1] if len(fields) == YFCC_FIELDS[0] else fields[1:3]
        picture = next((files[name] for name in names if name in files), None)
        if picture is not None and fields[-1] == "0":
            title, description, tags = (field for field in fields[-17:-14])
            found[picture] = _different(unquote_plus(tags.replace(",", ";")).split(";")), unquote_plus(f"{title} {description}").strip()
    return _gathered(str(path), path, path.parent, found)


def _gathered(title: str, path: Path, folder: Path, found: dict[str, tuple[tuple[str, ...], str]]) -> Tagged:
    """Raises: InputError when no picture has a tag."""
    tagged = {file: own for file, own in found.items() if own[0]}
    if not tagged:
        raise InputError(f"{path} names no picture that is below {folder} and has a tag: check where the pictures are")
    tags, texts = zip(*tagged.values(), strict=True)
    return Tagged(title, FolderSource(folder, list(tagged)), tags, texts, len(found) - len(tagged))


def _different(tags: Iterator[str] | Sequence[str]) -> tuple[str, ...]:
    """Tags in lower case, without blanks at their ends, none twice and none empty."""
    return tuple(dict.fromkeys(tag for tag in (tag.strip().lower() for tag in tags) if tag))


def _named(name: str, data_roots: Sequence[Path]) -> Path:
    roots = search_order(data_roots)
    for root in roots:
        for place in NAMED[name]:
            if (root / place / CAPTIONS).is_file():
                return root / place
    raise InputError(
        f"{name} was not found (looked in {', '.join(map(str, roots))}): put {NAMED[name][0]}/ with {CAPTIONS} and images/ into a folder "
        "and name that folder with --data-root or NOVELETTE_DATA"
    )


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows of a table, but for empty ones, with the number of the line that each ends in."""
    rows = csv.reader((line + "\n" for line in _lines(path)), strict=True)
    try:
        for row in rows:
            if row:
                yield rows.line_num, row
    except csv.Error as error:
        raise InputError(f"{path}, line {rows.line_num}: the line is not CSV ({error}): check its quotes") from error


def _lines(path: Path) -> Iterator[str]:
    """Lines of a text file, one at a time.   Raises: InputError when it cannot be read, or is not UTF-8."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    raise InputError(f"{path}, line {number}: the line is not UTF-8: save the file as UTF-8") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({reason(error)}): check its permissions") from error
