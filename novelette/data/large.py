"""The sets too large to hold in memory, CelebA and LSUN (exported images or its own lmdb): they stay on disk, read as needed."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from novelette.data.decode import decode
from novelette.data.sources import FolderSource, Source, UnreadablePicture, open_source
from novelette.errors import InputError
from novelette.words import install_words

CELEBA_CROP = 140  # px of 178 x 218, around the middle
CELEBA_IMAGES = ("img_align_celeba", "Img/img_align_celeba")
LSUN_CLASSES = ("bedroom", "conference_room")
SPLIT_SEED = 0
Pictures = tuple[Source, NDArray[np.int64], NDArray[np.bool_]]  # source, labels (N,), is_train (N,)


class CropSource:
    """The middle size x size px of each picture of a source."""

    def __init__(self, source: Source, size: int) -> None:
        self.source, self.size, self.names = source, size, source.names

    def __len__(self) -> int:
        return len(self.source)

    def read(self, index: int) -> np.ndarray:
        """Pixels, uint8 (size, size) or (size, size, 3). Raises: UnreadablePicture, also for a picture that is too small."""
        pixels = self.source.read(index)
        top, left = (pixels.shape[0] - self.size) // 2, (pixels.shape[1] - self.size) // 2
        if min(top, left) < 0:
            raise UnreadablePicture(f"smaller than the crop of {self.size} x {self.size} px")
        return pixels[top : top + self.size, left : left + self.size]


class JoinedSource:
    """Several sources one after the other; names get the label of their source in front."""

    def __init__(self, sources: Sequence[Source], labels: Sequence[str]) -> None:
        self.sources = tuple(sources)
        self.ends = np.cumsum([len(source) for source in sources])
        self.names = tuple(f"{label}/{name}" for source, label in zip(sources, labels, strict=True) for name in source.names)

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> np.ndarray:
        """Pixels as the source gives them. Raises: UnreadablePicture."""
        k = int(np.searchsorted(self.ends, index, side="right"))
        return self.sources[k].read(index - (int(self.ends[k - 1]) if k else 0))


class LmdbSource:
    """LSUN's own format: an lmdb folder whose values are encoded pictures. Needs the package lmdb."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with _environment(str(folder)).begin() as transaction:
            self._keys = tuple(transaction.cursor().iternext(keys=True, values=False))
        self.names = tuple(key.decode("ascii", "replace") for key in self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def read(self, index: int) -> np.ndarray:
        """Pixels, uint8 (H, W) or (H, W, 3). Raises: UnreadablePicture."""
        with _environment(str(self.folder)).begin() as transaction:
            content = transaction.get(self._keys[index])
        return decode(content)


@cache
def _environment(folder: str) -> Any:
    """The opened lmdb of a folder. A process may open each only once, and a source sent to another process opens it there."""
    try:
        import lmdb
    except ImportError as error:
        raise InputError(f"{folder} is an lmdb: export it to images, or {install_words('data')}") from error
    try:
        return lmdb.open(folder, readonly=True, lock=False, readahead=False)
    except lmdb.Error as error:
        raise InputError(f"{folder} is not a readable lmdb ({error}): fetch it again") from error


def read_celeba(folder: Path, attribute: str | None) -> Pictures:
    """Aligned faces, the middle 140 x 140 px; label 1 where the attribute is present, 0 where it is absent (normal).

    The split is the official one if list_eval_partition.txt is there, its validation faces left out; otherwise four fifths of either
    class, drawn at random but always the same, train. Faces listed but not on disk are left out.
    Raises: InputError without an attribute, for one that does not exist, or for files that are not CelebA's.
    """
    images = _first_existing(folder, CELEBA_IMAGES)
    images = images / images.name if (images / images.name).is_dir() else images  # as one common archive unpacks
    table = _first_existing(folder, ("list_attr_celeba.txt", "Anno/list_attr_celeba.txt"))
    lines = table.read_text(encoding="utf-8", errors="replace").splitlines()
    attributes = lines[1].split() if len(lines) > 1 else []
    if not attributes or len(lines) < 3:
        raise InputError(f"{table} is truncated or not an attribute list of CelebA: fetch it again")
    by_name = {name.casefold(): k for k, name in enumerate(attributes)}
    wanted = (attribute or "").replace(" ", "_").casefold()
    if wanted not in by_name:
        fault = f"CelebA has no attribute {attribute}" if attribute else "CelebA needs an attribute, whose absence is normal"
        raise InputError(f"{fault}: choose --attribute from {', '.join(attributes)}")
    rows = _celeba_rows(table, lines[2:], len(attributes))
    on_disk = {path.name for path in images.iterdir()}
    parts = _celeba_parts(folder)
    names = [name for name in rows if name in on_disk and parts.get(name, 0) != 1]
    if not names:
        raise InputError(f"{images} holds none of the faces that {table.name} lists: put the aligned images (000001.jpg, ...) there")
    labels = np.array([rows[name][by_name[wanted]] == "1" for name in names], np.int64)
    is_train = np.array([parts.get(name) == 0 for name in names]) if parts else random_split(labels, 4, 5)
    return CropSource(FolderSource(images, names), CELEBA_CROP), labels, is_train


def _celeba_rows(table: Path, lines: Sequence[str], n: int) -> dict[str, list[str]]:
    rows: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 3):
        name, *values = line.split() or [""]
        if name and (len(values) != n or not set(values) <= {"1", "-1"}):
            raise InputError(f"{table}, line {number}, does not have {n} values of 1 or -1: fetch it again")
        if name:
            rows[name] = values
    return rows


