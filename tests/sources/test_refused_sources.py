"""What is not a source of pictures: one sentence that says why."""

import errno
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from sources.picture_files import GREY, save

from novelette.data.sources import open_source
from novelette.errors import InputError


def bad_sources(folder: Path) -> dict[str, tuple[object, str]]:
    (folder / "empty").mkdir()
    save(GREY, folder / "only" / "masks" / "a.png")
    (folder / "notes.txt").write_text("text")
    np.save(folder / "good.npy", GREY)
    (folder / "cut.npy").write_bytes((folder / "good.npy").read_bytes()[:100])
    (folder / "text.npy").write_text("no array")
    (folder / "zero.npz").touch()
    np.save(folder / "objects.npy", np.array([{}, []], object), allow_pickle=True)
    (folder / "pickle.npy").write_bytes(pickle.dumps([1, 2]))
    (folder / "pickle.npz").write_bytes(pickle.dumps([1, 2]))
    np.savez(folder / "many.npz", first=GREY, second=GREY)
    return {
        "missing": (folder / "gone", "does not exist"),
        "nothing": ("", "does not exist"),
        "zero byte": ("a\0b", "does not exist"),
        "long": ("x" * 5000, "does not exist"),
        "no pictures": (folder / "empty", "holds no pictures"),
        "masks only": (folder / "only", "holds 1 masks but no pictures"),
        "unknown type": (folder / "notes.txt", "is of an unknown type"),
        "cut": (folder / "cut.npy", "is damaged"),
        "text": (folder / "text.npy", "is damaged"),
        "zero": (folder / "zero.npz", "is damaged"),
        "objects": (folder / "objects.npy", "pickled objects"),
        "pickle": (folder / "pickle.npy", "is damaged"),
        "pickled npz": (folder / "pickle.npz", "is damaged"),
        "many": (folder / "many.npz", "the arrays first, second"),
        "one axis": (np.zeros(9, np.uint8), "has the shape"),
        "five axes": (np.zeros((1, 1, 1, 9, 9), np.uint8), "has the shape"),
        "two channels": (np.zeros((2, 9, 9, 2), np.uint8), "has the shape"),
        "no picture": (np.zeros((0, 9, 9), np.uint8), "holds no pictures"),
        "int64": (np.zeros((2, 9, 9), np.int64), "is of type int64"),
        "complex": (np.zeros((2, 9, 9), complex), "is of type complex128"),
        "object array": (np.zeros((2, 9, 9), object), "is of type object"),
        "range": (np.full((2, 9, 9), 255.0), "scale them to 0..1"),
        "empty list": ([], "is empty"),
        "number": (3, "is not a source of pictures"),
    }


def test_array_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    for name, save_as in (("a.npy", np.save), ("a.npz", np.savez)):
        save_as(tmp_path / name, GREY)

    def refuse(*args, **more):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("io.open", refuse)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(InputError, match=rf"{name} cannot be read \(permission denied\): check its permissions"):
            open_source(tmp_path / name)


def test_every_bad_source_is_one_sentence(tmp_path):
    for what, (source, words) in bad_sources(tmp_path).items():
        with pytest.raises(InputError) as error:
            open_source(source)
        assert words in str(error.value), what
        assert "\n" not in str(error.value), what
