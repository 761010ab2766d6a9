"""LSUN, from exported images and from its own databases."""

import io
import pickle
from pathlib import Path

import pytest
from named.made_sets import write_picture
from PIL import Image

from novelette.data.named import load_named
from novelette.errors import InputError


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
