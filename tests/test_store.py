"""Detectors on disk: they come back the same, whole or not at all, and loading runs no code."""

import errno
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from pictures import checks, everything_in, stripes

import novelette
import novelette.classify.store
import novelette.tags.store
from novelette import classify, store, tags
from novelette.calibrate import held_out
from novelette.cards import digest
from novelette.data.images import Preprocessing, load
from novelette.data.sources import ArraySource
from novelette.errors import InputError
from novelette.files import write_whole

METHODS = {"knn": {"k": 3}, "ede-gan": {"widths": "2", "latent": 8, "steps": 3}}


@pytest.fixture(scope="module")
def detectors():
    return {name: novelette.fit(name, stripes(40), false_alarm_rate=0.25, seed=3, **METHODS[name]) for name in METHODS}


@pytest.mark.parametrize("method", METHODS)
def test_loaded_detector_says_exactly_what_the_saved_one_said(method, detectors, tmp_path):
    was = detectors[method]
    now = store.load(store.save(was, tmp_path / "a.det"))
    new = np.concatenate([stripes(5, seed=9), checks(5)])
    before, after = was.predict(new), now.predict(new)
    np.testing.assert_array_equal(after.score, before.score)
    np.testing.assert_array_equal(after.p_value, before.p_value)
    np.testing.assert_array_equal(after.novel, before.novel)
    np.testing.assert_array_equal(now.calibration, was.calibration)
    np.testing.assert_array_equal(now.trained_on, was.trained_on)
    np.testing.assert_array_equal(now.heatmap(new[0]), was.heatmap(new[0]))
    for name in ("method", "config", "preprocessing", "seed", "false_alarm_rate", "threshold", "provenance"):
        assert getattr(now, name) == getattr(was, name)


@pytest.mark.parametrize("method", METHODS)
def test_detector_saved_twice_has_the_same_bytes(method, detectors, tmp_path):
    store.save(detectors[method], tmp_path / "a.det")
    store.save(store.load(tmp_path / "a.det"), tmp_path / "b.det")
    assert everything_in(tmp_path / "a.det") == everything_in(tmp_path / "b.det")


def test_detector_is_json_and_safetensors_alone(detectors, tmp_path):
    store.save(detectors["ede-gan"], tmp_path / "a.det")
    assert set(everything_in(tmp_path / "a.det")) == {"detector.json", "weights.safetensors"}
    card = json.loads((tmp_path / "a.det" / "detector.json").read_text())
    assert card["schema"] == store.SCHEMA
    weights = safetensors.torch.load_file(tmp_path / "a.det" / "weights.safetensors")
    assert {name.partition(".")[0] for name in weights} == {"scorer", "trained_on"}


def test_loading_unpickles_nothing(detectors, tmp_path, monkeypatch):
    store.save(detectors["ede-gan"], tmp_path / "a.det")

    def refuse(*args, **kwargs):
        raise AssertionError("something was unpickled")

    for module in ("pickle.load", "pickle.loads", "pickle.Unpickler", "torch.load"):
        monkeypatch.setattr(module, refuse)
    store.load(tmp_path / "a.det")


