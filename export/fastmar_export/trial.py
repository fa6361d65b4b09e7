"""The trial of a network: it is exported and run on golden records, and the graph must answer them as it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from fastmar_export.conversion import Conversion, State
from fastmar_export.errors import ExportError
from fastmar_export.learner import Learner
from fastmar_export.modalities import Arrays, Modality
from fastmar_export.networks.graph import Graph, check_alone, check_graph, export_graph
from fastmar_runtime import __version__
from fastmar_runtime.golden import OUTPUT, GoldenRecords, check_golden, subsample
from fastmar_runtime.modalities import modality as runtime_modality
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import PROTOCOL, Spec


@dataclass(frozen=True, slots=True)
class Trial:
    """A network, its graph, and what it gives for the golden records.

    Attributes:
        network: in evaluation mode, behind its layers.
        graph: the network as ONNX.
        records: the golden records.
        samples: the graph's inputs for them.
        expected: the network's output for `samples`.
        decode: the decoder's state.
        notices: about the answers.
    """

    network: nn.Module
    graph: Graph
    records: list[Any]
    samples: Arrays
    expected: npt.NDArray[np.float32]
    decode: State
    notices: list[State]


def try_network(
    network: nn.Module, learner: Learner, modality: Modality, conversion: Conversion, activation: str | None
) -> Trial:
    """Export `network` and run it on golden records; `activation` is the one that the user named.

    Raises:
        ExportError: it can't be exported, or its output does not fit the targets.
    """
    network.eval()
    records = modality.golden(conversion)
    samples = _samples(records, modality, conversion)
    with modality.trying(conversion):
        graph, expected = export_graph(network, samples, conversion.positions, conversion.open_axes)
        decode, notices = modality.decoder(conversion, learner, expected.shape[1:], activation)
    return Trial(network, graph, records, samples, expected, decode, notices)


def _samples(records: list[Any], modality: Modality, conversion: Conversion) -> Arrays:
    """The network's inputs for `records`.

    The preprocessor reads fields, steps and layers of its spec; the rest of this one is empty.
    """
    spec = Spec(
        protocol=PROTOCOL,
        name="",
        version="",
        kind=modality.name,
        runtime=__version__,
        fields=conversion.fields,
        steps=conversion.steps,
        inputs=(),
        outputs=(),
        decode={},
        targets=(),
        layers=conversion.layer_states,
    )
    samples, report = runtime_modality(modality.name).preprocessor(spec)(records)
    if report.errors:
        error = next(iter(report.errors.values()))
        raise ExportError(
            f"a record made from the learner's own vocabulary was refused: {error.message}", fix=error.fix
        )
    return samples


def prove(trial: Trial, spec: Spec, modality: Modality, conversion: Conversion) -> tuple[GoldenRecords, float]:
    """Prove that the graph answers as the network does.

    Returns:
        The golden records with their answers, and the largest difference between the outputs of graph and network.

    Raises:
        ParityFailed: a difference is too large.
        GoldenMismatch: the archive would not reproduce its golden answers.
    """
    predictor = Predictor(spec, trial.graph.model)
    samples, expected = trial.samples, trial.expected
    difference = check_graph(predictor.run(samples), expected, modality.tolerance)
    check_alone(predictor.run({name: array[:1] for name, array in samples.items()}), expected[:1])
    further = modality.prove(conversion, trial.network, predictor, samples, expected)
    golden = GoldenRecords(trial.records, predictor.predict(trial.records), {**samples, OUTPUT: subsample(expected)})
    check_golden(predictor, golden)
    return golden, max(difference, further)
