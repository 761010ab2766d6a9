"""Static quantization: the products of matrices and the wide convolutions of a graph in 8 bits, everything else in float.

    w ≈ s_c w₈,  a weight of output channel c in 7 bits, w₈ from -64 to 64        a ≈ s (a₈ - a₀),  an activation in 8, a₈ from 0 to 255

s and a₀ come from the least and the largest activation that normal images cause. Sums are whole numbers, so a score is the same in every
batch. The 7 bits are for processors without 8-bit dot products, whose sums of two products would overflow with 8: calibration scores that
one machine computed have to hold on another.

What is computed in float is faster or better so; of its weights the large ones are kept in 8 bits all the same. docs/bundle-format.md has
the trials behind this choice.
"""

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

LEAST_PRODUCTS = 512  # that a convolution's output sums: with fewer, what goes in and out of 8 bits costs more than it saves
LEAST_KEPT = 4096  # numbers of a weight that are worth a node more: 12 KB less
MATRICES = ("Gemm", "MatMul")
OUTPUTS = {"Conv": 0, "ConvTranspose": 1}  # the axis of a weight that its output channels have; of one group


def quantized(model: bytes, images: NDArray[np.uint8]) -> bytes:
    """A graph with 8-bit weights and activations, through onnxruntime's static quantization.

    Args: images: normal ones, the graph's own input, uint8 (n, H, W, C), for the ranges of activations.
    """
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "model.onnx"
        quantize_static(
            onnx.load_from_string(model),
            path,
            _OneByOne(images),
            quant_format=QuantFormat.QDQ,
            nodes_to_quantize=layers(model),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"OpTypesToExcludeOutputQuantization": list(MATRICES)},  # latents, and with them the distance, stay in float
        )
        return _sorted(_packed(path.read_bytes()))


def layers(model: bytes) -> list[str]:
    """Names of the nodes that are worth 8 bits. Transposed convolutions are none: onnxruntime has them in float alone on a CPU."""
    graph = onnx.load_from_string(model).graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    names = []
    for node in graph.node:
        weight = weights.get(node.input[1]) if len(node.input) > 1 else None
        if weight is None:
            continue
        if node.op_type in MATRICES or (node.op_type == "Conv" and np.prod(weight.dims[1:]) >= LEAST_PRODUCTS):
            names.append(node.name)
    return names


def _packed(model: bytes) -> bytes:
    """A graph whose convolutions in float have their weights in 8 bits, symmetric, a scale per output channel.

    onnxruntime unpacks constants once, as it loads a graph: it does so with Cast and Mul, and not with DequantizeLinear.
    """
    known = onnx.load_from_string(model)
    graph = known.graph
    weights = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    unpacking = []
    for node in graph.node:
        weight = weights.get(node.input[1]) if node.op_type in OUTPUTS else None
        if weight is None or np.prod(weight.dims) < LEAST_KEPT:
            continue
        w, axis, name = numpy_helper.to_array(weight), OUTPUTS[node.op_type], weight.name
        scale = np.abs(w).max(tuple({0, 1, 2, 3} - {axis}), keepdims=True) / np.float32(127)
        scale[scale == 0] = 1
        weight.CopyFrom(numpy_helper.from_array((w / scale).round().astype(np.int8), f"{name}_8"))
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
        unpacking.append(helper.make_node("Cast", [f"{name}_8"], [f"{name}_whole"], to=onnx.TensorProto.FLOAT))
        unpacking.append(helper.make_node("Mul", [f"{name}_whole", f"{name}_scale"], [name]))
        del weights[name]
    nodes = [*unpacking, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return known.SerializeToString()


def _sorted(model: bytes) -> bytes:
    """A graph whose branches come last: onnxruntime's sorting does not see what they take from outside."""
    known = onnx.load_from_string(model)
    nodes = sorted(known.graph.node, key=lambda node: node.op_type == "If")
    del known.graph.node[:]
    known.graph.node.extend(nodes)
    return known.SerializeToString()


class _OneByOne(CalibrationDataReader):
    """Images one at a time, as onnxruntime asks for them."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = iter(images)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        image = next(self.images, None)
        return None if image is None else {"pixels": image[None]}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """onnxruntime's advice to prepare the graph, which the exporter has done, is nothing that a person can act on."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    onnxruntime.set_default_logger_severity(4)
    try:
        yield
    finally:
        onnxruntime.set_default_logger_severity(2)
        logging.disable(before)
