from __future__ import annotations

import contextlib
import re
from pathlib import Path

import numpy as np
import onnx
import onnxscript
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from fastmar_runtime.errors import BundleError, GraphRefused
from fastmar_runtime.operators import ALLOWED, check_operators, operators
from tests.runtime import tiny, tiny_pictures


def graph_of(*nodes, initializers=(), **options) -> bytes:
    body = helper.make_graph(list(nodes), "g", [], [], list(initializers))
    return helper.make_model(body, **options).SerializeToString()


def refusal_message(graph: bytes) -> str:
    with pytest.raises(GraphRefused) as caught:
        check_operators(graph)
    assert caught.value.code == "graph_refused"
    assert caught.value.fix
    return caught.value.message


@pytest.mark.parametrize(
    "graph", [tiny.graph(), tiny.date_graph(), tiny_pictures.graph(), tiny_pictures.mask_graph()], ids=range(4)
)
def test_valid_graphs(graph):
    check_operators(graph)
    nodes = onnx.load_from_string(graph).graph.node
    assert operators(graph) == {node.op_type for node in nodes}


@pytest.mark.parametrize(
    "operator", ["Loop", "Scan", "If", "RandomNormal", "SequenceAt", "StringConcat", "NoSuchThing"]
)
def test_other_operators(operator):
    assert operator in refusal_message(graph_of(helper.make_node(operator, ["x"], ["y"])))


def test_other_domains():
    node = helper.make_node("Relu", ["x"], ["y"], domain="com.microsoft")
    assert "com.microsoft.Relu" in refusal_message(graph_of(node))


def test_a_subgraph():
    node = helper.make_node("Relu", ["x"], ["y"], body=helper.make_graph([], "body", [], []))
    assert "subgraph" in refusal_message(graph_of(node))


def test_functions():
    function = helper.make_function("x", "f", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [])
    assert "function" in refusal_message(graph_of(functions=[function]))


def test_weights_in_another_file():
    weights = numpy_helper.from_array(np.zeros(3, np.float32), "w")
    onnx.external_data_helper.set_external_data(weights, location="/etc/passwd")
    assert "another file" in refusal_message(graph_of(initializers=[weights]))


@pytest.mark.parametrize("operator", ["ConstantOfShape", "Expand", "Col2Im"])
@pytest.mark.parametrize("packed", [False, True])
def test_tensors_of_an_enormous_size(operator, packed):
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [1 << 20, 1 << 20])
    if not packed:
        shape = numpy_helper.from_array(np.array([1 << 20, 1 << 20]), "shape")
    inputs = ["shape"] if operator == "ConstantOfShape" else ["x", "shape"]
    assert f"{1 << 40:,}" in refusal_message(graph_of(helper.make_node(operator, inputs, ["y"]), initializers=[shape]))


def test_an_enormous_size_in_a_constant():
    shape = helper.make_node("Constant", [], ["s"], value=numpy_helper.from_array(np.array([1 << 40])))
    assert f"{1 << 40:,}" in refusal_message(graph_of(shape, helper.make_node("ConstantOfShape", ["s"], ["y"])))


@given(st.data())
def test_damaged_graphs_raise_only_bundle_errors(data):
    graph = bytearray(tiny.graph())
    for _ in range(data.draw(st.integers(1, 4))):
        graph[data.draw(st.integers(0, len(graph) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BundleError):
        check_operators(bytes(graph))


@given(st.binary())
def test_any_bytes(content):
    with pytest.raises(BundleError):
        check_operators(content)


def test_allowed_operators_have_no_subgraphs_or_random_numbers():
    for operator in ALLOWED:
        schema = onnx.defs.get_schema(operator) if onnx.defs.has(operator) else None
        kinds = {attribute.type for attribute in schema.attributes.values()} if schema else set()
        assert onnx.defs.OpSchema.AttrType.GRAPH not in kinds
        assert not operator.startswith(("Random", "Sequence", "Optional", "String"))


NOT_ALLOWED = {
    # subgraphs, sequences
    "Attention", "ConcatFromSequence", "SequenceAt", "SequenceEmpty", "SequenceInsert", "SequenceMap",
    "SplitToSequence",
    # random numbers
    "Bernoulli", "Multinomial", "RandomNormalLike", "RandomUniformLike",
    # signals, boxes, losses, operators that no torch layer needs
    "BlackmanWindow", "DFT", "Det", "HammingWindow", "HannWindow", "MaxRoiPool", "NegativeLogLikelihoodLoss",
    "NonMaxSuppression", "RoiAlign", "STFT", "SoftmaxCrossEntropyLoss", "Unique",
}  # fmt: skip


def test_operators_of_torchs_exporter_are_allowed_or_listed():
    """A new version of torch may write operators that are in neither list."""
    folders = (
        Path(torch.onnx.__path__[0], "_internal/exporter/_torchlib"),
        Path(onnxscript.__path__[0], "function_libs"),
    )
    sources = [path.read_text("utf-8") for folder in folders for path in folder.rglob("*.py")]
    written = {name for source in sources for name in re.findall(r"\bop\d*\.([A-Z]\w+)", source)}
    assert len(written) > 100
    assert written - ALLOWED - NOT_ALLOWED - {"If", "Loop", "Scan"} == set()
    assert not ALLOWED & NOT_ALLOWED
