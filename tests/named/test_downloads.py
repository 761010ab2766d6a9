"""Named sets: found, read, checked, downloaded; and what a person sees when something is wrong."""

import contextlib
import functools
import gzip
import hashlib
import http.server
import io
import os
import pickle
import shutil
import struct
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from novelette.data import download, named
from novelette.data.download import MARKER, Download, File
from novelette.data.formats import CIFAR_FILES, CIFAR_RECORD, IDX_FILES, read_coil, read_idx, read_idx_set
from novelette.data.magnetic_tile import COMES_BACK, GAP, TWO_FACED, tile_groups, training_tiles
from novelette.data.named import NAMES, class_index, load_named
from novelette.data.roots import search_order
from novelette.errors import InputError
from novelette.localization import mask_of

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the real sets in ../shared/data")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and no NOVELETTE_DATA, so that no test sees a person's own."""
    monkeypatch.delenv("NOVELETTE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return tmp_path / "caches" / "novelette"


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(folder: Path, n_train: int = 30, n_test: int = 10, zipped: bool = True, seed: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for part, n in (("train", n_train), ("t10k", n_test)):
        for kind, array in (
            ("images-idx3", rng.integers(0, 256, (n, 28, 28), np.uint8)),
            ("labels-idx1", (np.arange(n) % 10).astype(np.uint8)),
        ):
            content = idx(array)
            path = folder / f"{part}-{kind}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(content, mtime=0) if zipped else content)


def write_cifar(folder: Path, value: int = 7) -> None:
    folder.mkdir(parents=True)
    for name in CIFAR_FILES:
        records = np.full((10_000, CIFAR_RECORD), value, np.uint8)
        records[:, 0] = np.arange(10_000) % 10
        records[:, 1:1025] = 200  # the red plane
        records.tofile(folder / name)


def write_picture(path: Path, size: tuple[int, int] = (16, 16), colour: int | tuple[int, ...] = 9, mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


# --- finding


def test_an_unknown_name_lists_the_names() -> None:
    with pytest.raises(InputError, match=r"choose one of digits, mnist, .*lsun"):
        load_named("imagenet")


@pytest.mark.parametrize("name", [n for n in NAMES if n != "digits"])
def test_a_set_that_is_nowhere_is_one_sentence_with_the_place_and_the_source(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_named(name, data_roots=[tmp_path], attribute="Bald" if name == "celeba" else None, download=False)
    message = str(caught.value)
    assert "\n" not in message
    assert "--data-root" in message
    assert "NOVELETTE_DATA" in message
    assert "https://" in message
    assert str(tmp_path) in message


def test_roots_are_searched_in_order_given_then_variable_then_cache(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for k, root in enumerate((tmp_path / "a", tmp_path / "b", cache)):
        write_mnist(root / "mnist", seed=k)
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("NOVELETTE_DATA", os.pathsep.join([str(tmp_path / "gone"), str(tmp_path / "b")]))
    searched = [*(tmp_path / folder for folder in ("empty", "a", "gone", "b")), cache]
    assert search_order([tmp_path / "empty", tmp_path / "a"]) == searched

    def first_pixels(*given: Path) -> list[int]:
        return load_named("mnist", data_roots=given).source.read(0)[0].tolist()

    expected = [np.random.default_rng(k).integers(0, 256, (30, 28, 28), np.uint8)[0, 0].tolist() for k in range(3)]
    assert first_pixels(tmp_path / "empty", tmp_path / "a") == expected[0]
    assert first_pixels(tmp_path / "empty") == expected[1]
    monkeypatch.delenv("NOVELETTE_DATA")
    assert first_pixels() == expected[2]


def test_a_data_root_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone is not a folder: check --data-root"):
        load_named("mnist", data_roots=[tmp_path / "gone"])


def test_the_sets_own_folder_serves_as_root(tmp_path: Path) -> None:
    write_mnist(tmp_path / "mnist")
    assert len(load_named("mnist", data_roots=[tmp_path / "mnist"]).source) == 40
    with pytest.raises(InputError):  # MNIST's files look like Fashion-MNIST's: only the folder's name tells
        load_named("fashion-mnist", data_roots=[tmp_path / "mnist"], download=False)


def test_classes_are_found_by_name_or_number(tmp_path: Path) -> None:
    write_mnist(tmp_path / "fashion_mnist")
    fashion = load_named("fashion-mnist", data_roots=[tmp_path])
    assert [class_index(fashion, c) for c in ("Ankle boot", "ankle-boot", "9", "t-shirt/TOP", "0")] == [9, 9, 9, 0, 0]
    for wrong in ("10", "boot", "-1", "", "²"):
        with pytest.raises(InputError, match=r"has no class .*: choose one of 0 T-shirt/top, 1 Trouser"):
            class_index(fashion, wrong)


# --- IDX


@pytest.mark.parametrize("zipped", [True, False])
def test_mnist_is_read_zipped_or_plain_and_unknown_contents_are_stamped(tmp_path: Path, zipped: bool) -> None:
    write_mnist(tmp_path / "mnist", zipped=zipped)
    mnist = load_named("mnist", data_roots=[tmp_path])
    assert mnist.title == "MNIST (other contents)"
    assert mnist.labels.tolist() == [*(i % 10 for i in range(30)), *range(10)]
    assert mnist.is_train.tolist() == [True] * 30 + [False] * 10
    assert mnist.source.names[29:31] == ("train/00029", "test/00000")
    expected = np.random.default_rng(0).integers(0, 256, (30, 28, 28), np.uint8)
    assert np.array_equal(mnist.source.read(17), expected[17])


GOOD = idx(np.arange(8, dtype=np.uint8).reshape(2, 2, 2))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "no IDX file"),
        (b"\x89PNG\r\n", "no IDX file"),
        (b"\0\0\x0d\x01" + GOOD[4:], "no IDX file"),
        (GOOD[:3], "no IDX file"),
        (GOOD[:9], "truncated"),
        (GOOD[:-1], "truncated"),
        (GOOD + b"x", "more than its head"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "truncated"),
    ],
)
def test_a_bad_idx_file_is_named_with_its_fault(tmp_path: Path, content: bytes, fault: str) -> None:
    for suffix, packed in (("", content), (".gz", gzip.compress(content))):
        path = tmp_path / f"train-images-idx3-ubyte{suffix}"
        path.write_bytes(packed)
        with pytest.raises(InputError, match=fault) as caught:
            read_idx(path)
        assert str(path) in str(caught.value)


def test_a_cut_gzip_file_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(GOOD)[:-9])
    with pytest.raises(InputError, match="truncated"):
        read_idx(path)


@given(st.binary(max_size=60), st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_an_array_or_an_input_error(tmp_path: Path, content: bytes, plausible: bool) -> None:
    path = tmp_path / "x-ubyte"
    path.write_bytes(b"\0\0\x08" + content if plausible else content)
    with contextlib.suppress(InputError):  # any other error fails the test
        assert read_idx(path).dtype == np.uint8


def test_idx_files_of_another_shape_or_count_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "mnist"
    write_mnist(folder, zipped=False)
    wide = np.zeros((30, 28, 29), np.uint8)
    (folder / "train-images-idx3-ubyte").write_bytes(idx(wide))
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte holds an array \(30, 28, 29\)"):
        read_idx_set(folder)
    write_mnist(folder, zipped=False)
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(9, np.uint8)))
    with pytest.raises(InputError, match="t10k-labels-idx1-ubyte holds labels"):
        read_idx_set(folder)
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(np.full(10, 11, np.uint8)))
    with pytest.raises(InputError, match="the label 11"):
        read_idx_set(folder)
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match=r"lacks t10k-labels-idx1-ubyte\.gz"):
        load_named("mnist", data_roots=[tmp_path])


