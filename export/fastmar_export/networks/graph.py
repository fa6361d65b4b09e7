"""Exports a torch module to an ONNX graph with a dynamic batch axis, and compares the outputs of both.

torch's newer exporter (`dynamo=True`) can export all networks of the tests. The older exporter is not a fallback: it
traces, so for a network that branches on values it silently keeps one branch.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn

from fastmar_export.errors import ExportError, ParityFailed, UnsupportedModule, UnsupportedOperator
from fastmar_runtime.errors import GraphRefused
from fastmar_runtime.operators import check_operators
from fastmar_runtime.spec import Tensor

OPSET = 20
OUTPUT = "output"
BATCH = "batch"

BATCH_TOLERANCE = 1e-3  # larger than rounding, smaller than the effect of the batch on a batch norm without statistics


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A tolerance for differences between the outputs of a graph and of its module.

    Attributes:
        largest: largest allowed difference, relative to the output if that is above 1.
        of_largest: whether differences are relative to the largest of all outputs instead.
    """

    largest: float
    of_largest: bool = False


SHALLOW = Tolerance(1e-5)
"""For networks of a few layers: the order of float32 sums of a few hundred terms differs."""

DEEP = Tolerance(1e-4, of_largest=True)
"""For networks of up to hundreds of layers: sums have thousands of terms, and each layer may amplify rounding errors of
the layers before it. For picture networks with random weights and matching batch norms, the measured differences are
1e-7 to 2e-5, as large as between float32 and float64 in torch."""

_MAX_BYTES = 2**31 - 1  # size limit of protobuf messages, and so of ONNX files


@dataclass(frozen=True, slots=True)
class Graph:
    """An ONNX graph.

    Attributes:
        model: bytes of the ONNX file.
        inputs, outputs: as in `spec.json`.
    """

    model: bytes
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


WEIGHTS = "network."
"""Prefix of the names of weights in the graph: the attribute of `_NamedInputs`."""


