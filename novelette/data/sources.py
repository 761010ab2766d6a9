"""Where pictures come from: a folder, a list of files, one file, an array. A source decodes one picture at a time."""

import os
import zipfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from novelette.data.decode import EXTENSIONS, MAX_PIXELS, read_picture
from novelette.data.masks import find_mask, is_mask_folder, looks_like_mask, split_masks
from novelette.data.pixels import FLOAT_TOLERANCE, UnreadablePicture, over_white, to_uint8
from novelette.errors import InputError
from novelette.files import reason
from novelette.words import names_words

__all__ = [
    "MAX_PIXELS",
    "ArraySource",
    "FolderSource",
    "Source",
    "SubsetSource",
    "UnreadablePicture",
    "find_mask",
    "masks_words",
    "open_source",
    "printable",
]

SHAPES = "(N, H, W), (N, H, W, 1, 3 or 4), (N, 1 or 3, H, W), or one picture (H, W) or (H, W, 3)"
ARRAY_NAMES = ("images", "x", "arr_0")  # which array of several an .npz file means


@runtime_checkable
class Source(Protocol):
    """Pictures by number. `names` are for people: a path relative to the folder, or an array's name and the index."""

    @property
    def names(self) -> Sequence[str]:
        """One name a picture."""

    def __len__(self) -> int:
        """How many pictures there are, readable or not."""

    def read(self, index: int) -> np.ndarray:
        """Decoded pixels, uint8 (H, W) or (H, W, 3). Raises: UnreadablePicture."""


class FolderSource:
    """Picture files: all of a folder (nested, sorted, named relative to it) or those listed (named as they are given).

    Listed files are taken as they are, masks or not: who names a file means it.

    Attributes:
        masks: names of the files of a folder that were taken for masks (novelette.data.masks) and left out.
        listed: whether the files were listed.

    Raises: InputError when the folder holds no pictures or cannot be read.
    """

    def __init__(self, root: str | Path = "", files: Sequence[str | Path] | None = None) -> None:
        self.root, self.listed = Path(root), files is not None
        found, masks = _pictures_below(self.root) if files is None else ([os.fspath(file) for file in files], [])
        self.files = tuple(found)
        self.names, self.masks = tuple(map(printable, self.files)), tuple(map(printable, masks))

    def __len__(self) -> int:
        return len(self.files)

    def path(self, index: int) -> Path:
        """Where a picture is."""
        return self.root / self.files[index]

    def read(self, index: int) -> np.ndarray:
        """Decoded pixels, uint8 (H, W) or (H, W, 3). Raises: UnreadablePicture."""
        return read_picture(self.path(index))


class ArraySource:
    """Pictures of one size: (N, H, W), (N, H, W, 1|3|4), (N, 1|3, H, W), or a single one, (H, W) or (H, W, 1|3|4).

    uint8; uint16, divided by 257; bool; or floats in [0, 1]. Where a shape can be read in two ways, a last axis of 1, 3
    or 4 holds channels. The array may be a memory map: only what is read is loaded and converted.

    Raises: InputError for another type, shape or range of floats.
    """

    def __init__(self, array: np.ndarray, names: Sequence[str] | None = None, label: str = "array") -> None:
        self.pictures = _as_pictures(array, label)
        _check_type(self.pictures, label)
        self.names = tuple(names) if names is not None else tuple(f"{label}[{i}]" for i in range(len(self.pictures)))
        if len(self.names) != len(self.pictures):
            raise InputError(f"{label} holds {len(self.pictures)} pictures but {len(self.names)} names were given: give one each")

    def __len__(self) -> int:
        return len(self.pictures)

    def read(self, index: int) -> np.ndarray:
        """Decoded pixels, uint8 (H, W) or (H, W, 3). Raises: UnreadablePicture, if floats are not finite."""
        return self.block(np.array([index]))[0]

    def block(self, indices: np.ndarray) -> np.ndarray:
        """Several pictures at once, uint8 (n, H, W) or (n, H, W, 3). Raises: UnreadablePicture, if one of them is."""
        pixels = to_uint8(self.pictures[indices])
        return over_white(pixels) if pixels.ndim == 4 and pixels.shape[3] == 4 else pixels


