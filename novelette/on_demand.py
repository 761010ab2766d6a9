"""A heat map that a graph computes only when asked to: its operations move into a branch, whose condition is an input with a default."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ASKED = "with_heatmap"  # the input: a bool without axes, false unless given


def heatmap_on_demand(model: onnx.ModelProto) -> None:
    """Move what only the output `heatmap` needs into a branch that runs when ASKED; otherwise that output has no rows. In place.

    onnxruntime computes every node of a graph, whichever outputs are fetched, but only the branch that a condition takes.
    """
    graph = model.graph
    heatmap = next(output for output in graph.output if output.name == "heatmap")
    anyway = _needed(graph, [output.name for output in graph.output if output is not heatmap])
    late = [node for i, node in enumerate(graph.node) if i not in anyway]
    for node in late:
        node.output[:] = ["map" if name == "heatmap" else name for name in node.output]
    shape = [axis.dim_value for axis in heatmap.type.tensor_type.shape.dim][1:]
    nothing = helper.make_node("Constant", [], ["nothing"], value=numpy_helper.from_array(np.zeros((0, *shape), np.float32), "nothing"))
    branches = {"then_branch": _branch("asked", late, "map"), "else_branch": _branch("not_asked", [nothing], "nothing")}
    kept = [node for i, node in enumerate(graph.node) if i in anyway]
    del graph.node[:]
    graph.node.extend([*kept, helper.make_node("If", [ASKED], ["heatmap"], name="heatmap_on_demand", **branches)])
    graph.input.append(helper.make_tensor_value_info(ASKED, TensorProto.BOOL, []))
    graph.initializer.append(numpy_helper.from_array(np.array(False), ASKED))  # an input that is an initializer too has it as its default
    onnx.checker.check_model(model)


def _needed(graph: onnx.GraphProto, names: list[str]) -> set[int]:
    """Numbers of the nodes that outputs come from."""
    made_by = {name: i for i, node in enumerate(graph.node) for name in node.output}
    found: set[int] = set()
    left = list(names)
    while left:
        i = made_by.get(left.pop())
        if i is not None and i not in found:
            found.add(i)
            left += graph.node[i].input
    return found


def _branch(name: str, nodes: list[onnx.NodeProto], output: str) -> onnx.GraphProto:
    return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)])
