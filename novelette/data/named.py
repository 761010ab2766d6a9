"""Data sets by name: found in the data roots or fetched, checked by the hash of their contents, and given as one `NamedSet`."""

import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from novelette.data.download import DOWNLOADS, Progress, cache_folder, fetch, verified_sha256
from novelette.data.formats import CIFAR_FILES, COIL_NAME, IDX_FILES, Arrays, read_cifar10, read_coil, read_idx_set
from novelette.data.large import LSUN_CLASSES, random_split, read_celeba, read_lsun
from novelette.data.magnetic_tile import CLASSES as TILE_CLASSES
from novelette.data.magnetic_tile import tile_groups, training_tiles
from novelette.data.sources import ArraySource, FolderSource, Source
from novelette.errors import InputError
from novelette.words import install_words

DATA_VARIABLE = "NOVELETTE_DATA"
DIGITS = tuple("0123456789")


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


@dataclass(frozen=True)
class _Set:
    """Where a set is looked for and what a person is told when it is not there.

    Attributes:
        places: folders below a data root; "." is the root itself.   holds: whether a folder is the set's.
        layout: what belongs where, below a data root.   url: where it comes from.
        read, classes: for the sets that are read into arrays.
        known: titles of contents, by their hash.
    """

    title: str
    places: tuple[str, ...]
    holds: Callable[[Path], bool]
    layout: str
    url: str
    classes: tuple[str, ...] = ()
    read: Callable[[Path], Arrays] | None = None
    known: Mapping[str, str] = field(default_factory=dict)


def _holds_idx(folder: Path) -> bool:
    return any(any(folder.glob(name.replace("-idx", "?idx") + "*")) for name in IDX_FILES)


def _holds_cifar(folder: Path) -> bool:
    return any((folder / name).is_file() for name in CIFAR_FILES)


def _holds_coil(folder: Path) -> bool:
    return any(COIL_NAME.fullmatch(path.name) for path in folder.iterdir())


def _holds_tiles(folder: Path) -> bool:
    return any((folder / f"MT_{name}").is_dir() for name in TILE_CLASSES)


def _holds_celeba(folder: Path) -> bool:
    return any((folder / place).exists() for place in ("img_align_celeba", "list_attr_celeba.txt", "Anno", "Img"))


def _holds_lsun(folder: Path) -> bool:
    return any(any(folder.glob(name + "*")) for name in LSUN_CLASSES)


_IDX_LAYOUT = ", ".join(name + ".gz" for name in IDX_FILES)
_SETS: Mapping[str, _Set] = MappingProxyType(
    {
        "mnist": _Set(
            "MNIST",
            ("mnist", "MNIST/raw"),
            _holds_idx,
            f"mnist/ with {_IDX_LAYOUT}",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            DIGITS,
            read_idx_set,
            {"0fe4155b4536abcdb684d6d0e4a620bd85612419c6b96630a1371b769caddbb5": "MNIST"},
        ),
        "fashion-mnist": _Set(
            "Fashion-MNIST",
            ("fashion_mnist", "fashion-mnist", "FashionMNIST/raw"),
            _holds_idx,
            f"fashion_mnist/ with {_IDX_LAYOUT}",
            "https://github.com/zalandoresearch/fashion-mnist",
            ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
            read_idx_set,
            {"4f6a2685830ffcca8f2dddaa305c2b2ed22c2f632d9c620f31f914a3fef1ea6f": "Fashion-MNIST"},
        ),
        "cifar10": _Set(
            "CIFAR-10",
            ("cifar10/cifar-10-batches-bin", "cifar10", "cifar-10-batches-bin", "."),
            _holds_cifar,
            "cifar10/cifar-10-batches-bin/ with data_batch_1.bin to data_batch_5.bin and test_batch.bin (the binary version)",
            "https://www.cs.toronto.edu/~kriz/cifar.html",
            ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
            read_cifar10,
            {"3b3339e507b9c1afe2a09ddbffed5c39c603d869af6443d69d253920cd297534": "CIFAR-10 (JPEG copy)"},
        ),
        "coil20": _Set(
            "COIL-20",
            ("coil20/images", "coil20", "coil-20-proc"),
            _holds_coil,
            "coil20/images/ with obj1__0.png to obj20__71.png",
            "https://www.cs.columbia.edu/CAVE/software/softlib/coil-20.php",
            tuple(f"obj{i}" for i in range(1, 21)),
            partial(read_coil, objects=20),
            {"8b06aa46dcf0ab6fd8d98f25e896bb9d5129bedaf4bc7fd833295643930678f6": "COIL-20 (32x32 copy)"},
        ),
        "coil100": _Set(
            "COIL-100",
            ("coil100/images", "coil100/coil-100", "coil100", "coil-100"),
            _holds_coil,
            "coil100/images/ with obj1__0.png to obj100__355.png",
            "https://www.cs.columbia.edu/CAVE/software/softlib/coil-100.php",
            tuple(f"obj{i}" for i in range(1, 101)),
            partial(read_coil, objects=100),
        ),
        "magnetic-tile": _Set(
            "Magnetic tiles",
            ("magnetic_tile", "Magnetic-tile-defect-datasets.", "Magnetic-tile-defect-datasets"),
            _holds_tiles,
            "magnetic_tile/ with MT_Free/Imgs/, MT_Blowhole/Imgs/, MT_Break/Imgs/, MT_Crack/Imgs/, MT_Fray/Imgs/ and MT_Uneven/Imgs/",
            "https://github.com/abin24/Magnetic-tile-defect-datasets.",
            TILE_CLASSES,
            known={"0a2fdfba53ebc7f2be562be102b8acf05a67e326609dab81a1fc66a969a014e9": "Magnetic tiles"},
        ),
        "celeba": _Set(
            "CelebA",
            ("celeba", "CelebA"),
            _holds_celeba,
            "celeba/ with img_align_celeba/, list_attr_celeba.txt and, for the official split, list_eval_partition.txt",
            "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
            ("absent", "present"),
        ),
        "lsun": _Set(
            "LSUN",
            ("lsun", "LSUN"),
            _holds_lsun,
            "lsun/ with bedroom_train/, bedroom_val/, conference_room_train/ and conference_room_val/ (exported images, "
            "or the lmdbs bedroom_train_lmdb/ and so on)",
            "https://github.com/fyu/lsun",
            LSUN_CLASSES,
        ),
    }
)
NAMES: tuple[str, ...] = ("digits", *_SETS)


