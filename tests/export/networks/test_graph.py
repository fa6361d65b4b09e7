"""ONNX graphs: reproducible bytes without local paths, dynamic axes, and refused networks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from fastai.layers import AdaptiveAvgPool, ConvLayer
from onnx import TensorProto, helper
from torch import nn

from fastmar_export.errors import ExportError, ParityFailed, UnsupportedOperator
from fastmar_export.networks import export_graph, graph, rebuild
from fastmar_export.networks.graph import DEEP, check_graph
from tests.export.errors import raises
from tests.export.networks.makers import NETS, answer, make_learner, recorded


@pytest.fixture
def network(loaders: Any, tmp_path: Path) -> nn.Module:
    return rebuild(recorded(make_learner(NETS["small unet"], loaders), tmp_path))


def test_same_network_gives_same_bytes_without_local_paths() -> None:
    network = nn.Sequential(ConvLayer(3, 4), AdaptiveAvgPool(2), nn.Flatten(), nn.Linear(16, 2)).eval()
    x = {"image": torch.rand(2, 3, 64, 64).numpy()}
    one, other = (export_graph(network, x, ["image"])[0].model for _ in range(2))
    assert one == other
    for path in (sys.prefix, sys.base_prefix, str(Path(__file__).parents[3]), str(Path.home()), "site-packages", ".py"):
        assert path.encode() not in one
    assert not [t for t in onnx.load_from_string(one).graph.initializer if t.data_location == TensorProto.EXTERNAL]


def test_dynamic_axes(network: nn.Module) -> None:
    sample = {"image": torch.rand(2, 3, 64, 96).numpy()}
    exported, _ = export_graph(network, sample, ["image"], dynamic_axes={"image": {2: "height", 3: "width"}})
    assert exported.inputs[0].shape == ("batch", 3, "height", "width")
    assert exported.outputs[0].shape == ("batch", 3, "height", "width")
    session = onnxruntime.InferenceSession(exported.model)
    for shape in ((1, 3, 64, 64), (3, 3, 32, 32), (2, 3, 101, 77)):
        x = torch.rand(shape)
        check_graph(session.run(None, {"image": x.numpy()})[0], answer(network, x).numpy(), DEEP)


def test_network_for_one_size_is_refused_with_dynamic_axes() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2)).eval()
    with raises(ExportError, "onnx_export_failed"):
        export_graph(
            network, {"image": np.zeros((2, 3, 8, 8), np.float32)}, ["image"], dynamic_axes={"image": {2: "height"}}
        )


def test_notes_are_removed_from_nested_graphs() -> None:
    def body(name: str) -> onnx.GraphProto:
        node = helper.make_node("Identity", ["x"], [name], doc_string="File /secret/a.py")
        node.metadata_props.add(key="stack", value="/secret/b.py")
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, [1], doc_string="/secret/c.py")
        return helper.make_graph([node], f"of_{name}", [], [value], doc_string="/secret/d.py")

    choice = helper.make_node("If", ["which"], ["y"], then_branch=body("a"), else_branch=body("b"))
    choice.attribute[0].doc_string = "/secret/e.py"
    constant = helper.make_tensor("t", TensorProto.BOOL, [], [True])
    constant.doc_string = "/secret/f.py"
    nodes = [helper.make_node("Constant", [], ["which"], value=constant), choice]
    inputs, outputs = ([helper.make_tensor_value_info(n, TensorProto.FLOAT, [1])] for n in "xy")
    model = helper.make_model(
        helper.make_graph(nodes, "g", inputs, outputs), opset_imports=[helper.make_opsetid("", graph.OPSET)]
    )
    assert b"/secret" in model.SerializeToString()
    assert b"/secret" not in graph._without_traces(model)


def test_network_larger_than_an_onnx_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "_MAX_BYTES", 100)
    with raises(ExportError, "network_too_large"):
        export_graph(nn.Linear(10, 10).eval(), {"x": np.zeros((2, 10), np.float32)}, ["x"])


class Noise(nn.Module):
    def forward(self, x: Any) -> Any:
        return x + torch.rand_like(x)


def test_operator_outside_the_allow_list_is_refused() -> None:
    with raises(UnsupportedOperator, None, "RandomUniform"):
        export_graph(Noise().eval(), {"x": np.zeros((2, 10), np.float32)}, ["x"])


def test_elementwise_layers_of_torch_are_exported() -> None:
    """Each export checks its operators; these layers are in no network of the other tests."""
    layers = [
        nn.CELU(), nn.ELU(), nn.GELU(), nn.GLU(), nn.Hardshrink(), nn.Hardsigmoid(), nn.Hardswish(), nn.Hardtanh(),
        nn.LeakyReLU(), nn.LogSigmoid(), nn.LogSoftmax(1), nn.Mish(), nn.PReLU(), nn.ReLU(), nn.ReLU6(), nn.SELU(),
        nn.SiLU(), nn.Sigmoid(), nn.Softmin(1), nn.Softplus(), nn.Softshrink(), nn.Softsign(), nn.Tanh(),
        nn.Tanhshrink(),
    ]  # fmt: skip
    network = nn.Sequential(nn.Linear(8, 16), *layers, nn.Linear(8, 2)).eval()
    export_graph(network, {"x": np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)}, ["x"])


def test_layers_of_shapes_are_exported() -> None:
    network = nn.Sequential(
        nn.Unfold(2, stride=2), nn.Fold((8, 8), 2, stride=2), nn.PixelUnshuffle(2), nn.PixelShuffle(2), nn.ZeroPad2d(1),
        nn.ReflectionPad2d(1), nn.ReplicationPad2d(1), nn.LPPool2d(2, 2), nn.Upsample(scale_factor=2), nn.Dropout2d(),
        nn.ConvTranspose2d(3, 4, 2), nn.LocalResponseNorm(2), nn.LayerNorm(15), nn.AdaptiveMaxPool2d(1), nn.Flatten(),
    )  # fmt: skip
    export_graph(network.eval(), {"image": np.ones((2, 3, 8, 8), np.float32)}, ["image"])


class Two(nn.Module):
    def forward(self, x: Any) -> Any:
        return x, x


def test_warnings_of_torch_about_layers_are_not_shown() -> None:
    """Warnings are errors in tests; torch warns about each call of a LogSoftmax without an axis."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.LogSoftmax()).eval()
    _, output = export_graph(network, {"x": torch.rand(2, 4).numpy()}, ["x"])
    np.testing.assert_allclose(np.exp(output).sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("network", [Two(), nn.Flatten(0)])
def test_output_without_a_row_for_each_record_is_refused(network: nn.Module) -> None:
    with raises(ExportError, "unexpected_output"):
        export_graph(network.eval(), {"x": np.zeros((2, 10), np.float32)}, ["x"])


def test_tolerance_of_deep_networks_is_relative_to_the_largest_output() -> None:
    theirs = np.array([[100.0, 0.001]], np.float32)
    ours = theirs + np.array([[0.005, 0.005]], np.float32)
    assert check_graph(ours, theirs, DEEP) == pytest.approx(5e-5, rel=0.01)
    with pytest.raises(ParityFailed):
        check_graph(ours, theirs)
    with pytest.raises(ParityFailed):
        check_graph(ours * np.nan, theirs, DEEP)
