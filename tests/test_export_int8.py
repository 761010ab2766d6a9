"""Bundles in 8 bits: smaller, calibrated by their own scores, judged before they are written, and refused in a sentence."""

import json
import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
from pictures import assert_refused, checks, fitted, stripes, write, write_labelled
from PIL import Image

from novelette import bundle, calibrate, export, export_check, export_int8, quantize, runtime, store
from novelette.cli import main
from novelette.data.decode import read_picture
from novelette.data.images import content_hash, load
from novelette.data.select import Where, describe, labelled_pictures, normal_pictures
from novelette.data.sources import open_source
from novelette.errors import InputError

pytestmark = pytest.mark.heavy

GAN = ("--widths", "2", "--latent", "32", "--steps", "60")
EASY = ("--least-correlation", "0.5")  # a network of sixty steps ranks stripes by noise, and 8 bits are to pass all the same


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Hardly timed; and the same graph is compared with its detector once."""
    checked = {}

    def compared(detector, pictures):
        key = (detector.calibration.tobytes(), detector.threshold)
        return checked[key] if key in checked else checked.setdefault(key, export.compared(detector, pictures))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_int8, "SECONDS", 0.0)
        patch.setattr(export_int8, "compared", compared)
        yield


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pictures") / "parts", stripes(100))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    return write_labelled(tmp_path_factory.mktemp("pictures") / "labelled", 30)


@pytest.fixture(scope="module")
def det(tmp_path_factory, parts):
    return fitted(tmp_path_factory.mktemp("detectors") / "gan.det", parts, "ede-gan", *GAN)


@pytest.fixture(scope="module")
def made(det, quick):
    assert main(["export", str(det), "-o", str(det.with_name("8.bundle")), "--int8", *EASY]) == 0
    return det.with_name("8.bundle")


# what is written


def test_its_threshold_is_from_its_own_scores_of_pictures_that_training_did_not_see(det, made, parts):
    was, now = store.load(det), bundle.read(made).card
    pictures = [parts / name for name in open_source(parts).names]
    seen = was.saw(np.array([content_hash(read_picture(path)) for path in pictures], np.uint64))
    held_out = [path for path, known in zip(pictures, seen, strict=True) if not known]
    own = np.sort(runtime.load(made, threads=1).score(held_out).astype(np.float64))
    assert now.calibration == tuple(own)
    assert now.threshold == calibrate.threshold(own, was.false_alarm_rate)
    assert not np.array_equal(own, was.calibration)
    said = runtime.load(made, threads=1).predict(held_out)
    np.testing.assert_allclose(said.p_value, calibrate.p_values(said.score, own), rtol=1e-6)  # of float32
    assert said.novel.tolist() == (said.score > now.threshold).tolist()


def test_scores_are_near_those_in_float_and_the_same_in_every_batch(det, made):
    pictures = np.concatenate([stripes(20, seed=5), checks(20)])
    expected, found = store.load(det).score(pictures), runtime.load(made, threads=1).score(pictures)
    np.testing.assert_allclose(found, expected, rtol=0.2)  # 7 and 8 bits, through three matrices
    assert not np.array_equal(found, expected)
    for batch in (1, 7):
        assert np.array_equal(runtime.load(made, threads=1, batch_size=batch).score(pictures), found)


def test_the_matrices_are_in_8_bits_and_the_distance_in_float(made):
    model = onnx.load(made / bundle.MODEL)
    onnx.checker.check_model(model, full_check=True)
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    into = {node.output[0]: node for node in model.graph.node}
    for node in model.graph.node:
        if node.op_type == "Gemm":
            image, weight = into[node.input[0]], into[node.input[1]]
            assert (image.op_type, weight.op_type) == ("DequantizeLinear", "DequantizeLinear")
            assert types[weight.input[0]] == onnx.TensorProto.INT8
        if node.op_type == "ReduceL2":
            difference = into[node.input[0]]
            assert difference.op_type == "Sub"
            assert all(into[name].op_type != "DequantizeLinear" for name in difference.input)
    card = bundle.read(made).card
    assert card.opset == model.opset_import[0].version
    assert card.quantized.layers == sum(node.op_type == "Gemm" for node in model.graph.node) == 3
    weights = 3 * 32 * 8 * 4 * 4  # latents times the last block
    assert len((made / bundle.MODEL).read_bytes()) < card.quantized.float_bytes - 2 * weights


def test_wide_convolutions_are_in_8_bits_and_narrow_ones_in_float():
    def convolution(name, channels):
        return onnx.helper.make_node("Conv", ["x", name], ["y" + name], name=name), onnx.numpy_helper.from_array(
            np.zeros((4, channels, 4, 4), np.float32), name
        )

    nodes, weights = zip(convolution("narrow", 31), convolution("wide", 32), strict=True)
    graph = onnx.helper.make_graph(nodes, "a", [], [], list(weights))
    assert quantize.layers(onnx.helper.make_model(graph).SerializeToString()) == ["wide"]


def test_weights_are_of_7_bits_so_that_no_processor_overflows(made):
    graph = onnx.load(made / bundle.MODEL).graph
    weights = [onnx.numpy_helper.to_array(t) for t in graph.initializer if t.data_type == onnx.TensorProto.INT8 and len(t.dims) == 2]
    assert len(weights) == 3
    for weight in weights:
        assert 60 <= np.abs(weight.astype(int)).max() <= 64


def test_the_card_and_info_say_what_8_bits_cost(det, made, labelled, tmp_path, capsys):
    held_out = bundle.read(made).card.quantized
    assert (held_out.judged_on, held_out.auroc) == ("held out", None)
    assert 0.5 <= held_out.correlation <= 1
    out = tmp_path / "a.bundle"
    assert main(["export", str(det), "-o", str(out), "--int8", "--labelled", str(labelled), "--most-auroc-loss", "0.2"]) == 0
    said = capsys.readouterr()
    found = bundle.read(out).card.quantized
    assert (found.judged_on, found.pictures) == ("labelled", 60)
    assert f"AUROC {found.auroc:.4f} on 60 pictures, {found.auroc_float:.4f} in float" in said.out
    assert "µs for one image" in said.err
    assert main(["info", str(out)]) == 0
    assert "quantized.auroc_float" in capsys.readouterr().out.replace(" ", "")


def test_it_is_said_when_8_bits_are_slower(det, tmp_path, monkeypatch, capsys):
    slow = iter([[[1e-5], [2e-5]], [[1e-3], [1e-3]]])
    monkeypatch.setattr(export_int8, "in_turns", lambda calls, seconds: next(slow))
    assert main(["export", str(det), "-o", str(tmp_path / "a.bundle"), "--int8", *EASY]) == 0
    assert "8 bits are slower than float on this machine, for one image: 20 µs for one image, 10 in float" in capsys.readouterr().err


def test_pictures_that_training_did_not_see_serve_one_purpose_each(det, tmp_path):
    was = store.load(det)
    ranging, calibrating = export_int8._normal_images(was, str(write(tmp_path / "new", stripes(80, seed=9))))
    assert len(ranging) + len(calibrating) == 80
    assert len(np.unique(np.concatenate([ranging, calibrating]), axis=0)) == 80


# refused, and nothing written


def test_without_the_pictures_of_the_fit_others_must_be_given(det, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(export_int8, "pictures_of_the_fit", lambda *args: None)
    argv = ["export", str(det), "-o", str(tmp_path / "a.bundle"), "--int8", *EASY]
    assert_refused(argv, tmp_path, capsys, "missing or have changed", "--pictures SOURCE")
    assert main([*argv, "--pictures", str(write(tmp_path / "new", stripes(80, seed=9)))]) == 0
    assert bundle.read(tmp_path / "a.bundle").card.quantized.images < 80


def test_a_grey_fit_whose_folder_has_a_picture_in_colour_by_now_is_compared_on_the_others(det, tmp_path):
    Image.new("RGB", (32, 32), "red").save(write(tmp_path / "parts", stripes(20)) / "red.png")
    fit = store.load(det)
    changed = replace(fit, provenance=fit.provenance | {"source": describe(str(tmp_path / "parts"), Where())})
    assert export_check.pictures_to_compare(changed).source == "training source"
    shutil.rmtree(tmp_path / "parts")
    assert export_check.pictures_to_compare(changed).source == "made"
    with pytest.raises(InputError, match="those of the fit are missing or have changed: give some with --pictures SOURCE"):
        export_int8._normal_images(changed, None)


def test_the_named_set_of_the_fit_is_taken_as_the_fit_took_it_and_another_is_refused(det, tmp_path):
    was = store.load(det)
    where = Where(normal="3", protocol="leave-one-out")
    ours = replace(was, provenance=was.provenance | {"source": describe("digits", where)})
    first = load(normal_pictures("digits", where).source, was.preprocessing).pixels[0]
    assert (export_check.pictures_to_compare(ours, "digits").pixels[0] == first).all()
    labels = export_int8._labelled_images(ours, "digits").labels
    assert (labels == labelled_pictures("digits", where).labels).all()
    ranging, calibrating = export_int8._normal_images(ours, "digits")
    assert len(calibrating) > len(ranging)
    for take in (export_check.pictures_to_compare, export_int8._normal_images, export_int8._labelled_images):
        with pytest.raises(InputError, match="mnist is not the set that the detector was fitted on: give that one, or a folder"):
            take(ours, "mnist")


def test_too_few_pictures_are_refused(det, parts, tmp_path, capsys):
    few = write(tmp_path / "few", stripes(12, seed=9))
    argv = ["export", str(det), "-o", str(tmp_path / "a.bundle"), "--int8", *EASY, "--pictures", str(few)]
    assert_refused(argv, tmp_path, capsys, "at least 10 pictures", "--pictures SOURCE")


def test_a_threshold_is_not_lost_for_want_of_pictures(det, tmp_path):
    strict = replace(store.load(det), false_alarm_rate=0.02, calibration=np.linspace(1, 2, 200))
    with pytest.raises(InputError, match=r"takes 49 pictures that training did not see, and there are \d\d:"):
        export_int8.export_int8(strict, tmp_path / "a.bundle", terms=export_int8.Terms(least_correlation=0.0))
    assert not any(tmp_path.iterdir())


def test_a_loss_beyond_the_bound_is_refused(det, labelled, tmp_path, capsys, monkeypatch):
    argv = ["export", str(det), "-o", str(tmp_path / "a.bundle"), "--int8"]
    assert_refused([*argv, "--least-correlation", "1"], tmp_path, capsys, "nothing was exported", "--least-correlation is 1")

    def emptied(model, images, _quantized=quantize.quantized):
        graph = onnx.load_from_string(_quantized(model, images))
        for tensor in graph.graph.initializer:
            if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 2:
                tensor.raw_data = bytes(len(tensor.raw_data))
        return graph.SerializeToString()

    monkeypatch.setattr(export_int8, "quantized", emptied)  # every latent is 0, and so is every distance
    argv += ["--labelled", str(labelled)]
    assert_refused(argv, tmp_path, capsys, "to 0.5000, by 0.", "where --most-auroc-loss is 0.005")


def test_labels_of_one_class_are_refused(det, tmp_path, capsys):
    write(tmp_path / "a" / "normal", stripes(3))
    argv = ["export", str(det), "-o", str(tmp_path / "a.bundle"), "--int8", "--labelled"]
    assert_refused([*argv, str(tmp_path / "a")], tmp_path, capsys, "needs a folder normal/ and at least one other")
    (tmp_path / "a" / "novel").mkdir()
    (tmp_path / "a" / "novel" / "0.png").write_bytes(b"no picture")
    assert_refused([*argv, str(tmp_path / "a")], tmp_path, capsys, "only one label")
    assert_refused([*argv, "mnist"], tmp_path, capsys, "mnist is not the set that the detector was fitted on")


def test_knn_is_refused_since_it_is_in_8_bits_as_it_is(parts, tmp_path, capsys):
    det = fitted(tmp_path / "knn.det", parts)
    assert_refused(["export", str(det), "-o", str(tmp_path / "a.bundle"), "--int8"], tmp_path, capsys, "in 8 bits already")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--labelled", "somewhere"], "--labelled needs --int8"),
        (["--least-correlation", "0.9"], "--least-correlation needs --int8"),
        (["--int8", "--least-correlation", "1.5"], "1.5 is not between 0 and 1"),
        (["--int8", "--most-auroc-loss", "0.1"], "needs --labelled"),
        (["--int8", "--labelled", "somewhere", "--least-correlation", "0.9"], "leave out either"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, says, det, tmp_path, capsys):
    assert_refused(["export", str(det), "-o", str(tmp_path / "a.bundle"), *options], tmp_path, capsys, says)


def test_the_graph_names_no_folder_of_the_machine_that_made_it(det, made):
    for name in (bundle.CARD, bundle.MODEL):
        content = (made / name).read_bytes()
        assert str(det.parent).encode() not in content
        assert b".py" not in content
    assert json.loads((made / bundle.CARD).read_text())["schema"] == 1


def test_a_model_is_quantized_the_same_twice(det):
    model, _, _ = export.to_onnx(store.load(det))
    images = stripes(8)[..., None]
    assert quantize.quantized(model, images) == quantize.quantized(model, images)


def test_8_bits_that_make_the_graph_no_smaller_are_refused(det, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(export_int8, "quantized", lambda model, images: model)
    assert_refused(["export", str(det), "-o", str(tmp_path / "8.bundle"), "--int8", *EASY], tmp_path, capsys, "no smaller", "--int8")
