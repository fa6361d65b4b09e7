"""Layers before a linear layer are folded into it, and outputs stay the same."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from fastai.tabular.model import TabularModel
from torch import nn

from fastmar_export.networks import export_graph, folding
from fastmar_export.networks.folding import fold_linear_layers
from fastmar_export.networks.graph import SHALLOW, check_graph
from fastmar_export.networks.passes import optimized

ROWS = 40
POSITIONS = ["x_cat", "x_cont"]
SIZES = [(9, 5), (16, 8), (3, 3), (300, 40), (5, 4)]
NETS: dict[str, dict[str, Any]] = {
    "linear layers first": {},
    "batch norms first": {"lin_first": False},
    "no batch norms": {"use_bn": False, "bn_cont": False},
    "one column": {"emb_szs": SIZES[:1]},
    "narrow column": {"emb_szs": SIZES[2:3]},
    "large column": {"emb_szs": SIZES[3:4]},
    "no columns of categories": {"emb_szs": []},
    "no numbers": {"n_cont": 0},
    "bounded numbers": {"out_sz": 1, "y_range": (0, 5)},
}


def make(*, emb_szs: Any = SIZES, n_cont: int = 3, **options: Any) -> tuple[nn.Module, dict[str, Any]]:
    """A network with random weights and statistics, and its inputs."""
    torch.manual_seed(0)
    network = TabularModel(emb_szs, n_cont, **{"out_sz": 2, "layers": [200, 100], **options}).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            for tensor in (module.weight, module.running_var):
                tensor.data.uniform_(0.2, 3)
            for tensor in (module.bias, module.running_mean):
                tensor.data.normal_()
    codes = [torch.randint(size, (ROWS, 1)) for size, _ in emb_szs]
    inputs = {"x_cat": torch.cat(codes, 1).numpy()} if codes else {}
    return network, inputs | ({"x_cont": torch.randn(ROWS, n_cont).numpy()} if n_cont else {})


def run(model: bytes, inputs: dict[str, Any]) -> Any:
    return onnxruntime.InferenceSession(model).run(None, inputs)[0]


@pytest.mark.parametrize("name", NETS)
def test_outputs_are_those_of_the_network(name: str) -> None:
    network, inputs = make(**NETS[name])
    graph, expected = export_graph(network, inputs, POSITIONS)
    model = onnx.load_from_string(graph.model)
    fold_linear_layers(model)
    onnx.checker.check_model(model, full_check=True)
    assert not [node for node in model.graph.node if node.op_type == "BatchNormalization"]
    assert model.SerializeToString(deterministic=True) != graph.model or name == "no batch norms"
    written = model.SerializeToString()
    check_graph(run(written, inputs), expected, SHALLOW)
    assert run(written, {key: array[:0] for key, array in inputs.items()}).shape == (0, *expected.shape[1:])
    alone = [run(written, {key: array[row : row + 1] for key, array in inputs.items()}) for row in range(ROWS)]
    np.testing.assert_array_equal(np.concatenate(alone), run(written, inputs))


def test_columns_share_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MAX_TABLE", 200 * 300)
    network, inputs = make()
    model = onnx.load_from_string(export_graph(network, inputs, POSITIONS)[0].model)
    fold_linear_layers(model)
    shapes = {each.name: list(each.dims) for each in model.graph.initializer}
    assert [shapes[f"linear_table_{number}_rows"] for number in (0, 1)] == [[300, 200], [16 * 9, 200]]
    assert Counter(node.op_type for node in model.graph.node)["MatMul"] == 1


def test_a_pass_that_changes_outputs_is_not_applied() -> None:
    network, inputs = make()
    graph, expected = export_graph(network, inputs, POSITIONS)

    def breaks(model: onnx.ModelProto) -> None:
        [bias] = [each for each in model.graph.initializer if each.name == "network.layers.2.0.bias"]
        bias.raw_data = np.ones(2, np.float32).tobytes()

    assert optimized(graph, [breaks], inputs, expected, SHALLOW) is graph
    assert optimized(graph, [fold_linear_layers], inputs, expected, SHALLOW) != graph
