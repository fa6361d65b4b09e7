"""A torch module to an ONNX graph with a dynamic batch, and the proof that both give the same outputs."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn

from fastmar_export.errors import ExportError, ParityFailed, UnsupportedModule
from fastmar_runtime.spec import Tensor

OPSET = 20
OUTPUT = "output"
BATCH = "batch"

ALONE_TOLERANCE = 1e-3  # far over rounding, far below what another batch does to a batch norm without statistics

TOLERANCE = 1e-5
"""Largest difference between graph and module, relative to outputs over 1: float32 sums in another order."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Attributes: `model` (the ONNX file's bytes), `inputs` and `outputs` as `spec.json` lists them."""

    model: bytes
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class _Named(nn.Module):
    """Takes the inputs that exist, by name, and calls the network with None for the others."""

    def __init__(self, network: nn.Module, names: Sequence[str], positions: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self._where = [names.index(name) if name in names else None for name in positions]

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.network(*[None if where is None else inputs[where] for where in self._where])


def export_graph(
    network: nn.Module, samples: dict[str, npt.NDArray[Any]], positions: Sequence[str]
) -> tuple[Graph, npt.NDArray[np.float32]]:
    """Export `network` and run it.

    Args:
        network: in evaluation mode.
        samples: the graph's inputs, [batch, ...] each, with a batch of at least 2.
        positions: names of the network's positional arguments; one that is not in `samples` is given None.

    Returns:
        The graph, and the network's own output for `samples`, [batch, ...] float32.

    Raises:
        ExportError: torch can't export it, or it gives more than one output.
    """
    names = [name for name in positions if name in samples]
    module = _Named(network, names, positions).eval()
    tensors = tuple(torch.from_numpy(samples[name]) for name in names)
    with torch.no_grad():
        output = module(*tensors)
    if not isinstance(output, torch.Tensor):
        raise ExportError(
            f"the network gives {type(output).__name__}, where one tensor belongs.",
            fix="train with a network that has one output.",
        )
    if not torch.isfinite(output).all():
        raise ExportError(
            "the network's outputs for plausible records are not finite: there is NaN in its weights or statistics.",
            fix="train it again: its loss ended in NaN, or its data held missing values that were not filled.",
        )
    model = _to_onnx(module, tensors, names)
    expected = output.numpy().astype(np.float32)
    inputs = tuple(Tensor(n, str(samples[n].dtype), (BATCH, *samples[n].shape[1:])) for n in names)
    return Graph(model, inputs, (Tensor(OUTPUT, "float32", (BATCH, *expected.shape[1:])),)), expected


def _to_onnx(module: nn.Module, tensors: tuple[torch.Tensor, ...], names: Sequence[str]) -> bytes:
    batch = torch.export.Dim(BATCH, min=1)
    # The module takes *inputs, so the shapes come as one tuple for them.
    shapes = (tuple({0: batch} for _ in names),)
    try:
        with _quiet(), TemporaryDirectory() as folder:
            program = torch.onnx.export(
                module,
                tensors,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(names),
                output_names=[OUTPUT],
                dynamic_shapes=shapes,
                verbose=False,
                external_data=False,
            )
            path = Path(folder) / "model.onnx"
            assert program is not None  # noqa: S101 - for the type checker: dynamo=True returns a program
            program.save(path)
            model = onnx.load(path)
    except UnsupportedModule:
        raise
    except Exception as error:
        cause = _cause_of(error)
        if isinstance(cause, UnsupportedModule):
            raise cause from error
        reason = (str(cause).strip().splitlines() or [""])[0]
        raise ExportError(
            f"torch {torch.__version__} can't export the network to ONNX ({type(cause).__name__}: {reason}).",
            fix="build the network out of layers whose shapes do not depend on values, or report this network.",
        ) from error
    return _without_traces(model)


def _cause_of(error: BaseException) -> BaseException:
    """What went wrong in the first place: torch's exporter wraps it in errors of its own."""
    while (behind := error.__cause__ or error.__context__) is not None and not isinstance(error, UnsupportedModule):
        error = behind
    return error


def _without_traces(model: onnx.ModelProto) -> bytes:
    """The graph without torch's notes on source files: they hold this machine's paths, and differ between machines."""
    del model.metadata_props[:]
    graphs = [model.graph, *model.functions]
    for graph in graphs:
        del graph.metadata_props[:]
        for part in (*graph.node, *graph.value_info):
            del part.metadata_props[:]
            part.doc_string = ""
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
        value.doc_string = ""
    onnx.checker.check_model(model)
    serialized: bytes = model.SerializeToString(deterministic=True)
    return serialized


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's exporter from talking: what it prints is about itself, not about the learner."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def check_graph(ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32]) -> float:
    """Largest difference between the graph's outputs and the module's, relative to outputs over 1.

    Raises:
        ParityFailed: it is over `TOLERANCE`.
    """
    difference = float(np.max(np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs)), initial=0.0))
    if not difference <= TOLERANCE:
        raise ParityFailed(
            f"the ONNX graph differs from the torch network by {difference:.2g} (at most {TOLERANCE:g}).",
            fix="try another version of torch, and report the network.",
        )
    return difference


def check_alone(ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32]) -> None:
    """Refuse a network whose output for a record depends on the others of its batch.

    Args:
        ours: the graph's output for a record alone.
        theirs: the module's for the same record among others.

    Raises:
        ParityFailed: they differ.
    """
    difference = float(np.max(np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs)), initial=0.0))
    if not difference <= ALONE_TOLERANCE:
        raise ParityFailed(
            f"a record alone is answered otherwise than among others, by {difference:.2g}.",
            fix="train with batch norms that track running statistics: these normalise by the batch at hand.",
        )
