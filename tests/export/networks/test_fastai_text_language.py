"""Language models: logits, states and pooled outputs equal fastai's for each text alone, in one call or in several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cloudpickle
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from fastai.text.models.awdlstm import AWD_LSTM
from fastai.text.models.core import get_language_model, masked_concat_pool
from torch import nn

from fastmar_export.errors import ExportError
from fastmar_export.networks import Graph, export_graph, rebuild
from fastmar_export.networks.fastai_text import state_sizes
from fastmar_export.reader import read_torch_file
from tests.conftest import MEASURED
from tests.export.errors import raises
from tests.export.networks.makers import recorded
from tests.export.networks.texts import SMALL, Ids, inputs, language_model, random_texts, randomise

TOLERANCE = 2e-5  # for logits of up to about 20; 2e-6 was measured
AXES = {"ids": {1: "time"}}
LENGTHS = [90, 1, 2, 72, 73, 30, 5]
Arrays = dict[str, npt.NDArray[Any]]


class Case(NamedTuple):
    """fastai's network, the rebuilt network, its graph, and the session of the graph."""

    theirs: nn.Module
    network: nn.Module
    graph: Graph
    session: Any

    def run(self, texts: Sequence[Ids], states: Arrays | None = None) -> tuple[Arrays, Arrays]:
        """The outputs of network and graph, with states of zeros by default."""
        batch = inputs(texts) | (states or zeros(self.network, len(texts)))
        names = [each.name for each in self.graph.outputs]
        with torch.no_grad():
            outputs = self.network(*[torch.from_numpy(batch[each.name]) for each in self.graph.inputs])
        of_network = dict(zip(names, [output.numpy() for output in outputs], strict=True))
        return of_network, dict(zip(names, self.session.run(names, batch), strict=True))


def zeros(network: nn.Module, batch: int) -> Arrays:
    return {name: np.zeros((batch, size), np.float32) for name, size in state_sizes(network).items()}


def carried(outputs: Arrays) -> Arrays:
    """The states after a call, as inputs of the next one."""
    return {name.removeprefix("next_"): array for name, array in outputs.items() if name.startswith("next_")}


def exported(theirs: nn.Module, network: nn.Module) -> Case:
    samples = inputs(random_texts([5, 13])) | zeros(network, 2)
    outputs = ["output", "pooled", *[f"next_{name}" for name in state_sizes(network)]]
    graph, _ = export_graph(network, samples, list(samples), AXES, outputs)
    return Case(theirs, network, graph, onnxruntime.InferenceSession(graph.model))


def saved(network: nn.Module, folder: Path) -> Any:
    """The record of a network in a file of `torch.save`."""
    torch.save(network, folder / "network.pkl", pickle_protocol=2, pickle_module=cloudpickle)
    return read_torch_file(folder / "network.pkl").root


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    learn = language_model()
    return exported(learn.model, rebuild(recorded(learn, tmp_path_factory.mktemp("learner"))))


@pytest.fixture(scope="module")
def untied(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A language model of one layer, whose decoder has its own weight and no bias."""
    torch.manual_seed(0)
    options = {"n_layers": 1, "tie_weights": False, "out_bias": False, "output_p": 0.1}
    network = get_language_model(AWD_LSTM, 60, config=SMALL | options)
    randomise(network)
    return exported(network, rebuild(saved(network, tmp_path_factory.mktemp("network"))))


def fastai_outputs(network: nn.Module, texts: Sequence[Ids]) -> Arrays:
    """The outputs of fastai for each text alone."""
    rows: dict[str, list[Any]] = {}
    for ids in texts:
        network.reset()
        with torch.no_grad():
            logits, y, _ = network(torch.from_numpy(ids[None]))
            rows.setdefault("output", []).append(logits[:, -1])
            pooled = masked_concat_pool(y, torch.zeros(1, len(ids), dtype=torch.bool), 72)
            rows.setdefault("pooled", []).append(pooled)
            for number, states in enumerate(network[0].hidden):
                for name, state in zip("hc", states, strict=True):
                    rows.setdefault(f"next_{name}{number}", []).append(state[0])
    return {name: torch.cat(parts).numpy() for name, parts in rows.items()}


def assert_equal(ours: Arrays, theirs: Arrays) -> float:
    assert list(ours) == list(theirs)
    for name, array in theirs.items():
        np.testing.assert_allclose(ours[name], array, rtol=0, atol=TOLERANCE, err_msg=name)
    return max(float(np.abs(ours[name] - array).max()) for name, array in theirs.items())


@pytest.mark.parametrize("name", ["case", "untied"])
def test_outputs_equal_fastai(name: str, request: pytest.FixtureRequest, record_property: Any) -> None:
    case: Case = request.getfixturevalue(name)
    differences = []
    for lengths in (LENGTHS, [40], [1]):
        texts = random_texts(lengths, 0.1)  # padding tokens are tokens as any other here
        theirs = fastai_outputs(case.theirs, texts)
        differences += [assert_equal(ours, theirs) for ours in case.run(texts)]
    record_property(MEASURED, float(max(differences)))


def test_states_are_carried(case: Case) -> None:
    """Texts in several calls give the outputs of texts in one call, except the pooled outputs."""
    texts = random_texts([12, 30, 3])
    whole = fastai_outputs(case.theirs, texts)
    for which in (0, 1):
        states = None
        for start in range(3):
            parts = [text[start : start + 1] if start < 2 else text[2:] for text in texts]
            outputs = case.run(parts, states)[which]
            states = carried(outputs)
        assert_equal(outputs | {"pooled": whole["pooled"]}, whole)


def test_names_and_shapes(case: Case) -> None:
    sizes = {"h0": 20, "c0": 20, "h1": 20, "c1": 20, "h2": 12, "c2": 12}
    assert state_sizes(case.network) == sizes
    states = {name: ("batch", size) for name, size in sizes.items()}
    assert {each.name: each.shape for each in case.graph.inputs} == {
        "ids": ("batch", "time"),
        "lengths": ("batch",),
        **states,
    }
    assert {each.name: each.shape for each in case.graph.outputs} == {
        "output": ("batch", 60),
        "pooled": ("batch", 36),
        **{f"next_{name}": shape for name, shape in states.items()},
    }


def test_tied_weights_are_stored_once(case: Case) -> None:
    """The embedding of 60 tokens is the largest weight of a real network."""
    weights = onnx.load_from_string(case.graph.model).graph.initializer
    assert len([each for each in weights if 60 in each.dims and 12 in each.dims]) == 1


def test_other_number_of_outputs_is_refused(case: Case) -> None:
    samples = inputs(random_texts([5, 13])) | zeros(case.network, 2)
    for names in (["output"], ["output", "pooled"]):
        with raises(ExportError, "unexpected_output"):
            export_graph(case.network, samples, list(samples), AXES, names)
