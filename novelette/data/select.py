"""From what a person names (a folder, an array, a named set and a class) to pictures and labels."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from novelette.data.named import NAMES, NamedSet, class_index, load_named
from novelette.data.protocol import PARTING, PROTOCOLS, Split, is_novel, role
from novelette.data.sources import FolderSource, Source, SubsetSource, masks_words, open_source, printable
from novelette.errors import InputError
from novelette.files import expanded

NORMAL_FOLDERS = ("normal", "good")
T = TypeVar("T")
UNKNOWN = "unknown"  # the folder of pictures that belong to no class


@dataclass(frozen=True)
class Selection:
    """Pictures and what is known of them.

    Attributes:
        labels: (N,) int, 1 = novel, 0 = normal; None where they are not known.
        groups: (N,) int; pictures of one number show the same thing; None where each stands alone.
        classes: (N,) int, the class of each picture: a named set's, or the number of its subfolder; None where there are none.
        class_names: of labelled pictures, their classes' by number.
    """

    source: Source
    title: str
    labels: NDArray[np.int64] | None = None
    groups: NDArray[np.int64] | None = None
    classes: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Labelled:
    """Pictures and the class of each.

    Attributes:
        classes: (N,) int, positions in `names`, -1 for what belongs to none of them.   names: of the classes.
        groups: as of a Selection.
    """

    source: Source
    title: str
    classes: NDArray[np.int64]
    names: tuple[str, ...]
    groups: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Where:
    """What a person says beside SOURCE: enough to find the same pictures again.

    Attributes:
        normal: the class of a named set that is normal (the novel one for `leave-one-out`).
        attribute: CelebA's.
        group_by: a regular expression; pictures whose names it finds the same text in show the same thing.
        group_by_inherited: group_by comes from a detector's fit, and need not fit these names.
        data_roots: folders that hold named sets.   download: whether a set that is not there may be fetched.
    """

    normal: str | None = None
    protocol: str = "standard"
    protocol_seed: int = 0
    attribute: str | None = None
    group_by: str | None = None
    data_roots: tuple[Path, ...] = ()
    download: bool = True
    group_by_inherited: bool = False


def normal_pictures(source: Any, where: Where) -> Selection:
    """The pictures to fit on: all of a folder or an array; the training images of the normal class of a named set."""
    if not is_named(source):
        _refuse_choice(source, where)
        pictures = open_source(source)
        _refuse_labelled(source, pictures)
        return Selection(pictures, _title(source), groups=_groups(pictures.names, where), classes=_subfolders(source, pictures))
    named, split = _split(source, where)
    pictures = SubsetSource(named.source, split.train)
    title = f"{named.title}, {_class_words(named, where)}, {where.protocol}"
    return Selection(pictures, title, groups=_groups_of(named, split.train, where), classes=named.labels[split.train])


def _refuse_labelled(source: Any, pictures: Source) -> None:
    """A folder with normal/ beside others is labelled pictures: fitting on it would call the novel ones normal."""
    if not isinstance(pictures, FolderSource) or not isinstance(source, str | Path):  # who names files means them
        return
    folders = {Path(file).parts[0] for file in pictures.files if len(Path(file).parts) > 1}
    normal = [folder for folder in folders if _is_normal(folder)]
    if normal and len(folders) > len(normal):
        raise InputError(f"{source} holds {normal[0]}/ beside other folders: name the normal pictures alone, {Path(source) / normal[0]}")


def _subfolders(source: Any, pictures: Source) -> NDArray[np.int64] | None:
    """The number of the folder below a folder that each picture lies in, (N,); None where a picture lies in none."""
    if not isinstance(pictures, FolderSource) or not isinstance(source, str | Path):
        return None
    parts = [Path(file).parts for file in pictures.files]
    return np.unique([part[0] for part in parts], return_inverse=True)[1] if min(map(len, parts)) > 1 else None


def _is_normal(folder: str | None) -> bool:
    return folder is not None and folder.casefold() in NORMAL_FOLDERS


def _groups(names: Sequence[str], where: Where) -> NDArray[np.int64] | None:
    """Pictures in whose names `group_by` finds the same text (its first group, if it has one) share a number; the rest stand alone.

    No text, which an expression such as `[0-9]*` finds everywhere, is nothing found.
    """
    group_by = where.group_by
    if group_by is None:
        return None
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise InputError(f"--group-by {group_by!r} is not a regular expression: {error}") from error
    found = [match[1 if pattern.groups else 0] if (match := pattern.search(name)) else None for name in names]
    if not any(found) and where.group_by_inherited:
        return None
    if not any(found):
        raise InputError(f"--group-by {group_by!r} matches no name, such as {names[0]}: give another expression, or leave it out")
    keys = [(text, -1) if text else ("", i) for i, text in enumerate(found)]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], np.int64)


def _groups_of(named: NamedSet, which: NDArray[np.int64], where: Where) -> NDArray[np.int64] | None:
    """The groups of some pictures of a set: its own, or those by their names.   Raises: InputError for a person's beside the set's own."""
    if named.groups is None:
        return _groups([named.source.names[i] for i in which], where)
    if where.group_by is not None and not where.group_by_inherited:
        raise InputError(f"--group-by {where.group_by!r} does nothing for {named.title}, which has groups of its own: leave it out")
    return named.groups[which]


def labelled_pictures(source: Any, where: Where) -> Selection:
    """The pictures to evaluate on: the folders normal/ (or good/) and any other beside it, or a protocol's test images of a named set."""
    if is_named(source):
        named, split = _split(source, where)
        assert where.normal is not None
        labels = is_novel(where.protocol, named.labels, class_index(named, where.normal))[split.test]
        tested = SubsetSource(named.source, split.test)
        title = f"{named.title}, {_class_words(named, where)}, {where.protocol}"
        return Selection(tested, title, labels, _groups_of(named, split.test, where), named.labels[split.test], named.classes)
    _refuse_choice(source, where)
    root = expanded(source)
    if not root.is_dir():
        raise InputError(f"{source} is neither a folder with normal/ and novel/ in it nor a named set ({', '.join(NAMES)})")
    pictures = FolderSource(root)
    folders = [Path(file).parts[0] if len(Path(file).parts) > 1 else None for file in pictures.files]
    labels = np.array([not _is_normal(folder) for folder in folders], np.int64)
    if len(set(folders) - {None}) < 2 or labels.all() or not labels.any():
        masks = f" ({masks})" if (masks := masks_words(pictures)) else ""
        raise InputError(f"{root} needs a folder normal/ and at least one other, such as novel/, with labelled pictures{masks}")
    if None in folders:
        loose = pictures.names[folders.index(None)]
        raise InputError(f"{root}: {loose} lies in neither normal/ nor another folder, so its label is not known: move it into one")
    names, classes = np.unique([str(folder) for folder in folders], return_inverse=True)
    return Selection(pictures, _title(source), labels, _groups(pictures.names, where), classes, tuple(map(printable, names.tolist())))


