"""Exported detectors: the bundle says what the detector says, or it is not written; and what of it is on disk."""

import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from pictures import checks, stripes

from novelette import bundle, calibrate, export, export_check, runtime
from novelette.data.framing import cut, uncut
from novelette.data.images import Preprocessing
from novelette.detector import Detector
from novelette.errors import InputError
from novelette.export import export_detector, why_not
from novelette.graph import Verdict
from novelette.methods import (
    METHODS,
    alad,
    autoencoder,
    bayes_factor,
    certainty,
    contextual,
    deep_svdd,
    discriminator,
    ede_gan,
    egbad,
    f_anogan,
    feature_knn,
    kde,
    knn,
    lsa,
    oc_svm,
    ocgan,
    pca,
    piad,
    skip_ganomaly,
    vae,
)
from novelette.training import Run

pytestmark = pytest.mark.heavy

CPU = torch.device("cpu")
GAN = {"widths": (2,), "latent": 8, "steps": 4}


def few(tiny, **changes):
    """A method's TINY for two steps."""
    return tiny.model_copy(update={"steps": 2} | changes)


CONFIGS = {
    "ede": ("ede-gan", ede_gan.Config(**GAN)),
    "ed-hat": ("ede-gan", ede_gan.Config(pipeline="ed-hat", **GAN)),
    "ed": ("ede-gan", ede_gan.Config(pipeline="ed", **GAN)),
    "batch norm": ("ede-gan", ede_gan.Config(norm="batch", statistics="running", **GAN)),
    "knn": ("knn", knn.Config()),
    "knn euclidean kth": ("knn", knn.Config(metric="euclidean", reduce="kth", k=3)),
    "knn of fewer than twice k": ("knn", knn.Config(k=40)),
    "kde": ("kde", kde.Config()),
    "oc-svm": ("oc-svm", oc_svm.Config(contrast="l1")),
    "pca": ("pca", pca.Config(variance=0.9)),
    "autoencoder": ("autoencoder", autoencoder.TINY),
    "deep-svdd": ("deep-svdd", deep_svdd.TINY),
    "lsa": ("lsa", lsa.TINY),
    "vae": ("vae", vae.TINY.model_copy(update={"steps": 4})),
    "feature-knn": ("feature-knn", feature_knn.Config(layer="block-5", side=64)),
    "piad": ("piad", piad.TINY.model_copy(update={"steps": 2})),
    "piad, mse": ("piad", piad.TINY.model_copy(update={"steps": 2, "loss": "mse"})),
    "certainty": ("certainty", certainty.TINY.model_copy(update={"reading": "dropout", "steps": 2, "learning_rate": 0.05})),
    "contextual": ("contextual", contextual.TINY.model_copy(update={"steps": 2, "predict": "surroundings"})),
    "discriminator": ("discriminator", discriminator.TINY.model_copy(update={"steps": 2, "minibatch": True})),
    "bayes-factor": ("bayes-factor", bayes_factor.Config(levels=5)),
    "f-anogan": ("f-anogan", few(f_anogan.TINY, encoder_steps=2)),
    "egbad": ("egbad", few(egbad.TINY)),
    "alad": ("alad", few(alad.TINY)),
    "ocgan": ("ocgan", few(ocgan.TINY)),
    "skip-ganomaly": ("skip-ganomaly", few(skip_ganomaly.TINY)),
    "feature-knn of smaller pictures": ("feature-knn", feature_knn.Config(layer="block-2", side=20, k=40)),
}


def quick(names, *chosen):
    """`names` as parameters, all but the chosen ones slow: an export takes seconds."""
    return [name if name in chosen else pytest.param(name, marks=pytest.mark.slow) for name in names]


