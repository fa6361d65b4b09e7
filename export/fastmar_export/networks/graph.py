"""A torch module to an ONNX graph with a dynamic batch, and the proof that both give the same outputs.

torch's newer exporter (`dynamo=True`) takes every network of the tests. The older one, which traces, is no way out
where it does not: of a network that decides by values, tracing keeps one decision and says nothing.
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

ALONE_TOLERANCE = 1e-3  # far over rounding, far below what another batch does to a batch norm without statistics


@dataclass(frozen=True, slots=True)
class Tolerance:
    """For differences between the outputs of a graph and those of its module.

    Attributes:
        largest: difference that passes, relative to the output if that is over 1.
        of_largest: differences are relative to the largest of all outputs instead.
    """

    largest: float
    of_largest: bool = False


SHALLOW = Tolerance(1e-5)
"""Networks of a few layers, whose float32 sums of a few hundred terms are in another order."""

DEEP = Tolerance(1e-4, of_largest=True)
"""Networks of up to hundreds of layers, which sum thousands of terms, and each of which may multiply the rounding of
those before it. Networks for pictures with random weights, whose batch norms fit them, were measured at 1e-7 to 2e-5;
torch's float32 is as far from its float64."""

_MOST_BYTES = 2**31 - 1  # of a protobuf message, which an ONNX file is


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
    network: nn.Module,
    samples: dict[str, npt.NDArray[Any]],
    positions: Sequence[str],
    open_axes: Mapping[str, Mapping[int, str]] = MappingProxyType({}),
) -> tuple[Graph, npt.NDArray[np.float32]]:
    """Export `network` and run it.

    Args:
        network: in evaluation mode.
        samples: the graph's inputs, [batch, ...] each, with a batch of at least 2.
        positions: names of the network's positional arguments; one that is not in `samples` is given None.
        open_axes: names of an input's axes, by their number, that may be longer or shorter than the samples'. The
            batch is always one of them.

    Returns:
        The graph, and the network's own output for `samples`, [batch, ...] float32.

    Raises:
        ExportError: torch can't export it, it gives more than one output, it is larger than an ONNX file can be, or it
            needs an operator that archives may not hold.
    """
    _check_size(network)
    names = [name for name in positions if name in samples]
    module = _Named(network, names, positions).eval()
    tensors = tuple(torch.from_numpy(samples[name]) for name in names)
    try:
        with torch.no_grad():
            output = module(*tensors)
    except Exception as error:  # layers raise what they like
        said = " ".join(str(error).split())[:300]
        raise ParityFailed(
            f"the network fails on records as the learner's transforms make them ({said}).",
            fix="train the learner with the network that belongs to its data, and export it again.",
        ) from error
    if not isinstance(output, torch.Tensor) or output.dim() == 0 or len(output) != len(tensors[0]):
        raise ExportError(
            f"the network gives {_shape_of(output)}, where one tensor with a row for each record belongs.",
            fix="train with a network that has one output.",
        )
    if not torch.isfinite(output).all():
        raise ExportError(
            "the network's outputs for plausible records are not finite: there is NaN in its weights or statistics.",
            fix="train it again: its loss ended in NaN, or its data held missing values that were not filled.",
        )
    axes = {name: {0: BATCH, **open_axes.get(name, {})} for name in names}
    model = _to_onnx(module, tensors, axes)
    expected = output.numpy().astype(np.float32)
    inputs = tuple(Tensor(n, str(samples[n].dtype), _shape(samples[n].shape, axes[n])) for n in names)
    outputs = (Tensor(OUTPUT, "float32", _output_shape(model, expected.shape)),)
    written = _without_traces(model)
    _check_operators(written)
    return Graph(written, inputs, outputs), expected


def _check_operators(graph: bytes) -> None:
    """Refuse what the runtime would refuse to load."""
    try:
        check_operators(graph)
    except GraphRefused as error:
        what = error.message.removeprefix("model.onnx holds ").partition(",")[0]
        raise UnsupportedOperator(
            f"torch writes the network as a graph with {what}, which archives may not hold.",
            fix="take out the layer that needs it: random numbers, loops and lists of tensors are not served.",
        ) from error


def _check_size(network: nn.Module) -> None:
    size = sum(tensor.numel() * tensor.element_size() for tensor in (*network.parameters(), *network.buffers()))
    if size > _MOST_BYTES:
        raise ExportError(
            f"the network's weights take {size / 1e9:.1f} GB, and an ONNX file holds at most 2.",
            fix="train a smaller network.",
        )


def _shape(shape: Sequence[int], axes: dict[int, str]) -> tuple[str | int, ...]:
    return tuple(axes.get(number, length) for number, length in enumerate(shape))


def _output_shape(model: onnx.ModelProto, shape: Sequence[int]) -> tuple[str | int, ...]:
    """As the graph tells it: an axis that is not open has its length there, others a name or a formula of names."""
    told = model.graph.output[0].type.tensor_type.shape.dim
    if len(told) != len(shape):
        return (BATCH, *shape[1:])
    return (BATCH, *(dim.dim_value or dim.dim_param or length for dim, length in zip(told[1:], shape[1:], strict=True)))


def _shape_of(output: Any) -> str:
    return f"a tensor of shape {list(output.shape)}" if isinstance(output, torch.Tensor) else type(output).__name__


def _to_onnx(module: nn.Module, tensors: tuple[torch.Tensor, ...], axes: dict[str, dict[int, str]]) -> onnx.ModelProto:
    """The graph, with traces of where it was made. `axes`: names of the open axes of each input."""
    batch = torch.export.Dim(BATCH, min=1)
    # The module takes *inputs, so the shapes come as one tuple for them. Of an axis that only has a name, torch finds
    # out which lengths the network takes, and fails where it is one.
    shapes = (tuple({axis: batch if name == BATCH else name for axis, name in some.items()} for some in axes.values()),)
    try:
        with _quiet(), TemporaryDirectory() as folder:
            program = torch.onnx.export(
                module,
                tensors,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(axes),
                output_names=[OUTPUT],
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
            fix="build the network out of layers whose shapes do not depend on values, or report this network.",
        ) from error


def _cause_of(error: BaseException) -> BaseException:
    """What went wrong in the first place: torch's exporter wraps it in errors of its own."""
    while (behind := error.__cause__ or error.__context__) is not None and not isinstance(error, UnsupportedModule):
        error = behind
    return error


def _without_traces(model: onnx.ModelProto) -> bytes:
    """The graph without torch's notes on source files: they hold this machine's paths, and differ between machines."""
    del model.metadata_props[:]
    model.doc_string = ""
    for graph in (model.graph, *model.functions):
        _clean(graph)
    onnx.checker.check_model(model)
    serialized: bytes = model.SerializeToString(deterministic=True)
    return serialized


def _clean(graph: Any) -> None:
    """Clean a graph or function, and the graphs that its nodes hold."""
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
            for held in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                _clean(held)


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


def check_graph(
    ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32], tolerance: Tolerance = SHALLOW
) -> float:
    """Largest relative difference between the graph's outputs and the module's.

    Raises:
        ParityFailed: it is over the tolerance.
    """
    scale = np.maximum(1.0, np.abs(theirs))
    if tolerance.of_largest:
        scale = np.max(scale, initial=1.0)
    difference = float(np.max(np.abs(ours - theirs) / scale, initial=0.0))
    if not difference <= tolerance.largest:
        raise ParityFailed(
            f"the ONNX graph differs from the torch network by {difference:.2g} (at most {tolerance.largest:g}).",
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