# --- CIFAR-10


@pytest.mark.parametrize("below", ["cifar10/cifar-10-batches-bin", "cifar-10-batches-bin", "."])
def test_cifar10_is_found_below_a_root_or_as_the_root(tmp_path: Path, below: str) -> None:
    folder = tmp_path / "root" / below
    write_cifar(folder)
    cifar = load_named("cifar10", data_roots=[tmp_path / "root"])
    assert (len(cifar.source), cifar.is_train.sum(), cifar.title) == (60_000, 50_000, "CIFAR-10 (other contents)")
    assert cifar.source.read(5).shape == (32, 32, 3)
    assert cifar.source.read(5)[0, 0].tolist() == [200, 7, 7]
    assert class_index(cifar, "automobile") == class_index(cifar, "1") == 1


def test_a_cut_missing_or_wrong_cifar_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    write_cifar(folder)
    last = folder / "data_batch_3.bin"
    content = last.read_bytes()
    last.write_bytes(content[:-CIFAR_RECORD])
    with pytest.raises(InputError, match=r"data_batch_3\.bin is truncated"):
        load_named("cifar10", data_roots=[tmp_path])
    last.write_bytes(b"\x0b" + content[1:])
    with pytest.raises(InputError, match="the label 11"):
        load_named("cifar10", data_roots=[tmp_path])
    last.unlink()
    with pytest.raises(InputError, match=r"data_batch_3\.bin is missing"):
        load_named("cifar10", data_roots=[tmp_path])


