"""Export: a detector becomes a bundle, one ONNX graph and its card, and is refused when the two do not say the same.

Both sides score the same pictures, natural, made and noise, before anything is written. A bundle that exists has been compared.
export_int8.py goes on from here to 8 bits.
"""

import contextlib
import hashlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

import torch
from torch import nn

from novelette import bundle
from novelette.bundle import Bundle, Card, Checked, Tensor
from novelette.data.images import Preprocessing
from novelette.detector import Detector
from novelette.errors import InputError
from novelette.export_check import compare, pictures_to_compare
from novelette.graph import Graph
from novelette.methods import certainty, ede_gan, feature_knn, kde, knn, oc_svm
from novelette.on_demand import ASKED, heatmap_on_demand
from novelette.runtime import BATCH_SIZE, Runtime

KNN_BYTES = 64 * 2**20  # of kept training pictures or vectors; of pictures onnxruntime holds some twelve times as much once it is loaded
KNN_CANDIDATES = 2**19  # k times the numbers of an image: a gigabyte a batch
KEPT = ("title", "pictures", "n_training", "created", "versions")  # of a detector's provenance: nothing that names a folder


def export_detector(detector: Detector, path: str | Path, *, pictures: Any = None, force: bool = False) -> Checked:
    """Write a detector as the bundle `path`.

    Args: pictures: what to compare both sides on, as `open_source` takes it; the detector's own training source if not given, and made
        pictures where that is not at hand.
    Returns: how the two were compared.
    Raises: InputError when the method cannot be exported, when a score differs by more than 1e-4 or a label changes, when `path` exists
        and `force` is not given, or when the disk says no.
    """
    path = Path(path)
    bundle.check_output(path, force=force)
    made, checked = compared(detector, pictures)
    bundle.write(made, path, force=force)
    return checked


def compared(detector: Detector, pictures: Any = None) -> tuple[Bundle, Checked]:
    """A detector as a bundle in memory, and how it was compared with the detector. Args and Raises: as `export_detector`."""
    refused = why_not(detector)
    if refused:
        raise InputError(f"this detector cannot be exported: {refused}")
    found = pictures_to_compare(detector, pictures)
    model, outputs, opset = to_onnx(detector)
    draft = Bundle(card_of(detector, model, outputs, opset), model)
    checked = compare(detector, Runtime(draft, threads=1, batch_size=BATCH_SIZE), found)
    return Bundle(draft.card.model_copy(update={"checked": checked}), model), checked


def why_not(detector: Detector) -> str | None:
    """Why a detector has no graph, in a few words; None where it has one."""
    scorer = detector.scorer
    if scorer.module() is None:
        return f"novelette has no graph for the method {detector.method}"
    if isinstance(scorer, ede_gan.Scorer) and scorer.needs_its_batch:
        return "--norm batch --statistics batch scores a picture by its batch, and a bundle scores each by itself; fit with --norm image"
    if isinstance(scorer, certainty.Scorer) and scorer.config.reading == "gradient":
        return "--reading gradient differentiates the network, and a graph does not"
    if isinstance(scorer, knn.Scorer):
        kept, what, k = scorer.neighbours.images, "training pictures", scorer.config.k
    elif isinstance(scorer, feature_knn.Scorer):
        kept, what, k = scorer.scoring.vectors, "vectors of training pictures", scorer.config.k
    elif isinstance(scorer, kde.Scorer | oc_svm.Scorer):
        kept, what, k = scorer.kernels.rows, "vectors of training pictures", 0
    else:
        return None
    if kept.nbytes > KNN_BYTES:
        return f"its {kept.nbytes / 2**20:,.0f} MiB of {what} would be in the bundle, and at most {KNN_BYTES >> 20} are allowed"
    if k * kept[0].numel() > KNN_CANDIDATES:
        return f"--k {k} times {kept[0].numel():,} numbers an image is more than the {KNN_CANDIDATES:,} allowed"
    return None


def to_onnx(detector: Detector) -> tuple[bytes, tuple[Tensor, ...], int]:
    """The graph of a detector, what it puts out, and the version of ONNX's operations that it is written in."""
    return traced(Graph(detector), detector.preprocessing, ("score", "p_value", "label", "heatmap"))


def traced(graph: nn.Module, preprocessing: Preprocessing, names: Sequence[str]) -> tuple[bytes, tuple[Tensor, ...], int]:
    """A module from pixels (N, H, W, C) to values of these names, or the first of them, as `to_onnx` gives it."""
    graph, side = graph.eval(), preprocessing.size * preprocessing.tiles
    pixels = torch.zeros(2, side, side, preprocessing.channels, dtype=torch.uint8)
    with torch.no_grad():
        outputs = _outputs(graph(pixels), names)
    with _quiet():
        program = torch.onnx.export(
            graph,
            (pixels,),
            dynamo=True,
            dynamic_shapes={"pixels": {0: torch.export.Dim("N", min=1)}},
            input_names=["pixels"],
            output_names=[tensor.name for tensor in outputs],
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for node in model.graph.node:  # where in the source it came from, folders of this machine included
        node.doc_string = ""
        del node.metadata_props[:]
    del model.graph.metadata_props[:], model.metadata_props[:]
    del model.graph.value_info[:]
    if any(tensor.name == "heatmap" for tensor in outputs):
        heatmap_on_demand(model)
    return model.SerializeToString(), outputs, model.opset_import[0].version


def _outputs(values: tuple[torch.Tensor, ...], names: Sequence[str]) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(name=name, dtype="int64" if name == "label" else "float32", shape=("N", *value.shape[1:]))
        for name, value in zip(names, values, strict=False)
    )


def card_of(detector: Detector, model: bytes, outputs: tuple[Tensor, ...], opset: int) -> Card:
    """The card of a graph that `to_onnx` made, not yet compared with anything."""
    side, channels = detector.preprocessing.size * detector.preprocessing.tiles, detector.preprocessing.channels
    asked = [Tensor(name=ASKED, dtype="bool", shape=()) for tensor in outputs if tensor.name == "heatmap"]
    provenance = {name: detector.provenance[name] for name in KEPT if name in detector.provenance}
    if "title" in provenance:
        provenance["title"] = PurePath(provenance["title"]).name  # of a folder, which has its path as it was typed
    return Card(
        schema=bundle.SCHEMA,
        method=detector.method,
        config=detector.config.model_dump(mode="json"),
        preprocessing=detector.preprocessing,
        inputs=(Tensor(name="pixels", dtype="uint8", shape=("N", side, side, channels)), *asked),
        outputs=outputs,
        opset=opset,
        false_alarm_rate=detector.false_alarm_rate,
        threshold=detector.threshold,
        calibration=tuple(detector.calibration.tolist()),
        contains_training_pictures=detector.scorer.keeps_pictures,
        seed=detector.seed,
        provenance=provenance | {"exported": datetime.now(UTC).isoformat(timespec="seconds"), "exported_by": _versions()},
        model_sha256=hashlib.sha256(model).hexdigest(),
    )


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("novelette", "torch", "onnx", "onnxscript")}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's remarks on packages that are not there, and on its own future, are nothing that a person can act on."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
