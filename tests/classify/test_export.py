"""An exported classifier: the same classes, probabilities and verdicts without torch, on the command line and over HTTP."""

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from classify.made import across, down, fitted, noisy, write_classes
from fastapi.testclient import TestClient
from pictures import assert_refused, write
from PIL import Image

from novelette import bundle, runtime
from novelette.bench.page import text_of
from novelette.classify import store
from novelette.classify.export import _pictures, export_classifier
from novelette.cli import main
from novelette.data.select import Where, describe
from novelette.errors import InputError
from novelette.serve.app import create_app

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures of three classes, a classifier of them and its bundle."""
    folder = tmp_path_factory.mktemp("exported")
    write_classes(folder / "train")
    write(folder / "new" / "a", np.concatenate([across(3, 60), down(3, 61)]))
    write(folder / "new" / "b", noisy(3, 62))
    fitted(folder / "clf", folder / "train")
    assert main(["export", str(folder / "clf"), "-o", str(folder / "clf.bundle")]) == 0
    return folder


def test_a_bundle_says_what_the_classifier_says(folder):
    torch_says, graph_says = store.load(folder / "clf").predict(folder / "new"), runtime.load(folder / "clf.bundle").predict(folder / "new")
    assert graph_says.names == torch_says.names
    assert graph_says.label == torch_says.label
    assert graph_says.probability == pytest.approx(torch_says.probability, abs=1e-4)
    assert graph_says.score == pytest.approx(torch_says.score, rel=1e-3, abs=1e-5)
    assert graph_says.novel.tolist() == torch_says.novel.tolist()


def test_its_card_names_the_classes_and_what_was_compared(folder):
    card = bundle.read(folder / "clf.bundle").card
    assert isinstance(card, bundle.ClassifierCard)
    assert card.classes == ("across", "down", "plain")
    assert card.checked.source == "training source"
    assert card.output("probability").shape == ("N", 3)


def test_the_teacher_is_exported_too(folder, tmp_path):
    assert main(["export", str(folder / "clf.teacher"), "-o", str(tmp_path / "teacher.bundle")]) == 0
    assert runtime.load(tmp_path / "teacher.bundle").predict(across(2, 5)).label == ["across", "across"]


def test_no_torch_is_needed(folder):
    code = (
        "import sys; from novelette.cli import main; "
        f"status = main(['classify', 'predict', {str(folder / 'clf.bundle')!r}, {str(folder / 'new')!r}]); "
        "sys.exit('torch was imported' if 'torch' in sys.modules else status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "path,label,probability,score,p_value,unknown"
    assert lines[1].startswith("a/00.png,across,")


def test_a_graph_that_says_something_else_is_refused(folder, tmp_path, monkeypatch):
    run, made = runtime.Runtime.run, bundle.read(folder / "clf.bundle")
    monkeypatch.setattr("novelette.classify.export.traced", lambda *args: (made.model, made.card.outputs, made.card.opset))
    monkeypatch.setattr(runtime.Runtime, "run", lambda self, images: run(self, images)._replace(probability=np.eye(3)[[0] * len(images)]))
    with pytest.raises(InputError, match="probabilities differ from torch's by up to"):
        export_classifier(store.load(folder / "clf"), tmp_path / "bad.bundle")
    assert not (tmp_path / "bad.bundle").exists()


def test_the_server_answers_with_labels(folder):
    loaded = runtime.load(folder / "clf.bundle", threads=1)
    pngs = [path.read_bytes() for path in sorted((folder / "new" / "a").glob("*.png"))]
    with TestClient(create_app(loaded)) as client:
        said = client.get("/v1/detector").json()
        one = client.post("/v1/score", content=pngs[0], headers={"Content-Type": "image/png"}).json()["pictures"]
        files = [("picture", (f"{i}.png", png, "image/png")) for i, png in enumerate(pngs)]
        many = client.post("/v1/score", files=files).json()["pictures"]
        broken = client.post("/v1/score", content=b"no picture", headers={"Content-Type": "image/png"})
        schema = client.get("/openapi.json").json()["paths"]["/v1/score"]["post"]["responses"]["200"]
        counted = client.get("/metrics").text
    assert said["classes"] == ["across", "down", "plain"]
    assert set(one[0]) == {"label", "probability", "score", "p_value", "unknown"}
    assert [row["label"] for row in many] == ["across"] * 3 + ["down"] * 3
    assert many[0] == one[0] | {"name": "0.png"}
    assert broken.status_code == 422
    assert json.dumps(schema).count("#/components/schemas/Names") == 1
    assert "novelette_pictures_total 7.0" in counted


def test_score_and_info_take_the_bundle(folder, capsys):
    assert main(["score", str(folder / "clf.bundle"), str(folder / "new")]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "path,label,probability,score,p_value,unknown"
    assert main(["info", str(folder / "clf.bundle")]) == 0
    assert ["classes", "across,", "down,", "plain"] in [line.split() for line in capsys.readouterr().out.splitlines()]


def test_drift_watches_how_uncertain_it_is_of_a_stream(folder, tmp_path, capsys):
    write(tmp_path / "like", np.stack([across(15, 70), down(15, 71), noisy(15, 72)], 1).reshape(-1, 28, 28))
    write(tmp_path / "strange", (across(45, 73) // 2 + down(45, 74) // 2))  # half of one class and half of another
    uncertain = [runtime.load(folder / "clf.bundle").predict(tmp_path / name).score.mean() for name in ("like", "strange")]
    assert uncertain[1] > uncertain[0]
    for name, status in (("like", 0), ("strange", 1)):
        assert main(["drift", str(folder / "clf.bundle"), str(tmp_path / name), "--json"]) == status
        assert (json.loads(capsys.readouterr().out)["first"] is not None) is bool(status)


def test_a_fitted_classifier_takes_no_settings(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks" / "deploy"))
    script = importlib.import_module("classifier")
    with pytest.raises(SystemExit):
        script.main(["--fitted", str(folder / "clf"), "--classifier", "lenet", "--results", str(tmp_path)])
    assert "--classifier lenet: " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_classifier_and_its_teacher_are_measured_deployed(folder, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks" / "deploy"))
    monkeypatch.setattr("novelette.classify.evaluate.SECONDS", 0.0)
    script = importlib.import_module("classifier")
    found = script.measured(folder / "clf", str(folder / "train"), tmp_path, 0.1)
    for who, path in (("classifier", folder / "clf"), ("teacher", folder / "clf.teacher")):
        own = found[who]
        assert own["differ"] == 0
        assert own["accuracy"] == own["bundle_accuracy"]
        assert own["params"] == store.load(path).cost().params
        assert own["requests_per_second"] > 1
    record = found | {
        "data": "stripes",
        "method": "mimic",
        "pictures": 72,
        "command": "c",
        "commit": "c0ffee",
        "cores": 1,
        "load": 0.0,
        "onnxruntime": "1",
    }
    parameters = " | ".join(f"{found[who]['params']:,}" for who in ("classifier", "teacher"))
    assert f"| parameters | {parameters} |" in text_of(script.page(record), figures=False)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["export", "{clf}", "-o", "{out}", "--int8"], "--int8 is for detectors"),
        (["score", "{clf}", "{new}"], "is a classifier: use novelette classify predict or evaluate"),
        (["serve", "{clf}"], "is a classifier, and novelette serve needs a bundle"),
        (["score", "{bundle}", "{new}", "--heatmaps", "{out}"], "cannot say where a picture is novel"),
        (["evaluate", "{bundle}", "{new}", "-o", "{out}"], "is the bundle of a classifier: use novelette classify predict"),
    ],
)
def test_what_a_classifier_does_not_do_is_told_in_a_sentence(folder, tmp_path, capsys, argv, says):
    paths = {"clf": folder / "clf", "bundle": folder / "clf.bundle", "new": folder / "new", "out": tmp_path / "out"}
    assert_refused([arg.format(**paths) for arg in argv], tmp_path, capsys, says)


def test_a_grey_fit_whose_folder_has_a_picture_in_colour_by_now_is_compared_on_the_others(folder, tmp_path):
    Image.new("RGB", (28, 28), "red").save(write_classes(tmp_path / "train", 5) / "plain" / "red.png")
    classifier = store.load(folder / "clf")
    described = describe(str(tmp_path / "train"), Where())
    changed = replace(classifier, detector=replace(classifier.detector, provenance={"source": described}))
    assert _pictures(changed, None).source == "training source"