# --- COIL


@pytest.mark.parametrize(("suffix", "step"), [("png", 1), ("ppm", 5)])
def test_coil_views_are_read_in_order_of_object_and_angle(tmp_path: Path, suffix: str, step: int) -> None:
    for obj in range(1, 13):
        for k in range(72):
            write_picture(tmp_path / f"obj{obj}__{k * step}.{suffix}", (4, 5), (obj, k, 0), "RGB")
    arrays = read_coil(tmp_path, 12)
    assert arrays.pixels.shape == (864, 5, 4, 3)
    assert arrays.is_train.all()
    assert arrays.labels.tolist() == [k // 72 for k in range(864)]
    assert arrays.pixels[:, 0, 0, 0].tolist() == [k // 72 + 1 for k in range(864)]
    assert arrays.pixels[:, 0, 0, 1].tolist() == [k % 72 for k in range(864)]
    (tmp_path / f"obj2__{3 * step}.{suffix}").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"obj2__.* cannot be read as a picture"):
        read_coil(tmp_path, 12)
    (tmp_path / f"obj2__{3 * step}.{suffix}").unlink()
    with pytest.raises(InputError, match="71 views of obj2"):
        read_coil(tmp_path, 12)
    write_picture(tmp_path / f"obj2__{3 * step}.{suffix}", (9, 9), (0, 0, 0), "RGB")
    with pytest.raises(InputError, match="has the shape"):
        read_coil(tmp_path, 12)


# --- digits


def test_digits_are_scaled_to_bytes_and_two_thirds_of_each_class_train() -> None:
    digits = load_named("digits")
    pixels = np.stack([digits.source.read(i) for i in range(len(digits.source))])
    assert pixels.shape == (1797, 8, 8)
    assert pixels.dtype == np.uint8
    assert (pixels.min(), pixels.max()) == (0, 255)
    for c in range(10):
        n = int((digits.labels == c).sum())
        assert int(digits.is_train[digits.labels == c].sum()) == round(2 * n / 3)
    assert np.array_equal(digits.is_train, load_named("digits").is_train)


# --- CelebA, LSUN


def write_celeba(folder: Path, n: int = 20, partition: bool = True) -> None:
    rows = []
    for i in range(1, n + 1):
        write_picture(folder / "img_align_celeba" / f"{i:06d}.jpg", (178, 218), (i, 0, 0), "RGB")
        rows.append(f"{i:06d}.jpg {'1' if i % 4 == 0 else '-1'}  -1")
    (folder / "list_attr_celeba.txt").write_text(f"{n}\nBald Wearing_Hat\n" + "\n".join(rows) + "\n")
    if partition:
        part = [f"{i:06d}.jpg {0 if i <= 12 else 1 if i <= 15 else 2}" for i in range(1, n + 1)]
        (folder / "list_eval_partition.txt").write_text("\n".join(part) + "\n")


def test_celeba_crops_the_middle_and_takes_an_absent_attribute_as_normal(tmp_path: Path) -> None:
    write_celeba(tmp_path / "celeba")
    faces = load_named("celeba", data_roots=[tmp_path], attribute="bald")
    assert faces.source.read(0).shape == (140, 140, 3)
    assert len(faces.source) == 17  # the three validation faces are left out
    assert faces.source.names[11:13] == ("000012.jpg", "000016.jpg")
    assert faces.labels.tolist() == [int(int(n[:6]) % 4 == 0) for n in faces.source.names]
    assert faces.is_train.tolist() == [True] * 12 + [False] * 5
    assert faces.classes == ("absent", "present")
    assert class_index(faces, "absent") == 0
    with pytest.raises(InputError, match="no attribute Beard: choose --attribute from Bald, Wearing_Hat"):
        load_named("celeba", data_roots=[tmp_path], attribute="Beard")
    with pytest.raises(InputError, match="needs an attribute"):
        load_named("celeba", data_roots=[tmp_path])


def test_celeba_without_its_partition_trains_on_four_fifths_of_either_class(tmp_path: Path) -> None:
    write_celeba(tmp_path / "celeba", partition=False)
    faces = load_named("celeba", data_roots=[tmp_path], attribute="Bald")
    assert np.bincount(faces.labels[faces.is_train]).tolist() == [12, 4]


@pytest.mark.parametrize("content", ["", "20\n", "20\nBald\n000001.jpg maybe\n", "20\nBald\n000001.jpg 1 1\n"])
def test_a_damaged_attribute_list_is_named(tmp_path: Path, content: str) -> None:
    write_celeba(tmp_path / "celeba", n=4)
    (tmp_path / "celeba" / "list_attr_celeba.txt").write_text(content)
    with pytest.raises(InputError, match=r"list_attr_celeba\.txt"):
        load_named("celeba", data_roots=[tmp_path], attribute="Bald")


def test_an_attribute_is_refused_elsewhere() -> None:
    with pytest.raises(InputError, match="--attribute Bald is CelebA's"):
        load_named("digits", attribute="Bald")


def test_lsun_is_read_from_exported_images_with_their_own_split(tmp_path: Path) -> None:
    for room, n in (("bedroom_train", 6), ("bedroom_val", 2), ("conference_room", 5)):
        for i in range(n):
            write_picture(tmp_path / "lsun" / room / "a" / f"{i}.webp", (20, 16), (i, 0, 0), "RGB")
    rooms = load_named("lsun", data_roots=[tmp_path])
    assert rooms.labels.tolist() == [0] * 8 + [1] * 5
    assert rooms.is_train[:8].tolist() == [True] * 6 + [False] * 2
    assert rooms.is_train[8:].sum() == 4
    assert rooms.source.names[6] == "bedroom_val/a/0.webp"
    assert rooms.source.read(12).shape == (16, 20, 3)
    assert rooms.classes == ("bedroom", "conference_room")


def test_lsun_is_read_from_its_lmdb(tmp_path: Path) -> None:
    lmdb = pytest.importorskip("lmdb", reason="needs the extra data")
    for room, n in (("bedroom_train", 3), ("bedroom_val", 2), ("conference_room_train", 2), ("conference_room_val", 2)):
        folder = tmp_path / "lsun" / f"{room}_lmdb"
        folder.mkdir(parents=True)
        with lmdb.open(str(folder), map_size=1 << 20) as environment, environment.begin(write=True) as transaction:
            for i in range(n):
                encoded = io.BytesIO()
                Image.new("RGB", (20, 16), (50 * i, 0, 0)).save(encoded, "WEBP", lossless=True)
                transaction.put(f"key{i}".encode(), encoded.getvalue())
    rooms = load_named("lsun", data_roots=[tmp_path])
    assert rooms.labels.tolist() == [0] * 5 + [1] * 4
    assert rooms.is_train.tolist() == [True] * 3 + [False] * 2 + [True] * 2 + [False] * 2
    assert rooms.source.names[2] == "bedroom_train_lmdb/key2"
    copy = pickle.loads(pickle.dumps(rooms.source))  # as a worker process gets it
    assert copy.read(2)[0, 0].tolist() == rooms.source.read(2)[0, 0].tolist() == [100, 0, 0]


def test_lsun_with_one_class_only_says_what_is_missing(tmp_path: Path) -> None:
    write_picture(tmp_path / "lsun" / "bedroom" / "0.png")
    with pytest.raises(InputError, match="lacks conference_room"):
        load_named("lsun", data_roots=[tmp_path])


# --- magnetic tiles


def frames(*numbers: int, name: str = "Free") -> list[str]:
    return [f"MT_{name}/Imgs/exp1_num_{n}.jpg" for n in numbers]


def test_frames_close_together_or_known_to_come_back_share_a_group() -> None:
    names = [*frames(2000, 2000 + GAP, 2001 + 2 * GAP), *frames(5874, 13526, 13549), "other.jpg", "another.jpg"]
    a, b, c, first, back, beside, x, y = tile_groups(names)
    assert a == b != c
    assert first == back == beside
    assert len({a, c, first, x, y}) == 5


@given(st.lists(st.integers(0, 360_000), unique=True, min_size=1, max_size=80), st.integers(0, 2**31))
@settings(max_examples=100, deadline=None)
def test_groups_do_not_depend_on_the_order_and_are_never_parted(numbers: list[int], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(numbers))
    names = frames(*numbers)
    groups, shuffled = tile_groups(names), tile_groups([names[i] for i in order])
    assert np.array_equal(groups[:, None] == groups, (shuffled[:, None] == shuffled)[np.ix_(np.argsort(order), np.argsort(order))])
    labels = (np.arange(len(names)) % 3 == 0).astype(np.int64)
    is_train = training_tiles(names, labels)
    normal = labels == 0
    assert not is_train[~normal].any()
    assert not set(groups[is_train]) & set(groups[normal & ~is_train])


@pytest.fixture(scope="module")
def tiles() -> named.NamedSet:
    if not (DATA / "magnetic_tile").is_dir():
        pytest.skip("needs the magnetic tiles in ../shared/data")
    return load_named("magnetic-tile", data_roots=[DATA], download=False)


def test_magnetic_tiles_train_on_80_percent_of_the_normal_ones(tiles: named.NamedSet) -> None:
    assert tiles.title == "Magnetic tiles"
    assert len(tiles.source) == 1344
    assert np.bincount(tiles.labels).tolist() == [952, 115, 85, 57, 32, 103]
    assert tiles.is_train.sum() == 762
    assert not tiles.is_train[tiles.labels != 0].any()


def test_no_magnetic_tile_lies_on_both_sides(tiles: named.NamedSet) -> None:
    assert tiles.groups is not None
    normal = tiles.labels == 0
    assert not set(tiles.groups[tiles.is_train]) & set(tiles.groups[normal & ~tiles.is_train])
    number = {int(n.split("num_")[1][:-4]): i for i, n in enumerate(tiles.source.names)}
    for chain in COMES_BACK:
        assert len({int(tiles.groups[number[frame]]) for frame in chain}) == 1
    for first, last in TWO_FACED:
        assert not any(tiles.is_train[i] for frame, i in number.items() if first <= frame <= last)


def test_every_magnetic_tile_has_its_mask(tiles: named.NamedSet) -> None:
    for i in (0, 1000, 1343):
        mask = mask_of(tiles.source, i)
        assert mask is not None
        assert mask.shape == tiles.source.read(i).shape[:2]
        assert mask.any() == (tiles.labels[i] != 0)


# --- the real sets


@needs_data
@pytest.mark.parametrize(
    ("name", "title", "counts"),
    [
        ("mnist", "MNIST", (60_000, 10_000)),
        ("fashion-mnist", "Fashion-MNIST", (60_000, 10_000)),
        ("coil20", "COIL-20 (32x32 copy)", (1440, 0)),
    ],
)
def test_exact_copies_are_known_by_the_hash_of_their_arrays(name: str, title: str, counts: tuple[int, int]) -> None:
    real = load_named(name, data_roots=[DATA], download=False)
    assert real.title == title
    assert (int(real.is_train.sum()), int((~real.is_train).sum())) == counts


@needs_data
def test_fashion_mnist_under_mnists_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mnist").symlink_to(DATA / "fashion_mnist", target_is_directory=True)
    with pytest.raises(InputError, match="holds Fashion-MNIST, not MNIST"):
        load_named("mnist", data_roots=[tmp_path])


# --- downloads, from a server on this machine


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
