"""Exports a network to a graph, runs both on the golden records, and compares their outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from fastmar_export.conversion import Conversion, State
from fastmar_export.errors import ExportError
from fastmar_export.learner import Learner
from fastmar_export.modalities import Arrays, Modality
from fastmar_export.networks.graph import BATCH, Graph, check_batch_independence, check_graph, export_graph
from fastmar_export.networks.graph import OUTPUT as OUTPUT_NAME
from fastmar_export.networks.passes import optimized
from fastmar_runtime import __version__
from fastmar_runtime.golden import OUTPUT, GoldenRecords, check_golden, subsample
from fastmar_runtime.modalities import modality as runtime_modality
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import PROTOCOL, Spec, Tensor

ENCODING = "encoding"
"""Name of the second output of a network with states."""


@dataclass(frozen=True, slots=True)
class ExportedNetwork:
    """A network, its graph, and its output for the golden records.

    Attributes:
        network: the network in evaluation mode, with the layers before it.
        graph: the network in ONNX.
        records: the golden records.
        samples: the graph's inputs for the golden records.
        expected: the network's output for `samples`.
        decode: the decoder's state.
        notices: notices about the answers.
    """

    network: nn.Module
    graph: Graph
    records: list[Any]
    samples: Arrays
    expected: npt.NDArray[np.float32]
    decode: State
    notices: list[State]


def export_network(
    network: nn.Module, learner: Learner, modality: Modality, conversion: Conversion, activation: str | None
) -> ExportedNetwork:
    """Export `network` and run it on golden records; `activation` is the one that the user requested, or None.

    Raises:
        ExportError: the network can't be exported, or its output does not match the targets.
    """
    network.eval()
    records = modality.golden(conversion)
    states = modality.states(network)
    samples = _samples(records, modality, conversion, states)
    outputs = (OUTPUT_NAME, ENCODING, *(f"next_{name}" for name in states)) if states else (OUTPUT_NAME,)
    with modality.export_context(conversion):
        positions = (*conversion.positions, *states)
        graph, expected = export_graph(network, samples, positions, conversion.dynamic_axes, outputs)
        graph = optimized(graph, modality.passes(conversion), samples, expected, modality.tolerance)
        decode, notices = modality.decoder(conversion, learner, expected.shape[1:], activation)
    return ExportedNetwork(network, graph, records, samples, expected, decode, notices)


def _samples(records: list[Any], modality: Modality, conversion: Conversion, states: Mapping[str, int]) -> Arrays:
    """The network's inputs for `records`."""
    spec = spec_of_inputs(modality, conversion, states)
    samples, report = runtime_modality(modality.name).preprocessor(spec)(records)
    if report.errors:
        error = next(iter(report.errors.values()))
        raise ExportError(
            f"the preprocessing refuses a golden record: {error.message}", fix=error.fix, code="golden_record_refused"
        )
    return samples


def spec_of_inputs(
    modality: Modality, conversion: Conversion, states: Mapping[str, int] = MappingProxyType({})
) -> Spec:
    """A spec with which records can be read and prepared; all that describes the answers is empty."""
    return Spec(
        protocol=PROTOCOL,
        name="",
        version="",
        kind=modality.name,
        runtime=__version__,
        fields=conversion.fields,
        steps=conversion.steps,
        inputs=tuple(Tensor(name, "float32", (BATCH, size)) for name, size in states.items()),
        outputs=(),
        decode={},
        targets=(),
        layers=conversion.layer_states,
    )


def verify(
    exported: ExportedNetwork, spec: Spec, modality: Modality, conversion: Conversion
) -> tuple[GoldenRecords, float]:
    """Verify that the outputs of the graph equal those of the network.

    Returns:
        The golden records with their answers, and the largest difference between the outputs of graph and network.

    Raises:
        ParityFailed: a difference exceeds the tolerance.
        GoldenMismatch: the archive does not reproduce its golden answers.
    """
    predictor = Predictor(spec, exported.graph.model)
    samples, expected = exported.samples, exported.expected
    difference = check_graph(predictor.run(samples), expected, modality.tolerance)
    check_batch_independence(predictor.run({name: array[:1] for name, array in samples.items()}), expected[:1])
    other = modality.verify(conversion, exported.network, predictor, samples, expected)
    golden = GoldenRecords(
        exported.records, predictor.predict(exported.records), {**samples, OUTPUT: subsample(expected)}
    )
    check_golden(predictor, golden)
    return golden, max(difference, other)
