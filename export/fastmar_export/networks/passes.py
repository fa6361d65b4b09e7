"""Passes over a graph, which make it faster and keep its outputs within the tolerance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort

from fastmar_export.errors import ParityFailed
from fastmar_export.networks.graph import Graph, Tolerance, check_graph

Pass: TypeAlias = Callable[[onnx.ModelProto], None]
"""Changes a graph in place; leaves it unchanged where it does not apply."""


def optimized(
    graph: Graph,
    passes: Sequence[Pass],
    samples: dict[str, npt.NDArray[Any]],
    expected: npt.NDArray[np.float32],
    tolerance: Tolerance,
) -> Graph:
    """`graph` after the `passes` that keep its outputs.

    A pass adds the same products in another order. With extreme weights, such as those of a batch norm of a constant
    column, rounding can exceed the tolerance; then the graph stays as it was before the pass.

    Args:
        graph: the exported graph.
        passes: applied in this order.
        samples: inputs of the graph, [batch, ...] each.
        expected: the network's first output for them.
        tolerance: for differences from `expected`.
    """
    for apply in passes:
        model = onnx.load_from_string(graph.model)
        apply(model)
        onnx.checker.check_model(model)
        changed = replace(graph, model=model.SerializeToString(deterministic=True))
        if changed.model != graph.model and _is_equal(changed, samples, expected, tolerance):
            graph = changed
    return graph


def _is_equal(
    graph: Graph, samples: dict[str, npt.NDArray[Any]], expected: npt.NDArray[np.float32], tolerance: Tolerance
) -> bool:
    session = ort.InferenceSession(graph.model, providers=["CPUExecutionProvider"])
    try:
        check_graph(session.run([graph.outputs[0].name], samples)[0], expected, tolerance)
    except ParityFailed:
        return False
    return True
