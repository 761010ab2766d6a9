"""Data sets by name: found in the data roots or fetched, checked by the hash of their contents, and given as one `NamedSet`."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from novelette.data.catalogue import CATALOGUE, DIGITS, Listed, find
from novelette.data.download import DOWNLOADS, Progress, cache_folder, fetch, verified_sha256
from novelette.data.formats import Arrays
from novelette.data.large import random_split, read_celeba, read_lsun
from novelette.data.magnetic_tile import CLASSES as TILE_CLASSES
from novelette.data.magnetic_tile import tile_groups, training_tiles
from novelette.data.roots import DATA_VARIABLE, search_order
from novelette.data.sources import ArraySource, FolderSource, Source
from novelette.errors import InputError
from novelette.files import reason
from novelette.words import install_words

NAMES: tuple[str, ...] = ("digits", *CATALOGUE)


@dataclass(frozen=True)
class NamedSet:
    """A data set with its labels and its own split.

    Attributes:
        name: as a person types it.   title: what records are stamped with, e.g. "CIFAR-10 (JPEG copy)".
        labels: (N,) int, indices into `classes`.   is_train: (N,) bool.
        groups: (N,) int or None; pictures of one number show the same thing, so a split must not part them.
    """

    name: str
    title: str
    source: Source
    labels: NDArray[np.int64]
    is_train: NDArray[np.bool_]
    classes: tuple[str, ...]
    groups: NDArray[np.int64] | None = None


def load_named(
    name: str,
    *,
    data_roots: Sequence[Path | str] = (),
    attribute: str | None = None,
    download: bool = True,
    progress: Progress | None = None,
) -> NamedSet:
    """A data set by name, from the first data root that holds it; else fetched into the user's cache, where that is offered.

    Args:
        data_roots: looked through before those of NOVELETTE_DATA and the cache.
        attribute: CelebA's, whose absence is normal.
        progress: told (file, bytes done, bytes in all) while fetching; by default a bar on the terminal.
    Raises: InputError for an unknown name, a set that is nowhere, or files that are not the set's.
    """
    if name not in NAMES:
        raise InputError(f"{name} is not a named data set: choose one of {', '.join(NAMES)}")
    if attribute is not None and name != "celeba":
        raise InputError(f"--attribute {attribute} is for celeba, and {name} has no attributes: leave it out")
    if name == "digits":
        return _digits()
    spec = CATALOGUE[name]
    folder = _find_or_fetch(name, spec, search_order(data_roots), download, progress)
    try:
        if spec.read is not None:
            arrays = spec.read(folder)
            return _from_arrays(name, _checked_title(name, folder, arrays.sha256()), arrays, spec.classes)
        if name == "magnetic-tile":
            return _magnetic_tile(folder)
        source, labels, is_train = read_celeba(folder, attribute) if name == "celeba" else read_lsun(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({reason(error)}): check its permissions") from error
    words = f"{attribute}, " if attribute else ""
    return NamedSet(name, f"{spec.title} ({words}{len(source):,} pictures, contents unchecked)", source, labels, is_train, spec.classes)


def outline(name: str) -> NamedSet:
    """A set's name, title and classes without its pictures, for what needs to know no more. Raises: InputError for an unknown name."""
    if name not in NAMES:
        raise InputError(f"{name} is not a named data set: choose one of {', '.join(NAMES)}")
    title, classes = ("digits", DIGITS) if name == "digits" else (CATALOGUE[name].title, CATALOGUE[name].classes)
    none = np.zeros(0, np.int64)
    return NamedSet(name, title, FolderSource(files=()), none, none.astype(bool), classes)


def overview(given: Sequence[Path | str] = ()) -> list[str]:
    """A line a set: its name, where it was found, or how it can be had."""
    lines = ["digits           comes with scikit-learn"]
    roots = search_order(given)
    for name, spec in CATALOGUE.items():
        folder = find(spec, roots)
        missing = (
            "downloaded when it is first asked for" if name in DOWNLOADS else f"not here: put {spec.layout} into a data root; {spec.url}"
        )
        lines.append(f"{name:<16} {folder or missing}")
    return [*lines, f"data roots: {', '.join(map(str, roots))}"]


