"""Checked downloads of the freely available sets into the user's cache: published checksums, whole or not at all."""

import contextlib
import json
import logging
import os
import shutil
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from urllib.parse import urlsplit

from novelette.errors import InputError
from novelette.files import expanded, reason
from novelette.words import install_words

Progress = Callable[[str, int, int], None]  # file, bytes done, bytes in all (0 when unknown)
MARKER = "novelette.json"  # written beside a verified download
TIMEOUT_S = 30


@dataclass(frozen=True)
class File:
    """A file to fetch: name, where it may be had, in order, and its published checksum as `algorithm:hex`; none is published of some, which
    `fetch` must then be given a hash of all contents for that refuses others."""

    name: str
    urls: tuple[str, ...]
    checksum: str


@dataclass(frozen=True)
class Download:
    """What to fetch for a set, and where it goes below the cache. `members`: endings of the files to take out of an archive."""

    folder: str
    files: tuple[File, ...]
    members: tuple[str, ...] = ()


def _idx(folder: str, mirrors: tuple[str, ...], md5: Mapping[str, str]) -> Download:
    return Download(folder, tuple(File(f + ".gz", tuple(m + f + ".gz" for m in mirrors), "md5:" + md5[f]) for f in md5))


COLUMBIA = tuple(f"https://{place}/databases/SLAM_coil-20_coil-100/" for place in ("cave.cs.columbia.edu/old", "www.cs.columbia.edu/CAVE"))
# Checksums as published: MNIST's by torchvision, Fashion-MNIST's by its authors, CIFAR-10's and COIL-100's by tensorflow/datasets,
# COIL-20's by google-deepmind/dm_nevis (Columbia publishes none).
DOWNLOADS: Mapping[str, Download] = MappingProxyType(
    {
        "mnist": _idx(
            "mnist",
            ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
            {
                "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
                "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
                "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
            },
        ),
        "fashion-mnist": _idx(
            "fashion_mnist",
            (
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            ),
            {
                "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
                "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
                "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
            },
        ),
        "cifar10": Download(
            "cifar10/cifar-10-batches-bin",
            (
                File(
                    "cifar-10-binary.tar.gz",
                    (
                        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                        "https://cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz",
                    ),
                    "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                ),
            ),
            members=(".bin", "batches.meta.txt"),
        ),
        "coil20": Download(
            "coil20/images",
            (
                File(
                    "coil-20-proc.zip",
                    tuple(place + "coil-20/coil-20-proc.zip" for place in COLUMBIA),
                    "md5:464dec76a6abfcd00e8de6cf1e7d0acc",
                ),
            ),
            members=(".png",),
        ),
        "coil100": Download(
            "coil100/images",
            (
                File(
                    "coil-100.zip",
                    tuple(place + "coil-100/coil-100.zip" for place in COLUMBIA),
                    "sha256:fcb4b8b01c0778f416d8d7a09f45082c4f7075cc74743dcddd5c44307bd4afe7",
                ),
            ),
            members=(".png",),
        ),
    }
)


def cache_folder() -> Path:
    """The user's cache folder for novelette, below XDG_CACHE_HOME or where the system has its caches; it need not exist."""
    if given := os.environ.get("XDG_CACHE_HOME"):
        base = Path(given)
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or expanded("~/AppData/Local"))
    elif sys.platform == "darwin":
        base = expanded("~/Library/Caches")
    else:
        base = expanded("~/.cache")
    return base / "novelette"


def fetch(download: Download, cache: Path, sha256: Callable[[Path], str], progress: Progress | None = None) -> Path:
    """Fetches a set's files, checks them, unpacks them, and puts the finished folder into the cache in one move.

    An interrupted or refused download leaves nothing that could be taken for the set. Files are tried from each of their addresses.

    Args:
        sha256: hash of the contents of a folder: kept in the marker, so that files changed later lose their title. It may refuse them.
        progress: told of every chunk; by default a bar on the terminal.
    Returns: the folder. Raises: InputError in half a sentence, for the caller to finish with what else can be done.
    """
    target = cache / download.folder
    with contextlib.ExitStack() as stack:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".download-", dir=target.parent)))
            ready = work / "ready"
            ready.mkdir()
            report = progress or stack.enter_context(_bar())
            for file in download.files:
                place = work if download.members else ready
                path = _fetch_file(file, place, report)
                if download.members:
                    _unpack(path, ready, download.members)
            (ready / MARKER).write_text(json.dumps({"sha256": sha256(ready)}) + "\n")
            if target.is_dir() and not any(target.iterdir()):
                target.rmdir()
            os.replace(ready, target)
        except OSError as error:
            if verified_sha256(target) is not None:  # another process has fetched it meanwhile
                return target
            raise InputError(f"{target} cannot be written ({reason(error)})") from error
    return target


def verified_sha256(folder: Path) -> str | None:
    """The hash that a verified download left beside its files, or None."""
    try:
        found = json.loads((folder / MARKER).read_text())
    except (OSError, ValueError):
        return None
    value = found.get("sha256") if isinstance(found, dict) else None
    return value if isinstance(value, str) else None


class _Report:
    """What pooch wants of a progress bar: it sets `total` and calls the three methods."""

    def __init__(self, name: str, progress: Progress) -> None:
        self.name, self.progress, self.total, self.done = name, progress, 0, 0

    def update(self, n: int) -> None:
        self.done += n
        self.progress(self.name, min(self.done, self.total) if self.total else self.done, self.total)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        """The caller's bar outlives the file."""


def _fetch_file(file: File, folder: Path, progress: Progress) -> Path:
    """One file from the first of its addresses that gives it with the right checksum. Raises: InputError."""
    try:
        import pooch
        import requests
    except ImportError as error:
        raise InputError(f"downloads need the package pooch: {install_words('train')}") from error
    logging.getLogger("pooch").setLevel(logging.ERROR)
    pooch.get_logger().setLevel(logging.ERROR)
    reasons = []
    for url in file.urls:
        host = urlsplit(url).netloc
        downloader = pooch.HTTPDownloader(progressbar=_Report(file.name, progress), timeout=TIMEOUT_S)
        try:
            return Path(pooch.retrieve(url, file.checksum or None, fname=file.name, path=folder, downloader=downloader))
        except requests.HTTPError as error:
            reasons.append(f"{host} answered {error.response.status_code if error.response is not None else 'with an error'}")
        except requests.Timeout:
            reasons.append(f"{host} did not answer in time")
        except requests.exceptions.ChunkedEncodingError:
            reasons.append(f"the connection to {host} broke off")
        except requests.RequestException:
            reasons.append(f"no connection to {host}")
        except ValueError:
            reasons.append(f"what {host} sent has another checksum than the one published")
    raise InputError(f"{file.name} could not be downloaded ({'; '.join(dict.fromkeys(reasons))})")


def _unpack(archive: Path, folder: Path, members: tuple[str, ...]) -> None:
    """Plain files of an archive whose names end as `members` say, into one flat folder: no path of the archive is followed."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as zipped:
            for name in zipped.namelist():
                if name.endswith(members):
                    with zipped.open(name) as source, open(folder / PurePosixPath(name).name, "wb") as target:
                        shutil.copyfileobj(source, target)
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() and member.name.endswith(members) else None
            if content is not None:
                with open(folder / PurePosixPath(member.name).name, "wb") as target:
                    shutil.copyfileobj(content, target)


@contextlib.contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        tasks = {}

        def progress(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total or None)
            bar.update(tasks[name], completed=done, total=total or None)

        yield progress
