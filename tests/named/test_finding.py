"""Named sets and their classes are found, or a person is told where they were looked for."""

import os
from pathlib import Path

import numpy as np
import pytest
from named.made_sets import write_mnist

from novelette.data.named import NAMES, class_index, load_named
from novelette.data.roots import search_order
from novelette.errors import InputError


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
