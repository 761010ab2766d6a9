"""Files and folders that are written whole or not at all."""

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path

from novelette.errors import InputError

LITTER = frozenset((".DS_Store", "Thumbs.db", "desktop.ini"))  # what file managers leave in folders that somebody looks at


def write_file(path: Path, content: str | bytes) -> Path:
    """Write a file that a person asked for, whole or not at all.   Returns: its path.   Raises: InputError when the system says no."""
    try:
        write_whole(path.absolute(), content)
    except OSError as error:
        raise InputError(f"cannot write {path}: {reason(error)}; nothing was changed there") from error
    return path


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file beside `path` and move it there, so that nobody ever sees half of it.   Raises: OSError; `path` is then as it was.

    What is no text, such as bytes in a file's name that are not UTF-8, is written as \\udcff.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = _beside(path)
    try:
        with new.open("xb") as file:
            file.write(content.encode(errors="backslashreplace") if isinstance(content, str) else content)
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _beside(path: Path) -> Path:
    """A new hidden and short name in the folder of `path`. What `tempfile` makes is its owner's alone; this is as the umask says."""
    return path.absolute().with_name(f".novelette-{secrets.token_hex(4)}")


def _followed(path: Path) -> Path:
    """Where a link leads; any other path as it is."""
    return path.resolve() if path.exists() else path.absolute()


def check_folder(path: Path, card: str, kind: str, more: Container[str], *, force: bool) -> None:
    """Refuse, before any work, an output folder that cannot be written, or that must not be replaced. Raises: InputError.

    Args: card: the file that only a folder of this kind has.   kind: what the folder is, such as "a detector".   more: the other files that
        it has; a folder that holds anything else is not replaced.
    """
    if path.is_symlink() or path.exists():
        if not force:
            raise InputError(f"{path} exists: give --force to replace it, or another -o")
        if not (path / card).is_file():
            raise InputError(f"{path} exists and is not {kind}, so --force does not replace it: give another -o")
        there = {found.name for found in path.iterdir()} - LITTER - {card}
        if others := sorted(name for name in there if name not in more):
            raise InputError(f"{path} holds {others[0]}, which is not part of {kind} and would be lost: move it away")
    check_writable(_followed(path).parent)


def check_writable(folder: Path) -> None:
    """Refuse a folder in which no file can be made, or whose nearest parent that is there takes none, such as a link that leads nowhere.

    Makes nothing.   Raises: InputError.
    """
    there = next(parent for parent in (folder, *folder.absolute().parents) if os.path.lexists(parent))
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(f"cannot write to {there}: {reason(error)}; give another folder") from error


def expanded(path: Path | str) -> Path:
    """A path with ~ as the folder that it stands for.   Raises: InputError where nobody has that home."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{path}: there is no such home folder; give the whole path") from error


def reason(error: OSError) -> str:
    """Why the system said no, in a few words."""
    return "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else (error.strerror or str(error)).lower()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new folder that takes the place of `path`, or of what it links to, once its block has ended well; until then, all is as it was."""
    path = _followed(path)
    new, old = _beside(path), _beside(path)
    try:
        new.mkdir(parents=True)
        yield new
        if path.exists():
            old.mkdir()
            try:
                os.rename(path, old / path.name)
                os.rename(new, path)
            except BaseException:
                if not path.exists():
                    os.rename(old / path.name, path)
                raise
        else:
            os.rename(new, path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {reason(error)}; nothing was changed there") from error
    finally:
        for leftover in (new, old):
            if (leftover / path.name).exists() and not path.exists():  # the way back failed too: this is the only copy
                continue
            shutil.rmtree(leftover, ignore_errors=True)
