"""Changed ONNX graphs."""

from __future__ import annotations

import onnx
from onnx import numpy_helper


def negated(graph: bytes, *_: object) -> bytes:
    """A graph with the opposite outputs."""
    model = onnx.load_from_string(graph)
    last = next(node for node in reversed(model.graph.node) if node.op_type == "Gemm")
    weight = next(each for each in model.graph.initializer if each.name == last.input[1])
    weight.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(weight), weight.name))
    return model.SerializeToString()
