"""Graphs that are traced once: a trace takes seconds, and tests export the same few detectors again and again."""

import functools
import hashlib


def once(to_onnx):
    """`export.to_onnx`, which looks up what it has traced before. Its `__wrapped__` traces anew."""
    traced = {}

    @functools.wraps(to_onnx)
    def remembered(detector):
        key = all_that_a_graph_holds(detector)
        if key not in traced:
            traced[key] = to_onnx(detector)
        return traced[key]

    return remembered


def all_that_a_graph_holds(detector):
    """As a hash: how pictures are prepared and scored, and the verdicts."""
    whole = hashlib.sha256(repr((detector.method, detector.config, detector.preprocessing, detector.threshold)).encode())
    whole.update(detector.calibration.tobytes())
    for name, tensor in sorted(detector.scorer.state().items()):
        whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        whole.update(tensor.numpy().tobytes())
    return whole.digest()