class _NamedInputs(nn.Module):
    """Calls the network with the existing inputs by name, and with None for the others."""

    def __init__(self, network: nn.Module, names: Sequence[str], positions: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self._where = [names.index(name) if name in names else None for name in positions]

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.network(*[None if where is None else inputs[where] for where in self._where])


def export_graph(
    network: nn.Module,
    samples: dict[str, npt.NDArray[Any]],
    positions: Sequence[str],
    dynamic_axes: Mapping[str, Mapping[int, str]] = MappingProxyType({}),
    output_names: Sequence[str] = (OUTPUT,),
) -> tuple[Graph, npt.NDArray[np.float32]]:
    """Export `network` and run it.

    Args:
        network: the network in evaluation mode.
        samples: the graph's inputs, [batch, ...] each, with a batch of at least 2.
        positions: names of the network's positional arguments; those missing in `samples` are None.
        dynamic_axes: names of the axes of variable length of each input, by axis number. The batch axis is always
            dynamic.
        output_names: names of the network's outputs.

    Returns:
        The graph, and the network's first output for `samples`, [batch, ...] float32.

    Raises:
        ExportError: torch can't export the network, it has other outputs, it exceeds the size of an ONNX file, or it
            needs an operator that is not in the allow-list.
    """
    _check_size(network)
    names = [name for name in positions if name in samples]
    module = _NamedInputs(network, names, positions).eval()
    tensors = tuple(torch.from_numpy(samples[name]) for name in names)
    try:
        with evaluation():
            returned = module(*tensors)
    except Exception as error:  # layers may raise anything
        reason = " ".join(str(error).split())[:300]
        raise ParityFailed(
            f"the network fails on the output of the learner's transforms ({reason}).",
            fix="train the learner with a network for its data, and export it again.",
        ) from error
    outputs = returned if isinstance(returned, tuple) and len(output_names) > 1 else (returned,)
    if len(outputs) != len(output_names) or not all(_has_rows(output, len(tensors[0])) for output in outputs):
        raise ExportError(
            f"the network returns {_shape_of(returned)} instead of one tensor with a row for each record.",
            fix="train with a network that has one output.",
            code="unexpected_output",
        )
    if not all(torch.isfinite(output).all() for output in outputs):
        raise ExportError(
            "the network's outputs for the golden records are not finite, because its weights or statistics contain "
            "NaN.",
            fix="check the training for a loss of NaN and for missing values that were not filled, and train again.",
            code="outputs_not_finite",
        )
    axes = {name: {0: BATCH, **dynamic_axes.get(name, {})} for name in names}
    model = _to_onnx(module, tensors, axes, output_names)
    inputs = tuple(Tensor(n, str(samples[n].dtype), _shape(samples[n].shape, axes[n])) for n in names)
    shapes = [_output_shape(value, output.shape) for value, output in zip(model.graph.output, outputs, strict=True)]
    written = _without_traces(model)
    _check_operators(written)
    graph = Graph(
        written, inputs, tuple(Tensor(name, "float32", s) for name, s in zip(output_names, shapes, strict=True))
    )
    return graph, outputs[0].numpy().astype(np.float32)


def _has_rows(output: Any, rows: int) -> bool:
    return isinstance(output, torch.Tensor) and output.dim() > 0 and len(output) == rows


def _check_operators(graph: bytes) -> None:
    """Refuse a graph that the runtime refuses to load."""
    try:
        check_operators(graph)
    except GraphRefused as error:
        raise UnsupportedOperator(
            f"the graph of the network is not allowed in an archive: {error.message}",
            fix="remove the layer that needs it; random numbers, loops and lists of tensors are not supported.",
        ) from error


def _check_size(network: nn.Module) -> None:
    size = sum(tensor.numel() * tensor.element_size() for tensor in (*network.parameters(), *network.buffers()))
    if size > _MAX_BYTES:
        raise ExportError(
            f"the network's weights have {size / 1e9:.1f} GB; the limit of an ONNX file is 2 GB.",
            fix="train a smaller network.",
            code="network_too_large",
        )


def _shape(shape: Sequence[int], axes: dict[int, str]) -> tuple[str | int, ...]:
    return tuple(axes.get(number, length) for number, length in enumerate(shape))


def _output_shape(value: onnx.ValueInfoProto, shape: Sequence[int]) -> tuple[str | int, ...]:
    """The shape of an output in the graph: lengths of fixed axes, and names or formulas of dynamic axes."""
    dims = value.type.tensor_type.shape.dim
    if len(dims) != len(shape):
        return (BATCH, *shape[1:])
    return (BATCH, *(dim.dim_value or dim.dim_param or length for dim, length in zip(dims[1:], shape[1:], strict=True)))


def _shape_of(output: Any) -> str:
    return f"a tensor of shape {list(output.shape)}" if isinstance(output, torch.Tensor) else type(output).__name__


def _to_onnx(
    module: nn.Module,
    tensors: tuple[torch.Tensor, ...],
    axes: dict[str, dict[int, str]],
    output_names: Sequence[str],
) -> onnx.ModelProto:
    """Export the graph, with torch's notes on source files; `axes` has the dynamic axes of each input."""
    batch = torch.export.Dim(BATCH, min=1)
    # The module has the signature *inputs, so there is one tuple of shapes. For an axis with a name only, torch
    # determines the possible lengths, and fails if there is only one.
    shapes = (tuple({axis: batch if name == BATCH else name for axis, name in some.items()} for some in axes.values()),)
    try:
        with _quiet(), TemporaryDirectory() as folder:
            program = torch.onnx.export(
                module,
                tensors,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(axes),
                output_names=list(output_names),
                dynamic_shapes=shapes,
                verbose=False,
                external_data=False,
            )
            path = Path(folder) / "model.onnx"
            assert program is not None  # noqa: S101 - for the type checker: dynamo=True returns a program
            program.save(path)
            return onnx.load(path)
    except UnsupportedModule:
        raise
    except Exception as error:
        cause = _cause_of(error)
        if isinstance(cause, UnsupportedModule):
            raise cause from error
        reason = (str(cause).strip().splitlines() or [""])[0]
        raise ExportError(
            f"torch {torch.__version__} can't export the network to ONNX ({type(cause).__name__}: {reason}).",
            fix="build the network from layers whose shapes do not depend on values, or report this network.",
            code="onnx_export_failed",
        ) from error


def _cause_of(error: BaseException) -> BaseException:
    """The original error, which torch's exporter wraps in other errors."""
    while (cause := error.__cause__ or error.__context__) is not None and not isinstance(error, UnsupportedModule):
        error = cause
    return error


def _without_traces(model: onnx.ModelProto) -> bytes:
    """The graph without torch's notes on source files, because they contain paths of this machine."""
    del model.metadata_props[:]
    model.doc_string = ""
    for graph in (model.graph, *model.functions):
        _clean(graph)
    onnx.checker.check_model(model)
    serialized: bytes = model.SerializeToString(deterministic=True)
    return serialized


def _clean(graph: Any) -> None:
    """Remove the notes from a graph or function, and from the graphs in its nodes."""
    del graph.metadata_props[:]
    graph.doc_string = ""
    values = () if isinstance(graph, onnx.FunctionProto) else (*graph.input, *graph.output, *graph.initializer)
    for part in (*graph.node, *graph.value_info, *values):
        del part.metadata_props[:]
        part.doc_string = ""
    for node in graph.node:
        for attribute in node.attribute:
            attribute.doc_string = ""
            if attribute.HasField("t"):
                attribute.t.doc_string = ""
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                _clean(inner)


@contextlib.contextmanager
def evaluation() -> Iterator[None]:
    """Run a network without gradients, and without torch's warnings about its layers, which the user can't change."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress messages of torch's exporter, which do not concern the learner."""
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


def check_graph(
    ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32], tolerance: Tolerance = SHALLOW
) -> float:
    """The largest relative difference between the outputs of the graph and of the module.

    Raises:
        ParityFailed: it exceeds the tolerance.
    """
    scale = np.maximum(1.0, np.abs(theirs))
    if tolerance.of_largest:
        scale = np.max(scale, initial=1.0)
    difference = float(np.max(np.abs(ours - theirs) / scale, initial=0.0))
    if not difference <= tolerance.largest:
        raise ParityFailed(
            f"the outputs of the ONNX graph and the torch network differ by {difference:.2g} (tolerance "
            f"{tolerance.largest:g}).",
            fix="try another version of torch, and report this network.",
        )
    return difference


def check_batch_independence(ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32]) -> None:
    """Refuse a network whose output for a record depends on the other records of its batch.

    Args:
        ours: the graph's output for a batch of one record.
        theirs: the module's output for the same record in a larger batch.

    Raises:
        ParityFailed: they differ.
    """
    difference = float(np.max(np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs)), initial=0.0))
    if not difference <= BATCH_TOLERANCE:
        raise ParityFailed(
            f"the output for a record depends on the other records of its batch: it differs by {difference:.2g}.",
            fix="train with batch norms that track running statistics instead of using those of the batch.",
        )
