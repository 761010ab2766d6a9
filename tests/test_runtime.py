"""Bundles on a machine without torch: torch is never imported, the commands work as with a detector, and what is damaged is refused."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pictures import assert_refused, checks, fitted, stripes, write, write_labelled

from novelette import bundle, runtime, store
from novelette.cards import digest
from novelette.cli import main
from novelette.data.sources import open_source
from novelette.errors import InputError

GAN = ("--widths", "2", "--latent", "8", "--steps", "20")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pictures") / "parts", stripes(60))


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pictures") / "new", np.concatenate([stripes(20, seed=2, size=40), checks(20, size=40)]))


@pytest.fixture(scope="module")
def det(tmp_path_factory, parts):
    return fitted(tmp_path_factory.mktemp("detectors") / "gan.det", parts, "ede-gan", *GAN)


@pytest.fixture(scope="module")
def made(det):
    assert main(["export", str(det), "-o", str(det.with_name("gan.bundle"))]) == 0
    return det.with_name("gan.bundle")


@pytest.fixture
def spoiled(tmp_path, made):
    """A bundle that a test may spoil."""
    return Path(shutil.copytree(made, tmp_path / "gan.bundle"))


def rewrite(folder, **changes):
    card = json.loads((folder / bundle.CARD).read_text())
    card.pop("card_sha256")
    card |= changes
    (folder / bundle.CARD).write_text(json.dumps(card | {"card_sha256": digest(card)}))


# without torch


def test_scoring_a_bundle_never_imports_torch(made, new, tmp_path):
    program = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "sklearn", "scipy", "safetensors", "matplotlib", "joblib", "pooch", "onnx", "onnxscript"):
            raise ImportError(f"{name} is not here")
sys.meta_path.insert(0, Refuse())
from novelette import runtime
from novelette.cli import main
assert len(runtime.load(sys.argv[1]).score(sys.argv[2])) == 40
assert main(["score", sys.argv[1], sys.argv[2], "-o", sys.argv[3] + "/a.csv", "--heatmaps", sys.argv[3] + "/maps"]) == 0
assert main(["info", sys.argv[1]]) == 0
assert "torch" not in sys.modules
"""
    ended = subprocess.run([sys.executable, "-c", program, made, new, tmp_path], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 41
    assert len(list((tmp_path / "maps").iterdir())) == 40


# the same as the detector


def test_a_bundle_scores_files_and_arrays_as_its_detector_does(det, made, new):
    was, now = store.load(det), runtime.load(made)
    arrays = np.stack([open_source(new).read(i) for i in range(40)])
    for pictures in (new, arrays, [new / "03.png", new / "30.png"], new / "07.png"):
        expected, found = was.predict(pictures), now.predict(pictures)
        np.testing.assert_allclose(found.score, expected.score, rtol=1e-4)  # what export allows
        assert found.novel.tolist() == expected.novel.tolist()
        assert found.names == expected.names
    assert np.array_equal(now.score(arrays), now.score(new))


def test_score_of_a_bundle_writes_what_score_of_its_detector_writes(det, made, new, tmp_path):
    for path, name in ((det, "a.jsonl"), (made, "b.jsonl")):
        assert main(["score", str(path), str(new), "-o", str(tmp_path / name)]) == 0
    was, now = ([json.loads(line) for line in (tmp_path / name).read_text().splitlines()] for name in ("a.jsonl", "b.jsonl"))
    assert [(row["path"], row["novel"]) for row in was] == [(row["path"], row["novel"]) for row in now]


def test_an_unreadable_picture_is_skipped_and_told(made, new, tmp_path, capsys):
    folder = Path(shutil.copytree(new, tmp_path / "new"))
    (folder / "00.png").write_bytes(b"")
    assert main(["score", str(made), str(folder)]) == 3
    assert "skipped 00.png: empty file" in capsys.readouterr().err


@pytest.mark.parametrize(("threads", "batch_size"), [(1, 1), (1, 7), (2, 7), (3, 256)])
def test_a_score_depends_neither_on_threads_nor_on_batches(threads, batch_size, made, new):
    scores = runtime.load(made, threads=threads, batch_size=batch_size).score(new)
    np.testing.assert_allclose(scores, runtime.load(made, threads=1).score(new), rtol=1e-5)  # sums of products in another order


def test_no_images_have_no_verdicts(made):
    assert [len(values) for values in runtime.load(made).run(np.zeros((0, 32, 32, 1), np.uint8))] == [0, 0, 0, 0]


@pytest.mark.parametrize("images", [np.zeros((2, 32, 32), np.uint8), np.zeros((2, 32, 32, 1)), np.zeros((2, 64, 64, 1), np.uint8)])
def test_images_of_another_shape_or_type_are_refused(images, made):
    with pytest.raises(ValueError, match=r"uint8 \(n, 32, 32, 1\)"):
        runtime.load(made).run(images)


def test_info_of_a_bundle(made, capsys):
    assert main(["info", str(made), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["method"] == "ede-gan"
    assert said["checked"]["source"] == "training source"
    assert said["disk_bytes"] == sum(path.stat().st_size for path in made.iterdir())
    assert main(["info", str(made)]) == 0
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert ["input", "pixels", "uint8, N × 32 × 32 × 1"] in lines
    assert ["output", "label", "int64, N"] in lines
    assert not any("None" in word or "(" in word for line in lines for word in line)


# refused in a sentence


@pytest.mark.parametrize("command", ["score", "info"])
def test_a_damaged_graph_is_refused(command, spoiled, parts, capsys):
    content = bytearray((spoiled / bundle.MODEL).read_bytes())
    content[len(content) // 2] ^= 1
    (spoiled / bundle.MODEL).write_bytes(content)
    assert_refused(
        [command, str(spoiled), *([str(parts)] if command == "score" else [])], spoiled, capsys, "damaged, since its hash is not the one"
    )


def test_a_card_of_a_newer_schema_is_refused(spoiled, parts, capsys):
    rewrite(spoiled, schema=bundle.SCHEMA + 1)
    assert_refused(["score", str(spoiled), str(parts)], spoiled, capsys, "newer novelette", "update novelette")


@pytest.mark.parametrize("changes", [{"preprocessing": {"size": 33}}, {"false_alarm_rate": 2}, {"inputs": "pixels"}, {"surprise": 1}])
def test_a_card_that_novelette_did_not_write_is_refused(changes, spoiled, parts, capsys):
    rewrite(spoiled, **changes)
    assert_refused(["score", str(spoiled), str(parts)], spoiled, capsys, "damaged")


def test_a_card_that_was_edited_is_refused(spoiled, parts, capsys):
    card = json.loads((spoiled / bundle.CARD).read_text())
    (spoiled / bundle.CARD).write_text(json.dumps(card | {"threshold": 1e9}))
    assert_refused(["score", str(spoiled), str(parts)], spoiled, capsys, "damaged")


@pytest.mark.parametrize("name", [bundle.CARD, bundle.MODEL])
def test_half_a_bundle_is_refused(name, spoiled, parts, capsys):
    (spoiled / name).unlink()
    assert_refused(["score", str(spoiled), str(parts)], spoiled, capsys, name)


def test_a_graph_that_onnxruntime_cannot_run_is_refused(spoiled, parts, capsys):
    (spoiled / bundle.MODEL).write_bytes(b"no graph")
    rewrite(spoiled, model_sha256="0" * 64)
    assert_refused(["score", str(spoiled), str(parts)], spoiled, capsys, "hash")
    rewrite(spoiled, model_sha256=hashlib.sha256(b"no graph").hexdigest())
    assert_refused(["score", str(spoiled), str(parts)], spoiled, capsys, "onnxruntime", "cannot run")


def test_options_of_the_other_kind_are_refused(det, made, parts, tmp_path, capsys):
    assert_refused(["score", str(det), str(parts), "--threads", "2"], tmp_path, capsys, "--threads is for bundles")
    assert_refused(["score", str(made), str(parts), "--device", "cuda"], tmp_path, capsys, "CPU")
    assert_refused(["score", str(made), str(parts), "--threads", "0"], tmp_path, capsys, "threads 0")
    with pytest.raises(InputError, match="batch size -1"):
        runtime.load(made, batch_size=-1)


def test_a_bundle_is_not_replaced_unless_told_and_a_detector_never(det, made, tmp_path, capsys):
    assert_refused(["export", str(det), "-o", str(made)], made, capsys, "--force")
    assert_refused(["export", str(det), "-o", str(det), "--force"], det, capsys, "not a bundle")
    assert main(["export", str(det), "-o", str(made), "--force"]) == 0


def test_pictures_to_compare_on_may_be_given_and_are_said_to_be_missing(det, new, tmp_path, capsys):
    assert main(["export", str(det), "-o", str(tmp_path / "a.bundle"), "--pictures", str(new)]) == 0
    assert bundle.read(tmp_path / "a.bundle").card.checked.source == "given"
    assert_refused(["export", str(det), "-o", str(tmp_path / "b.bundle"), "--pictures", "nowhere"], tmp_path, capsys, "nowhere")


# measured as it ships


def test_evaluate_of_a_bundle_gives_the_figures_of_its_detector(det, made, parts, tmp_path, capsys):
    labelled, figures = write_labelled(tmp_path / "labelled"), []
    for path in (det, made):
        argv = ["evaluate", str(path), str(labelled), "--train", str(parts), "--json", "-o", str(tmp_path / path.suffix)]
        capsys.readouterr()
        assert main(argv) == 0
        figures.append(json.loads(capsys.readouterr().out))
        assert (tmp_path / path.suffix / "index.html").exists()
    was, now = figures
    assert now["threshold"] == was["threshold"]
    for name in ("auroc", "aupr", "false_alarm_rate", "miss_rate", "knn_auroc", "knn_cosine_auroc"):
        assert now[name] == pytest.approx(was[name]), name
    assert "does not know which pictures it was trained on" in now["note"]


def test_evaluate_of_a_bundle_is_refused_as_that_of_a_detector_is(made, parts, tmp_path, capsys):
    assert_refused(["evaluate", str(made), str(parts)], tmp_path, capsys, "needs a folder normal/")
    assert_refused(["evaluate", str(made), str(parts), "--device", "cuda"], tmp_path, capsys, "is scored on the CPU")