def detector(name="ede", preprocessing=None, pictures=60):
    """Fitted on stripes; the first fifth of them calibrates."""
    method, config = CONFIGS[name]
    preprocessing = preprocessing or Preprocessing()
    side = preprocessing.size * preprocessing.tiles
    grey = stripes(pictures, size=side)[..., None].repeat(preprocessing.channels, 3)
    pixels = cut(grey, preprocessing.tiles, preprocessing.channels)
    held, training = pixels[: pictures // 5], pixels[pictures // 5 :]
    images = torch.from_numpy(training.reshape(-1, *training.shape[2:]))
    scorer = METHODS[method].fit(images, config, labels=torch.arange(len(images)) % 2, seed=0, device=CPU, run=Run())
    made = Detector(
        method, config, preprocessing, scorer, np.zeros(0), np.zeros(0, np.uint64), 0.2, 0, {"source": None, "title": "stripes"}
    )
    return made.recalibrated(made.score_pixels(held), 0.2)


def pictures_for(preprocessing, n=20):
    side = preprocessing.size * preprocessing.tiles
    return np.concatenate([stripes(n, seed=3, size=side), checks(n, size=side)])


def assert_the_same(was, now, pictures):
    expected, found = was.predict(pictures), now.predict(pictures)
    np.testing.assert_allclose(found.score, expected.score, rtol=export_check.TOLERANCE)
    np.testing.assert_allclose(found.p_value, expected.p_value, rtol=1e-6)  # of float32
    assert np.array_equal(found.novel, expected.novel)
    assert found.names == expected.names


@pytest.mark.parametrize("name", quick(CONFIGS, "ede", "knn", "feature-knn", "piad", "certainty"))
def test_a_bundle_says_what_its_detector_says(name, tmp_path):
    was = detector(name)
    checked = export_detector(was, tmp_path / "a.bundle")
    assert checked.worst_difference <= export_check.TOLERANCE
    assert_the_same(was, runtime.load(tmp_path / "a.bundle", threads=1), pictures_for(was.preprocessing))


@pytest.mark.parametrize("name", quick(["ede", "knn", "feature-knn", "piad", "bayes-factor", "alad", "skip-ganomaly"], "ede", "knn"))
def test_tiles_and_colour_are_in_the_graph(name, tmp_path):
    was = detector(name, Preprocessing(tiles=2, channels=3))
    export_detector(was, tmp_path / "a.bundle")
    now = runtime.load(tmp_path / "a.bundle", threads=1)
    pictures = np.random.default_rng(0).integers(0, 256, (9, 50, 70, 3), dtype=np.uint8)
    assert_the_same(was, now, pictures)
    np.testing.assert_allclose(now.heatmap(pictures[0]), was.heatmap(pictures[0]), atol=1e-4)  # of maps from 0 to 2


def test_pixels_come_back_from_tiles():
    squares = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 3), dtype=np.uint8)
    assert np.array_equal(uncut(cut(squares, 3, 3)), squares)
    grey = squares[..., 0]
    assert np.array_equal(uncut(cut(grey, 2, 1)), grey[..., None])


@pytest.mark.parametrize("n", [1, 2, 4, 5, 9, 19, 100])
def test_the_verdict_of_a_graph_is_that_of_calibrate_ties_and_ends_included(n):
    calibration = np.sort(np.random.default_rng(n).integers(1, 30, n) / 8).astype(np.float64)
    scores = np.concatenate([calibration, np.arange(0, 40) / 8 + 1 / 16]).astype(np.float32)
    threshold = calibrate.threshold(calibration, 0.2)
    for nudge in (1 - 1e-6, 1, 1 + 1e-6):  # other arithmetic, same score
        p_value, label = Verdict(calibration, threshold)(torch.from_numpy(scores * np.float32(nudge)))
        np.testing.assert_allclose(p_value, calibrate.p_values(scores, calibration), rtol=1e-6)
        assert label.tolist() == ([-1] * len(scores) if threshold is None else (scores > threshold).astype(int).tolist())