def _celeba_parts(folder: Path) -> dict[str, int]:
    """0 = training, 1 = validation, 2 = test for each face, or nothing if the official partition is not there."""
    for place in ("list_eval_partition.txt", "Eval/list_eval_partition.txt"):
        path = folder / place
        if path.is_file():
            rows = [line.split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
            if not all(len(row) == 2 and row[1] in ("0", "1", "2") for row in rows):
                raise InputError(f"{path} is not a partition list of CelebA (lines such as 000001.jpg 0): fetch it again")
            return {name: int(part) for name, part in rows}
    return {}


def read_lsun(folder: Path) -> Pictures:
    """Bedrooms (label 0, normal) and conference rooms (label 1, novel), from folders of exported images or lmdbs.

    `bedroom_train` trains and `bedroom_val` tests, with or without `_lmdb` at the end. Of a class that comes without both, four
    fifths, drawn at random but always the same, train. Raises: InputError if either class is missing.
    """
    sources: list[Source] = []
    labels: list[str] = []
    of_class: list[np.ndarray] = []
    training: list[np.ndarray] = []
    for label, name in enumerate(LSUN_CLASSES):
        parts = [(folder / (name + part + form), part) for part in ("_train", "_val", "") for form in ("", "_lmdb")]
        found = [(path, part) for path, part in parts if path.is_dir()]
        if not found:
            raise InputError(f"{folder} lacks {name}: put {name}_train/ and {name}_val/ (images, or lmdbs with _lmdb added) there")
        opened = [_open_room(path) for path, _ in found]
        n = [len(source) for source in opened]
        if {"_train", "_val"} <= {part for _, part in found}:
            is_train = np.concatenate([np.full(k, part != "_val") for k, (_, part) in zip(n, found, strict=True)])
        else:
            is_train = random_split(np.zeros(sum(n), np.int64), 4, 5)
        sources += opened
        labels += [path.name for path, _ in found]
        of_class.append(np.full(sum(n), label, np.int64))
        training.append(is_train)
    return JoinedSource(sources, labels), np.concatenate(of_class), np.concatenate(training)


def _open_room(path: Path) -> Source:
    return LmdbSource(path) if (path / "data.mdb").is_file() else open_source(path)


def random_split(labels: np.ndarray, part: int, of: int) -> NDArray[np.bool_]:
    """Which pictures train, (N,) bool: `part` of every `of` of each class, drawn at random but always the same."""
    rng = np.random.default_rng(SPLIT_SEED)
    is_train = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        is_train[members[: round(len(members) * part / of)]] = True
    return is_train


def _first_existing(folder: Path, places: Sequence[str]) -> Path:
    for place in places:
        if (folder / place).exists():
            return folder / place
    raise InputError(f"{folder} lacks {places[0]}: put CelebA's img_align_celeba/ and list_attr_celeba.txt there")
