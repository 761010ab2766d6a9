"""Masks: pictures that mark the defects of other pictures. They are never taken for pictures, and can be found for one.

A file is a mask if
  (a) a folder above it, below the source's own, is named ground_truth, mask or masks;
  (b) its stem ends in _mask, -mask, _gt or -gt, and the picture of the same stem without it stands beside it;
  (c) it is a .png, .bmp, .tif or .gif of the same stem as a .jpg beside it, and its grey values are nearly all black or
      white.
"""

import functools
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

import numpy as np

from novelette.data.decode import EXTENSIONS, read_picture
from novelette.data.pixels import UnreadablePicture, is_grey

FOLDERS = ("ground_truth", "mask", "masks")
SUFFIXES = ("_mask", "-mask", "_gt", "-gt")
EXACT = (".png", ".bmp", ".tif", ".tiff", ".gif")  # formats that keep a mask's values
PHOTOGRAPH = (".jpg", ".jpeg")
SOFT_LEVELS = 32  # how far from 0 or 255 a mask's value may lie: soft edges of reduced masks
MASK_SHARE = 0.95  # share of such values that makes a mask


def is_mask_folder(name: str) -> bool:
    """Whether a folder of this name holds masks."""
    return name.lower() in FOLDERS


def split_masks(files: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Picture files of one folder, by name alone: (pictures, masks, candidates that only their pixels can tell)."""
    kinds: defaultdict[str, set[str]] = defaultdict(set)
    for file in files:
        name = PurePath(file)
        kinds[name.stem].add(name.suffix.lower())
    pictures: list[str] = []
    masks: list[str] = []
    candidates: list[str] = []
    for file in files:
        name = PurePath(file)
        if _bare_stem(name.stem) in kinds:
            masks.append(file)
        elif name.suffix.lower() in EXACT and not kinds[name.stem].isdisjoint(PHOTOGRAPH):
            candidates.append(file)
        else:
            pictures.append(file)
    return pictures, masks, candidates


def _bare_stem(stem: str) -> str | None:
    """The stem without its mask suffix, or None if it has none."""
    for suffix in SUFFIXES:
        if stem.lower().endswith(suffix) and len(stem) > len(suffix):
            return stem[: -len(suffix)]
    return None


def looks_like_mask(path: Path) -> bool:
    """Whether a file is grey and at least 95 % of its values lie within 32 levels of black or white."""
    try:
        pixels = read_picture(path)
    except UnreadablePicture:
        return False
    if pixels.ndim == 3:
        if not is_grey(pixels[None])[0]:
            return False
        pixels = pixels[..., 0]
    return bool(np.mean((pixels <= SOFT_LEVELS) | (pixels >= 255 - SOFT_LEVELS)) >= MASK_SHARE)


def find_mask(path: Path) -> Path | None:
    """The mask that belongs to a picture, or None.

    Looked for beside it (000_mask.png, or 000.png beside 000.jpg), then in a folder ground_truth, mask or masks beside
    it or beside one of the two folders above, as in MVTec AD: test/scratch/000.png -> ground_truth/scratch/000_mask.png.
    Upper and lower case do not matter.
    """
    path = Path(path)
    for suffix in SUFFIXES:
        if found := _with_extension(path.parent, path.stem + suffix):
            return found
    if path.suffix.lower() in PHOTOGRAPH:
        for extension in EXACT:
            beside = _entry(path.parent, path.stem + extension)
            if beside is not None and beside.is_file() and looks_like_mask(beside):
                return beside
    for folder in _mask_folders(path):
        for stem in (path.stem, *(path.stem + suffix for suffix in SUFFIXES)):
            if found := _with_extension(folder, stem):
                return found
    return None


def _mask_folders(path: Path) -> Iterator[Path]:
    """Existing folders in which the mask of `path` may lie."""
    parts: tuple[str, ...] = ()  # from `above` down to the picture's folder
    for above in list(path.absolute().parents)[:3]:
        for name in FOLDERS:
            if (holds := _entry(above, name)) is None:
                continue
            for below in dict.fromkeys((parts, parts[1:])):
                folder = holds.joinpath(*below)
                if folder.is_dir() and folder != path.absolute().parent:
                    yield folder
        parts = (above.name, *parts)


def _with_extension(folder: Path, stem: str) -> Path | None:
    for extension in sorted(EXTENSIONS, key=lambda e: (e not in EXACT, e)):
        found = _entry(folder, stem + extension)
        if found is not None and found.is_file():
            return found
    return None


def _entry(folder: Path, name: str) -> Path | None:
    """What a folder has under a name, in whatever case it is written there; the name itself goes first."""
    try:
        entries = _entries(folder, os.stat(folder).st_mtime_ns)
    except OSError:
        return None
    own = entries.get(name.casefold(), ())
    return folder / (name if name in own else own[0]) if own else None


@functools.lru_cache(maxsize=64)
def _entries(folder: Path, changed: int) -> dict[str, list[str]]:
    """A folder's names by what they are without upper case, as they were when it last changed."""
    entries: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(os.listdir(folder)):
        entries[name.casefold()].append(name)
    return dict(entries)
