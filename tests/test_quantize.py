"""What stays in float in a graph of 8 bits keeps its large weights in 8 bits."""

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from novelette.quantize import LEAST_KEPT, _packed

RNG = np.random.default_rng(0)
UP, DOWN, SMALL = (RNG.normal(size=shape).astype(np.float32) for shape in ((16, 32, 4, 4), (20, 32, 4, 4), (3, 20, 4, 4)))


def graph_of(up, down, small):
    """(1, 16, 8, 8) through a transposed convolution, a wide one and a narrow one."""
    nodes = [
        helper.make_node("ConvTranspose", ["x", "up"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "down"], ["b"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["b", "small"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1]),
    ]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", c, s, s]) for name, c, s in (("x", 16, 8), ("y", 3, 4))]
    weights = [numpy_helper.from_array(w, name) for name, w in (("up", up), ("down", down), ("small", small))]
    made = helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def run(model, x):
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def in_steps(w, axis):
    """w as 255 whole steps of each output channel can say it, in plain loops."""
    out = np.empty_like(w)
    for c in range(w.shape[axis]):
        channel = w.take(c, axis)
        step = np.abs(channel).max() / 127
        out[(slice(None),) * axis + (c,)] = np.rint(channel / step) * step if step else 0
    return out


def test_large_weights_of_convolutions_are_kept_in_8_bits_a_scale_per_output_channel():
    assert SMALL.size < LEAST_KEPT <= min(UP.size, DOWN.size)
    up = UP.copy()
    up[:, 3] = 0  # a channel that is never used
    plain, x = graph_of(up, DOWN, SMALL), RNG.normal(size=(2, 16, 8, 8)).astype(np.float32)
    packed = _packed(plain)
    expected = run(graph_of(in_steps(up, 1), in_steps(DOWN, 0), SMALL), x)
    np.testing.assert_allclose(run(packed, x), expected, rtol=1e-4, atol=1e-4)
    assert np.abs(expected - run(plain, x)).max() > 1e-3
    assert len(plain) - len(packed) > 0.7 * (up.nbytes + DOWN.nbytes)


def test_a_graph_of_small_weights_is_as_it_was():
    tiny = graph_of(UP[:, :4], DOWN[:, :4], SMALL)
    assert _packed(tiny) == onnx.load_from_string(tiny).SerializeToString()