def class_index(named: NamedSet, normal: str) -> int:
    """The number of a class, by its name (in any case; spaces, hyphens and underscores are one) or by its number from 0.

    Raises: InputError listing the classes.
    """
    plain = [_plain(name) for name in named.classes]
    wanted = _plain(str(normal))
    if wanted in plain:
        return plain.index(wanted)
    if wanted.isascii() and wanted.isdecimal() and int(wanted) < len(plain):
        return int(wanted)
    listed = ", ".join(name if name == str(k) else f"{k} {name}" for k, name in enumerate(named.classes))
    raise InputError(f"{named.name} has no class {normal}: choose one of {listed}")


def _plain(name: str) -> str:
    return re.sub("[ _-]+", " ", name.casefold())


def _find_or_fetch(name: str, spec: Listed, roots: Sequence[Path], download: bool, progress: Progress | None) -> Path:
    found = find(spec, roots)
    if found is not None:
        return found
    reason = f"looked in {', '.join(map(str, roots))}"
    if download and name in DOWNLOADS and spec.read is not None:
        read = spec.read
        try:
            return fetch(DOWNLOADS[name], cache_folder(), lambda folder: read(folder).sha256(), progress)
        except InputError as error:
            reason = str(error)
    raise InputError(
        f"{spec.title} was not found ({reason}): put {spec.layout} into a folder and name that folder with --data-root or "
        f"{DATA_VARIABLE}; source: {spec.url}"
    )


def _checked_title(name: str, folder: Path, digest: str) -> str:
    """What contents of this hash are called. Raises: InputError if they are those of another set."""
    for other, spec in CATALOGUE.items():
        if digest in spec.known and other != name:
            raise InputError(f"{folder} holds {spec.known[digest]}, not {CATALOGUE[name].title}: move it, or ask for {other}")
    if verified_sha256(folder) == digest:
        return CATALOGUE[name].title
    return CATALOGUE[name].known.get(digest, f"{CATALOGUE[name].title} (other contents)")


def _from_arrays(name: str, title: str, arrays: Arrays, classes: tuple[str, ...]) -> NamedSet:
    return NamedSet(name, title, ArraySource(arrays.pixels, arrays.names, name), arrays.labels, arrays.is_train, classes)


def _digits() -> NamedSet:
    """scikit-learn's 1,797 handwritten digits, 8 x 8; their values 0..16 scaled to 0..255; two thirds of each class train."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise InputError(f"the set digits comes with scikit-learn: {install_words('train')}") from error
    values, target = load_digits(return_X_y=True)
    pixels = np.rint(values.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    labels = target.astype(np.int64)
    names = tuple(f"{i:04d}" for i in range(len(labels)))
    return _from_arrays("digits", "digits", Arrays(pixels, labels, random_split(labels, 2, 3), names), DIGITS)


def _magnetic_tile(folder: Path) -> NamedSet:
    """The JPEGs of the six folders; the split of `magnetic_tile`, by groups of tiles."""
    files: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(TILE_CLASSES):
        found = sorted(path.name for path in (folder / f"MT_{name}" / "Imgs").glob("*.jpg"))
        if not found:
            raise InputError(f"{folder / f'MT_{name}' / 'Imgs'} holds no pictures (*.jpg): put {CATALOGUE['magnetic-tile'].layout} there")
        files += [f"MT_{name}/Imgs/{file}" for file in found]
        labels += [label] * len(found)
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file} {hashlib.sha256((folder / file).read_bytes()).hexdigest()}\n".encode())
    numbers = np.array(labels, np.int64)
    return NamedSet(
        "magnetic-tile",
        _checked_title("magnetic-tile", folder, digest.hexdigest()),
        FolderSource(folder, files),
        numbers,
        training_tiles(files, numbers),
        TILE_CLASSES,
        tile_groups(files),
    )
