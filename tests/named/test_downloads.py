"""Downloads of named sets, from a server on this machine: checked, whole or not at all."""

import functools
import hashlib
import http.server
import io
import os
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from named.made_sets import DATA, needs_data, write_cifar, write_mnist
from PIL import Image

from novelette.data import download, named
from novelette.data.download import MARKER, Download, File
from novelette.data.formats import IDX_FILES
from novelette.data.named import load_named
from novelette.errors import InputError


class Server:
    """Serves a folder on the loopback address; `cut` makes it hang up in the middle of every file."""

    def __init__(self, folder: Path) -> None:
        self.cut, self.hits = False, list[str]()
        outer = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                outer.hits.append(self.path)

            def do_GET(self) -> None:
                if not outer.cut:
                    return super().do_GET()
                outer.hits.append(self.path)
                content = (folder / self.path[1:]).read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2])

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    pytest.importorskip("pooch", reason="needs the extra train")
    (tmp_path / "served").mkdir()
    running = Server(tmp_path / "served")
    yield running
    running.server.shutdown()
    running.server.server_close()


def offer(
    monkeypatch: pytest.MonkeyPatch, name: str, folder: str, files: Mapping[Path, tuple[str, ...]], members: tuple[str, ...] = ()
) -> None:
    listed = tuple(File(p.name, urls, "sha256:" + hashlib.sha256(p.read_bytes()).hexdigest()) for p, urls in files.items())
    monkeypatch.setattr(named, "DOWNLOADS", {name: Download(folder, listed, members)})


def offer_mnist(monkeypatch: pytest.MonkeyPatch, server: Server, served: Path) -> None:
    write_mnist(served)
    offer(monkeypatch, "mnist", "mnist", {p: (server.url + p.name,) for p in sorted(served.glob("*.gz"))})


def test_a_set_is_downloaded_once_with_progress_and_known_by_its_marker(
    server: Server, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_mnist(monkeypatch, server, tmp_path / "served")
    told: list[tuple[str, int, int]] = []
    mnist = load_named("mnist", progress=lambda *what: told.append(what))
    assert mnist.title == "MNIST"
    assert len(mnist.source) == 40
    assert len(server.hits) == 4
    size = (tmp_path / "served" / "train-images-idx3-ubyte.gz").stat().st_size
    assert told[-1][1] == told[-1][2]
    assert ("train-images-idx3-ubyte.gz", size, size) in told
    assert sorted(p.name for p in (cache / "mnist").iterdir() if p.name != MARKER) == sorted(n + ".gz" for n in IDX_FILES)
    assert load_named("mnist").title == "MNIST"
    assert len(server.hits) == 4, "fetched twice"
    write_mnist(cache / "mnist", seed=9)  # files changed behind the marker's back
    assert load_named("mnist").title == "MNIST (other contents)"


def test_of_two_downloads_at_a_time_the_later_one_takes_what_the_other_has_put_there(
    server: Server, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_mnist(monkeypatch, server, tmp_path / "served")
    replace, moves = os.replace, list[str]()

    def overtaken(ready: Path, target: Path) -> None:
        moves.append(ready.name)
        shutil.copytree(ready, target)
        replace(ready, target)

    monkeypatch.setattr("novelette.data.download.os.replace", overtaken)
    assert load_named("mnist").title == "MNIST"
    assert moves == ["ready"]
    assert not list(cache.glob(".download-*"))


def test_an_archive_is_unpacked_flat_and_cifar10_gets_its_plain_title(
    server: Server, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar(tmp_path / "cifar-10-batches-bin")
    archive = tmp_path / "served" / "cifar-10-binary.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(tmp_path / "cifar-10-batches-bin", "cifar-10-batches-bin")
        evil = tarfile.TarInfo("../../evil.bin")
        tar.addfile(evil, io.BytesIO(b""))
    offer(monkeypatch, "cifar10", "cifar10/cifar-10-batches-bin", {archive: (server.url + archive.name,)}, (".bin",))
    assert load_named("cifar10").title == "CIFAR-10"
    assert [p.parent for p in tmp_path.rglob("evil.bin")] == [cache / "cifar10" / "cifar-10-batches-bin"]
    assert [p.name for p in (cache / "cifar10").iterdir()] == ["cifar-10-batches-bin"], "the archive or a work folder was left"


def test_a_zip_of_coil_is_unpacked(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "served" / "coil-20-proc.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        encoded = io.BytesIO()
        Image.new("L", (8, 8), 3).save(encoded, "PNG")
        for k in range(20 * 72):
            zipped.writestr(f"coil-20-proc/obj{k // 72 + 1}__{k % 72}.png", encoded.getvalue())
    offer(monkeypatch, "coil20", "coil20/images", {archive: (server.url + archive.name,)}, (".png",))
    coil = load_named("coil20")
    assert coil.title == "COIL-20"
    assert len(coil.source) == 1440
    assert coil.classes[19] == "obj20"


def test_a_wrong_checksum_is_refused_and_leaves_nothing(
    server: Server, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_mnist(monkeypatch, server, tmp_path / "served")
    (tmp_path / "served" / "t10k-labels-idx1-ubyte.gz").write_bytes(b"something else")
    with pytest.raises(InputError, match=r"another checksum than the one published.*--data-root or NOVELETTE_DATA") as caught:
        load_named("mnist")
    assert "t10k-labels-idx1-ubyte.gz" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(cache.iterdir())


def test_a_broken_connection_leaves_nothing_and_the_next_call_succeeds(
    server: Server, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_mnist(monkeypatch, server, tmp_path / "served")
    server.cut = True
    with pytest.raises(InputError, match=r"broke off|checksum"):
        load_named("mnist")
    assert not list(cache.iterdir())
    server.cut = False
    assert load_named("mnist").title == "MNIST"


def test_ctrl_c_in_a_download_leaves_nothing(server: Server, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer_mnist(monkeypatch, server, tmp_path / "served")

    def stop(name: str, done: int, total: int) -> None:
        if name.startswith("train-images"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_named("mnist", progress=stop)
    assert not list(cache.iterdir())


def test_the_next_address_is_tried_when_one_fails(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path / "served")
    files = {p: (server.url + "gone/" + p.name, server.url + p.name) for p in sorted((tmp_path / "served").glob("*.gz"))}
    offer(monkeypatch, "mnist", "mnist", files)
    assert load_named("mnist").title == "MNIST"


def test_offline_is_one_sentence_with_the_place_to_put_the_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("pooch", reason="needs the extra train")
    closed = ("http://127.0.0.1:9/x.gz",)  # the discard port: nobody listens
    monkeypatch.setattr(named, "DOWNLOADS", {"mnist": Download("mnist", (File("x.gz", closed, "md5:0"),))})
    expected = r"no connection to 127\.0\.0\.1:9.*put mnist/ with train-images-idx3-ubyte\.gz.*--data-root"
    with pytest.raises(InputError, match=expected) as caught:
        load_named("mnist")
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_written_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match="cannot be written"):
        load_named("mnist")


def test_published_checksums_are_whole() -> None:
    for offered in download.DOWNLOADS.values():
        for file in offered.files:
            algorithm, digest = file.checksum.split(":")
            assert len(bytes.fromhex(digest)) == hashlib.new(algorithm).digest_size


@needs_data
def test_the_shared_labels_of_fashion_mnist_have_the_published_checksum() -> None:
    for file in download.DOWNLOADS["fashion-mnist"].files:
        if "labels" in file.name:  # the images there were zipped anew
            digest = hashlib.md5((DATA / "fashion_mnist" / file.name).read_bytes()).hexdigest()
            assert file.checksum == f"md5:{digest}"
