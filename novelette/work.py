"""The work folder of a run: log and checkpoints, beside what the run is to become. One process at a time works there."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from novelette import checkpoint
from novelette.errors import InputError
from novelette.store import LOG

MARK = "made-by-novelette"  # tells a work folder from whatever else has its name
FORCED = "forced"  # stands in the work of a run that was told --force
LOCK = "lock"
VECTORS = "vectors"  # a folder: what a network saw in the pictures of a tagger


def folder_of(output: Path) -> Path:
    """Where the run works that is to become `output`."""
    return output.parent / f"{output.name}.run"


def waits(folder: Path) -> bool:
    """Whether a stopped run can go on there."""
    return (folder / checkpoint.NAME).exists()


def was_forced(folder: Path) -> bool:
    """Whether the run that stopped there was told --force."""
    return (folder / FORCED).exists()


def keep_forced(folder: Path, forced: bool) -> None:
    """Keep whether a run was told --force, before it trains: a process that is killed says nothing any more."""
    (folder / FORCED).touch() if forced else (folder / FORCED).unlink(missing_ok=True)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The work folder, made where there is none, for this process alone; gone in the end if no work is left in it.

    The lock of a process that is killed is its system's to undo.
    Raises: InputError, with nothing changed, for a folder that is no run's, or where another process works.
    """
    if folder.exists() and not (folder / MARK).exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder} is where this run would keep its work, and something else is there: move it away, or give another -o")
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise InputError(f"another novelette is at work in {folder}: wait until it ends, or give another -o") from error
    try:
        yield
    finally:
        if {path.name for path in folder.glob("*")} <= {MARK, FORCED, LOCK}:
            remove(folder)
        lock.release()
        for path in made:
            with suppress(OSError):  # it holds something by now
                path.rmdir()


def remove(folder: Path) -> None:
    """Remove a run's work; what a person has put beside it stays."""
    shutil.rmtree(folder / VECTORS, ignore_errors=True)
    for name in (checkpoint.NAME, checkpoint.PART, LOG, FORCED, MARK):
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):  # on Windows the lock goes when it is released
        (folder / LOCK).unlink(missing_ok=True)
        folder.rmdir()