def test_pickle_in_the_place_of_the_weights_is_refused_and_not_run(detectors, tmp_path):
    det = store.save(detectors["knn"], tmp_path / "a.det")

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "evil"),)

    torch.save(Evil(), det / "weights.safetensors")
    card = json.loads((det / "detector.json").read_text())
    content = (det / "weights.safetensors").read_bytes()
    del card["card_sha256"]
    card["weights_sha256"] = store.hashlib.sha256(content).hexdigest()
    (det / "detector.json").write_text(json.dumps(card | {"card_sha256": digest(card)}))
    with pytest.raises(InputError, match="do not match"):
        store.load(det)
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("where", ["write_bytes", "write_text"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=["full", "ctrl-c"])
def test_saving_that_fails_leaves_the_old_detector_whole_and_nothing_beside_it(where, error, detectors, tmp_path, monkeypatch):
    det = store.save(detectors["knn"], tmp_path / "a.det")
    before = everything_in(tmp_path)

    def fail(*args):
        raise error

    monkeypatch.setattr(Path, where, fail)
    with pytest.raises((InputError, KeyboardInterrupt)):
        store.save(detectors["ede-gan"], det, force=True)
    with pytest.raises((InputError, KeyboardInterrupt)):
        store.save(detectors["ede-gan"], tmp_path / "b.det")
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("done", [False, True], ids=["before it is done", "when it is done"])
def test_ctrl_c_at_a_rename_leaves_one_detector_whole(after, done, detectors, tmp_path, monkeypatch):
    """Replacing is two renames, the old one away and the new one in; the third is of the way back."""
    det = store.save(detectors["knn"], tmp_path / "a.det")
    before, rename, calls = everything_in(tmp_path), os.rename, []

    def stopped(a, b):
        calls.append(a)
        stop = len(calls) == after + 1
        if done or not stop:
            rename(a, b)
        if stop:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", stopped)
    if after < 2:
        with pytest.raises(KeyboardInterrupt):
            store.save(detectors["ede-gan"], det, force=True)
    else:
        store.save(detectors["ede-gan"], det, force=True)  # there is no third rename when nothing stops the second
    if after == 0 or (after == 1 and not done):
        assert everything_in(tmp_path) == before
    else:
        assert store.load(det).method == "ede-gan"
        assert set(everything_in(tmp_path)) == set(before)


def test_pictures_that_training_saw_are_known_by_64_bits(detectors, tmp_path):
    was = detectors["knn"]
    now = store.load(store.save(was, tmp_path / "a.det"))
    loaded = load(ArraySource(stripes(40)), Preprocessing())
    seen = ~held_out(loaded.hashes)
    assert now.trained_on.dtype == np.uint64
    assert now.trained_on.tolist() == sorted(loaded.hashes[seen].tolist())
    assert now.saw(loaded.hashes).tolist() == seen.tolist()
    assert not now.saw(loaded.hashes ^ np.uint64(1)).any()  # nor is a hash of the same upper half taken for it


def test_saving_over_a_detector_needs_force_and_leaves_no_file_of_the_old_one(detectors, tmp_path):
    det = store.save(detectors["knn"], tmp_path / "a.det")
    (det / "log.jsonl").write_text("")
    with pytest.raises(InputError, match="--force"):
        store.save(detectors["ede-gan"], det)
    assert store.load(det).method == "knn"
    store.save(detectors["ede-gan"], det, force=True)
    assert store.load(det).method == "ede-gan"
    assert set(everything_in(tmp_path)) == {"a.det", "a.det/detector.json", "a.det/weights.safetensors"}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_who_may_read_what_is_written_is_as_the_umask_says(mask, detectors, tmp_path):
    before = os.umask(mask)
    try:
        det = store.save(detectors["knn"], tmp_path / "some" / "where" / "a.det")
        write_whole(tmp_path / "a.csv", "path,score\n")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (det.parent, det)} == {0o777 & ~mask}
    assert {path.stat().st_mode & 0o777 for path in (*det.iterdir(), tmp_path / "a.csv")} == {0o666 & ~mask}


def test_asking_whether_an_output_can_be_written_makes_nothing(tmp_path):
    store.check_output(tmp_path / "some" / "where" / "a.det", force=False)
    assert everything_in(tmp_path) == {}


def test_every_flipped_byte_of_the_weights_is_noticed(detectors, tmp_path):
    det = store.save(detectors["ede-gan"], tmp_path / "a.det")
    content = (det / "weights.safetensors").read_bytes()
    for at in np.random.default_rng(0).integers(0, len(content), 20):
        spoiled = bytearray(content)
        spoiled[at] ^= 1
        (det / "weights.safetensors").write_bytes(spoiled)
        with pytest.raises(InputError, match="damaged"):
            store.load(det)


def test_card_cut_anywhere_is_refused(detectors, tmp_path):
    det = store.save(detectors["knn"], tmp_path / "a.det")
    card = (det / "detector.json").read_bytes()
    for length in range(0, len(card) - 2, 97):  # the last two bytes are } and a line's end
        (det / "detector.json").write_bytes(card[:length])
        with pytest.raises(InputError):
            store.load(det)


@pytest.mark.parametrize(
    ("card", "load"), [("detector.json", store.load), ("classifier.json", classify.store.load), ("tagger.json", tags.store.load)]
)
@pytest.mark.parametrize("method", [["knn"], "nn", None])
def test_a_card_of_a_method_that_is_none_is_refused(card, load, method, tmp_path):
    said = {"schema": 1, "method": method}
    (tmp_path / card).write_text(json.dumps(said | {"card_sha256": digest(said)}))
    with pytest.raises(
        InputError, match=rf"was made by the method {re.escape(repr(method))}, which this novelette does not have: update novelette"
    ):
        load(tmp_path)


def test_moved_detector_loads(detectors, tmp_path):
    store.save(detectors["knn"], tmp_path / "a.det")
    shutil.move(tmp_path / "a.det", tmp_path / "b.det")
    assert store.load(tmp_path / "b.det").method == "knn"