def search_order(given: Sequence[Path | str]) -> list[Path]:
    """Folders in which sets are looked for, in order: those given, those of NOVELETTE_DATA (parted as in PATH), the user's cache.

    Raises: InputError if a given one is not a folder.
    """
    roots = [Path(root).expanduser() for root in given]
    for root in roots:
        if not root.is_dir():
            raise InputError(f"the data root {root} is not a folder: check --data-root")
    roots += [Path(root).expanduser() for root in os.environ.get(DATA_VARIABLE, "").split(os.pathsep) if root.strip()]
    return list(dict.fromkeys([*roots, cache_folder()]))


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
        raise InputError(f"--attribute {attribute} is CelebA's, and {name} has no attributes: leave it out")
    if name == "digits":
        return _digits()
    spec = _SETS[name]
    folder = _find_or_fetch(name, spec, search_order(data_roots), download, progress)
    try:
        if spec.read is not None:
            arrays = spec.read(folder)
            return _from_arrays(name, _checked_title(name, folder, arrays.sha256()), arrays, spec.classes)
        if name == "magnetic-tile":
            return _magnetic_tile(folder)
        source, labels, is_train = read_celeba(folder, attribute) if name == "celeba" else read_lsun(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror or error}): check its permissions") from error
    words = f"{attribute}, " if attribute else ""
    return NamedSet(name, f"{spec.title} ({words}{len(source):,} pictures, contents unchecked)", source, labels, is_train, spec.classes)


def outline(name: str) -> NamedSet:
    """A set's name, title and classes without its pictures, for what needs to know no more. Raises: InputError for an unknown name."""
    if name not in NAMES:
        raise InputError(f"{name} is not a named data set: choose one of {', '.join(NAMES)}")
    title, classes = ("digits", DIGITS) if name == "digits" else (_SETS[name].title, _SETS[name].classes)
    none = np.zeros(0, np.int64)
    return NamedSet(name, title, FolderSource(files=()), none, none.astype(bool), classes)


def overview(given: Sequence[Path | str] = ()) -> list[str]:
    """A line a set: its name, where it was found, or how it can be had."""
    lines = ["digits           comes with scikit-learn"]
    roots = search_order(given)
    for name, spec in _SETS.items():
        folder = _find(spec, roots)
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


def _find(spec: _Set, roots: Sequence[Path]) -> Path | None:
    """The first folder below the roots that is the set's."""
    for root in roots:
        for place in spec.places:
            folder = root / place
            try:
                if folder.is_dir() and spec.holds(folder):
                    return folder
            except OSError as error:
                raise InputError(f"{folder} cannot be read ({error.strerror or error}): check its permissions") from error
        if root.name in spec.places and root.is_dir() and spec.holds(root):  # the set's own folder was given
            return root
    return None


def _find_or_fetch(name: str, spec: _Set, roots: Sequence[Path], download: bool, progress: Progress | None) -> Path:
    found = _find(spec, roots)
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
        f"{spec.title} is not there ({reason}): put {spec.layout} into a folder and name that folder with --data-root or "
        f"{DATA_VARIABLE}; source: {spec.url}"
    )


def _checked_title(name: str, folder: Path, digest: str) -> str:
    """What contents of this hash are called. Raises: InputError if they are those of another set."""
    for other, spec in _SETS.items():
        if digest in spec.known and other != name:
            raise InputError(f"{folder} holds {spec.known[digest]}, not {_SETS[name].title}: move it, or ask for {other}")
    if verified_sha256(folder) == digest:
        return _SETS[name].title
    return _SETS[name].known.get(digest, f"{_SETS[name].title} (other contents)")


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
            raise InputError(f"{folder / f'MT_{name}' / 'Imgs'} holds no pictures (*.jpg): put {_SETS['magnetic-tile'].layout} there")
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