class SubsetSource:
    """Some pictures of a source, in the order of `indices` (n,)."""

    def __init__(self, source: Source, indices: Iterable[int] | np.ndarray) -> None:
        self.source = source
        self.indices = np.asarray(list(indices) if not isinstance(indices, np.ndarray) else indices, np.int64)
        self.names = tuple(source.names[i] for i in self.indices)

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, index: int) -> np.ndarray:
        """Decoded pixels, uint8 (H, W) or (H, W, 3). Raises: UnreadablePicture."""
        return self.source.read(int(self.indices[index]))


def open_source(source: str | Path | np.ndarray | Sequence[str | Path] | Source) -> Source:
    """The pictures of a folder (nested, sorted, no masks), a file (picture, .npy, .npz), a list of files, or an array.

    A source is returned as it is.

    Raises: InputError when there is nothing there, no picture in it, or it is none of these.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, np.ndarray):
        return ArraySource(source)
    if isinstance(source, str | os.PathLike):
        return _open_path(source)
    if isinstance(source, Sequence) and all(isinstance(item, str | os.PathLike) for item in source):
        if not source:
            raise InputError("the list of pictures is empty: give at least one file")
        return FolderSource(files=source)
    raise InputError(f"a {type(source).__name__} is not a source of pictures: give a folder, a file, a list of files or a NumPy array")


def masks_words(source: Source) -> str:
    """Which files of a folder were taken for masks, in words; nothing where none were."""
    if not isinstance(source, FolderSource) or not source.masks:
        return ""
    return f"taken for masks and left out: {names_words(source.masks, 3)}; if they are pictures, rename them or their folder"


def _open_path(given: str | os.PathLike[str]) -> Source:
    shown = printable(os.fspath(given)) or "''"
    try:
        path = Path(given).expanduser()
        found = bool(os.fspath(given)) and path.exists()
    except (OSError, RuntimeError, ValueError):  # too long a name, an unknown home, a zero byte, a loop of links
        found = False
    if not found:
        from novelette.data.named import NAMES  # which stands on this

        named = f"; {shown} is a named set, which is not accepted here" if shown in NAMES else ": check the path"
        raise InputError(f"{shown} does not exist{named}")
    if path.is_dir():
        return FolderSource(path)
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        return ArraySource(_load_array(path, shown), label=shown)
    if suffix in EXTENSIONS:
        return FolderSource(files=[path])
    raise InputError(f"{shown} is of an unknown type: give a folder, a picture ({_extensions()}), or an .npy or .npz array")


def _pictures_below(root: Path) -> tuple[list[str], list[str]]:
    """Sorted picture files below a folder, relative to it, and the masks that were left out.

    Raises: InputError when there are none.
    """
    pictures, candidates, masks = _scan(root)
    if candidates:
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            verdicts = list(pool.map(lambda name: looks_like_mask(root / name), candidates))
        masks += [name for name, is_mask in zip(candidates, verdicts, strict=True) if is_mask]
        pictures += [name for name, is_mask in zip(candidates, verdicts, strict=True) if not is_mask]
    if not pictures:
        held = f"{len(masks)} masks but no pictures" if masks else f"no pictures ({_extensions()})"
        raise InputError(f"the folder {printable(str(root))} holds {held}: check the path")
    return sorted(pictures), sorted(masks)


def _scan(root: Path) -> tuple[list[str], list[str], list[str]]:
    """Picture files below a folder, relative to it: (pictures, files that may be masks, masks).

    Hidden files and folders are passed over. Links to folders are followed, but none is entered twice, so loops end.
    """
    pictures: list[str] = []
    candidates: list[str] = []
    masks: list[str] = []
    entered: set[tuple[int, int]] = set()
    waiting = [("", False)]
    while waiting:
        below, is_mask = waiting.pop()
        folder = root / below
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            folders, files = _entries(folder)
        except OSError as error:
            raise InputError(f"the folder {printable(str(folder))} cannot be read ({reason(error)}): check its permissions") from error
        prefix = below + "/" if below else ""
        waiting += [(prefix + name, is_mask or is_mask_folder(name)) for name in sorted(folders, reverse=True)]
        if is_mask:
            masks += [prefix + name for name in files]
            continue
        named = split_masks(files)
        pictures += [prefix + name for name in named[0]]
        candidates += [prefix + name for name in named[2]]
        masks += [prefix + name for name in named[1]]
    return pictures, candidates, masks


def _entries(folder: Path) -> tuple[list[str], list[str]]:
    """(folders, picture files) directly in a folder, hidden ones left out."""
    folders: list[str] = []
    files: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            try:
                is_folder = entry.is_dir()
            except OSError:  # a link to itself: a file that cannot be read
                is_folder = False
            if is_folder:
                folders.append(entry.name)
            elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS:
                files.append(entry.name)
    return folders, files


def _load_array(path: Path, shown: str) -> np.ndarray:
    """The array of an .npy file, as a memory map, or of an .npz file. Raises: InputError."""
    try:
        if path.suffix.lower() == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False)
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as arrays:
            return arrays[_array_name(arrays.files, shown)]
    except InputError:
        raise
    except PermissionError as error:
        raise InputError(f"{shown} cannot be read ({reason(error)}): check its permissions") from error
    except MemoryError as error:
        raise InputError(f"{shown} does not fit into memory: save it as .npy, which is read piece by piece") from error
    except Exception as error:  # NumPy raises nearly anything on broken bytes
        if "object arrays" in str(error).lower() or "Python objects" in str(error):
            raise InputError(f"{shown} holds pickled objects, which are never loaded: save plain numbers") from error
        raise InputError(f"{shown} is damaged or not a NumPy file: write it again with numpy.save") from error


def _array_name(names: Sequence[str], shown: str) -> str:
    """Which array of an .npz file holds the pictures: the only one, or the first of ARRAY_NAMES."""
    if len(names) == 1:
        return names[0]
    for name in ARRAY_NAMES:
        if name in names:
            return name
    held = f"the arrays {', '.join(names)}" if names else "no array"
    raise InputError(f"{shown} holds {held}: rename the one with the pictures to 'images'")


def _as_pictures(array: np.ndarray, label: str) -> np.ndarray:
    """Any accepted shape as (N, H, W), (N, H, W, 3) or (N, H, W, 4), without a copy."""
    array = np.asarray(array)
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4)):
        array = array[None]
    if array.ndim == 4 and array.shape[3] not in (1, 3, 4) and array.shape[1] in (1, 3):
        array = np.moveaxis(array, 1, 3)
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, 3, 4)):
        raise InputError(f"{label} has the shape {array.shape}: give {SHAPES}")
    if array.size == 0:
        raise InputError(f"{label} has the shape {array.shape} and so holds no pictures: give at least one")
    return array[..., 0] if array.ndim == 4 and array.shape[3] == 1 else array


def _check_type(pictures: np.ndarray, label: str) -> None:
    """Raises: InputError unless the array is bool, uint8, uint16, or float with all finite values in [0, 1]."""
    kind, size = pictures.dtype.kind, pictures.dtype.itemsize
    if kind != "f" and kind != "b" and (kind, size) not in (("u", 1), ("u", 2)):
        raise InputError(f"{label} is of type {pictures.dtype}: give uint8, uint16, bool, or floats in 0..1")
    if kind != "f":
        return
    step = max(1, (1 << 22) // pictures[0].size)
    for start in range(0, len(pictures), step):
        values = pictures[start : start + step]
        low = np.min(values, where=np.isfinite(values), initial=0)
        high = np.max(values, where=np.isfinite(values), initial=0)
        if low < -FLOAT_TOLERANCE or high > 1 + FLOAT_TOLERANCE:
            raise InputError(f"{label} holds floats from {low:.4g} to {high:.4g}: scale them to 0..1, or give uint8")


def printable(text: str) -> str:
    """A file name, or a text that has some in it, as it can be written in UTF-8; a byte of a name that is no text becomes \\xff, or so."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def _extensions() -> str:
    return ", ".join(sorted(EXTENSIONS))