def test_without_calibration_there_are_scores_alone(tmp_path):
    was = replace(detector(), calibration=np.zeros(0))
    export_detector(was, tmp_path / "a.bundle")
    said = runtime.load(tmp_path / "a.bundle", threads=1).predict(pictures_for(was.preprocessing))
    assert said.novel is None
    assert np.isnan(said.p_value).all()


def test_a_graph_that_differs_is_refused_with_the_difference_and_nothing_is_written(tmp_path, monkeypatch):
    was = detector()
    monkeypatch.setattr(Detector, "score_pixels", lambda self, pixels, _score=Detector.score_pixels: _score(self, pixels) * 1.001)
    with pytest.raises(InputError, match=r"by up to 1\.0e-03 \(relative\), where 1e-04 is allowed") as refused:
        export_detector(was, tmp_path / "a.bundle")
    assert "." not in str(refused.value).replace("1.0e", "").replace("1.", "")  # one sentence
    assert not any(tmp_path.iterdir())


def test_a_verdict_that_changes_is_refused(tmp_path, monkeypatch):
    was = detector()
    monkeypatch.setattr(Detector, "judge", lambda self, scores: (scores, np.zeros(len(scores), bool)))
    with pytest.raises(InputError, match=r"[1-9]\d* verdicts? changed"):
        export_detector(was, tmp_path / "a.bundle")


def test_a_p_value_that_changes_is_refused(tmp_path, monkeypatch):
    was, judge = detector(), Detector.judge

    def halved(self, scores):
        p_value, novel = judge(self, scores)
        return p_value / 2, novel

    monkeypatch.setattr(Detector, "judge", halved)
    with pytest.raises(InputError, match=r"[1-9]\d* verdicts? changed"):
        export_detector(was, tmp_path / "a.bundle")


def test_the_picture_that_set_the_threshold_is_no_changed_verdict(tmp_path, monkeypatch):
    was = detector()
    monkeypatch.setattr(Detector, "score_pixels", lambda self, pixels, _score=Detector.score_pixels: _score(self, pixels) * (1 + 4e-6))
    held_out = was.score_pixels(cut(stripes(60)[:12][..., None], 1, 1))
    assert (held_out > was.threshold).sum() == 2  # of the k = ⌊0.2 · 13⌋ = 2 highest one is above it, and one is it
    export_detector(was, tmp_path / "a.bundle", pictures=stripes(60))


def test_scores_that_depend_on_the_batch_have_no_graph():
    batch = ede_gan.Config(norm="batch", **GAN)
    net = ede_gan.Generator(batch, 1, 32)
    was = replace(detector(), config=batch, scorer=ede_gan.Scorer(batch, net, {}))
    assert "by its batch" in why_not(was)


def test_a_gradient_has_no_graph():
    config = certainty.Config(reading="gradient", width=2)
    was = replace(detector(), config=config, scorer=certainty.Scorer(config, certainty.AllConv(1, 2, 2, config.dropouts), [], 32))
    assert why_not(was).startswith("--reading gradient differentiates the network")


@pytest.mark.parametrize("name", ["adgan", "anogan", "gpnd"])
def test_scores_that_come_from_no_network_have_no_graph(name, tmp_path, monkeypatch):
    monkeypatch.setitem(CONFIGS, name, (name, few(METHODS[name].TINY)))
    with pytest.raises(InputError, match=f"cannot be exported: novelette has no graph for the method {name}$"):
        export_detector(detector(name), tmp_path / "a.bundle")
    assert not any(tmp_path.iterdir())


def test_too_many_training_pictures_have_no_graph(tmp_path, monkeypatch):
    monkeypatch.setattr("novelette.export.KNN_BYTES", 32 * 32)
    for name, what in (
        ("knn", "training pictures"),
        ("feature-knn", "vectors of training pictures"),
        ("kde", "vectors of training pictures"),
    ):
        with pytest.raises(InputError, match=f"MiB of {what} would be in the bundle"):
            export_detector(detector(name), tmp_path / "a.bundle")
    assert not any(tmp_path.iterdir())