def pictures_by_class(source: Any, where: Where, *, test: bool = False) -> Labelled:
    """Pictures with their classes: of a folder its subfolders, of a named set all training images, or with `test` all test images.

    Raises: InputError for what has no classes, and for a folder's pictures that lie in no subfolder.
    """
    if is_named(source):
        named = load_named(source, data_roots=where.data_roots, attribute=where.attribute, download=where.download)
        which = np.flatnonzero(named.is_train != test)
        title = f"{named.title}, {'test' if test else 'training'} images"
        return Labelled(SubsetSource(named.source, which), title, named.labels[which], named.classes, _groups_of(named, which, where))
    _refuse_choice(source, where)
    if not isinstance(source, str | Path) or not expanded(source).is_dir():
        raise InputError(f"{_title(source)} is neither a folder with a subfolder for each class nor a named set ({', '.join(NAMES)})")
    pictures = FolderSource(expanded(source))
    parts = [Path(file).parts for file in pictures.files]
    loose = next((i for i, part in enumerate(parts) if len(part) < 2), None)
    if loose is not None:
        raise InputError(f"{source}: {pictures.names[loose]} lies in no subfolder, so its class is not known: move it into one")
    names, classes = np.unique([part[0] for part in parts], return_inverse=True)
    return Labelled(pictures, _title(source), classes, tuple(map(printable, names.tolist())), _groups(pictures.names, where))


def is_named(source: Any) -> bool:
    """Whether a person's SOURCE is a named set."""
    return isinstance(source, str) and source in NAMES