def test_a_bundle_names_no_folder_of_the_machine_that_made_it(tmp_path):
    was = detector()
    was.provenance["source"] = {"source": str(tmp_path / "secret"), "normal": None, "protocol": "standard", "protocol_seed": 0}
    was.provenance["source"] |= {"attribute": None, "group_by": None}
    was.provenance["title"] = str(tmp_path / "secret" / "good_parts")
    export_detector(was, tmp_path / "a.bundle")
    assert bundle.read(tmp_path / "a.bundle").card.provenance["title"] == "good_parts"
    for name in (bundle.CARD, bundle.MODEL):
        content = (tmp_path / "a.bundle" / name).read_bytes()
        assert b"secret" not in content
        assert b".py" not in content


def test_the_graph_is_valid_onnx_and_is_what_the_card_says(tmp_path):
    export_detector(detector(preprocessing=Preprocessing(tiles=2, channels=3)), tmp_path / "a.bundle")
    model = onnx.load(tmp_path / "a.bundle" / bundle.MODEL)
    onnx.checker.check_model(model, full_check=True)
    card = json.loads((tmp_path / "a.bundle" / bundle.CARD).read_text())
    assert card["opset"] == model.opset_import[0].version
    assert [tensor["name"] for tensor in card["outputs"]] == [output.name for output in model.graph.output]
    assert [tensor["name"] for tensor in card["outputs"]] == ["score", "p_value", "label", "heatmap"]
    shape = [axis.dim_param or axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim]
    assert shape == ["N", 64, 64, 3] == card["inputs"][0]["shape"]


def test_kept_pictures_are_declared(tmp_path):
    for name in ("knn", "ede"):
        export_detector(detector(name), tmp_path / name)
    assert [bundle.read(tmp_path / name).card.contains_training_pictures for name in ("knn", "ede")] == [True, False]


def session(made):
    return onnxruntime.InferenceSession(made / bundle.MODEL, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", quick(["ede", "ed", "knn"], "ede"))
def test_the_graph_computes_a_heat_map_when_asked_to_and_no_more_than_the_score_needs_otherwise(tmp_path, name):
    export_detector(detector(name), tmp_path / "made.bundle")
    pixels = stripes(3, seed=4)[..., None]
    model = session(tmp_path / "made.bundle")
    assert [given.name for given in model.get_inputs()] == ["pixels"]
    *verdicts, none = model.run(None, {"pixels": pixels})
    *asked, maps = model.run(None, {"pixels": pixels, "with_heatmap": np.array(True)})
    assert (none.shape, maps.shape) == ((0, 1, 32, 32), (3, 1, 32, 32))
    assert maps.max() > 0
    for one, other in zip(verdicts, asked, strict=True):
        assert np.array_equal(one, other)
    graph = onnx.load(tmp_path / "made.bundle" / bundle.MODEL).graph
    assert [node.op_type for node in graph.node].count("If") == 1
    used = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    assert all(used & set(node.output) for node in graph.node if node.op_type != "If")  # nothing outside the branch is for the map alone


def test_a_bundle_from_before_there_was_a_branch_gives_the_same_heat_map(tmp_path, monkeypatch):
    was = detector()
    export_detector(was, tmp_path / "new.bundle", pictures=stripes(20))
    monkeypatch.setattr(export, "heatmap_on_demand", lambda model: None)
    model, outputs, opset = export.to_onnx.__wrapped__(was)
    card = export.card_of(was, model, outputs, opset)
    old = bundle.Bundle(card.model_copy(update={"inputs": card.inputs[:1]}), model)
    found, expected = runtime.Runtime(old, threads=1), runtime.load(tmp_path / "new.bundle", threads=1)
    np.testing.assert_array_equal(found.heatmap(stripes(1)[0]), expected.heatmap(stripes(1)[0]))