def _split(source: str, where: Where) -> tuple[NamedSet, Split]:
    named = load_named(source, data_roots=where.data_roots, attribute=where.attribute, download=where.download)
    if where.normal is None:
        raise InputError(f"{source} has several classes: say which is normal with --normal, one of {', '.join(named.classes)}")
    if where.protocol not in PROTOCOLS:
        raise InputError(f"--protocol {where.protocol} is not one of {', '.join(PROTOCOLS)}")
    if named.groups is not None and where.protocol in PARTING:
        raise InputError(
            f"--protocol {where.protocol} would put pictures of the same thing into both training and test in {named.title}: use standard"
        )
    split = PROTOCOLS[where.protocol](named.labels, named.is_train, class_index(named, where.normal), where.protocol_seed)
    return named, split


def _class_words(named: NamedSet, where: Where) -> str:
    assert where.normal is not None
    return f"{role(where.protocol)} = {named.classes[class_index(named, where.normal)]}"


def _refuse_choice(source: Any, where: Where) -> None:
    """Raises: InputError for a choice of class, protocol or attribute, of which a folder or an array has none."""
    choices = {
        "--normal": where.normal,
        "--protocol": None if where.protocol == Where.protocol else where.protocol,
        "--protocol-seed": where.protocol_seed or None,
        "--attribute": where.attribute,
    }
    for option, value in choices.items():
        if value is not None:
            raise InputError(f"{option} {value} is for the named sets ({', '.join(NAMES)}), and {_title(source)} is not one: leave it out")


def unchosen(where: Where) -> Where:
    """`where` without a choice of class, protocol and attribute: what it says of a folder beside a named set."""
    return replace(where, normal=None, protocol=Where.protocol, protocol_seed=0, attribute=None)


def _title(source: Any) -> str:
    return f"array {source.shape}" if isinstance(source, np.ndarray) else printable(str(source))


def describe(source: Any, where: Where) -> dict[str, Any] | None:
    """What detector.json keeps to find the pictures again, or None for arrays in memory."""
    if not isinstance(source, str | Path):
        return None
    named = is_named(source)
    return {
        "source": str(source) if named else os.path.realpath(expanded(source)),
        "normal": where.normal,
        "protocol": where.protocol,
        "protocol_seed": where.protocol_seed,
        "attribute": where.attribute,
        "group_by": where.group_by,
        "data_roots": [os.path.realpath(expanded(root)) for root in where.data_roots] if named else [],
    }


def grouped_as(where: Where, described: dict[str, Any] | None) -> Where:
    """`where` with the grouping of a detector's fit, unless it has one of its own.   Args: described: as `describe` gave it."""
    inherited = (described or {}).get("group_by") if where.group_by is None else None
    return where if inherited is None else replace(where, group_by=inherited, group_by_inherited=True)


def found_again(described: dict[str, Any], data_roots: Sequence[Path] = ()) -> tuple[str, Where]:
    """The inverse of `describe`.   Args: data_roots: where to look for a named set first."""
    known = {name: described[name] for name in ("normal", "protocol", "protocol_seed", "attribute", "group_by")}
    roots = (*data_roots, *map(Path, described.get("data_roots", ())))
    where = Where(**known, data_roots=roots)
    return described["source"], where if is_named(described["source"]) else unchosen(where)


def pictures_of_the_fit(
    described: dict[str, Any] | None, read: Callable[[Source], T], data_roots: Sequence[Path] = ()
) -> tuple[Selection, T] | None:
    """The normal pictures that `describe` described, and what `read` makes of them. Nothing is downloaded.

    Returns: None when they are not at hand any more, or are now such that `read` refuses them.
    """
    if described is None:
        return None
    source, where = found_again(described, data_roots)
    try:
        chosen = normal_pictures(source, replace(where, download=False))
        return chosen, read(chosen.source)
    except InputError:
        return None


def as_the_fit(source: Any, where: Where, described: dict[str, Any] | None) -> Where:
    """`where`, with the class and protocol of a fit where a person says nothing of them and `source` is the fit's named set.

    The fit's grouping is taken over as by `grouped_as`.
    """
    plain = Where(attribute=where.attribute, group_by=where.group_by, data_roots=where.data_roots)
    if where == plain and is_named(source) and described is not None and described["source"] == source:
        was = found_again(described, where.data_roots)[1]
        where = replace(was, attribute=where.attribute or was.attribute, group_by=where.group_by)
    return grouped_as(where, described)
