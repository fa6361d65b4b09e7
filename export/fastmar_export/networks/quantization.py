"""Quantizes exported networks to int8, for speed on CPUs: the LSTM layers of texts, or most layers for pictures.

A graph with quantized LSTM layers has ONNX Runtime's operator DynamicQuantizeLSTM, which other providers than its CPU
provider do not have. The scale of a layer's input is that of a whole batch, so an answer depends a little on the other
texts of its batch. ONNX Runtime's own `quantize_dynamic` would also replace the other linear layers, and store tied
weights twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from fastmar_export.errors import ExportError
from fastmar_runtime.preprocess import Arrays

_DOMAIN = "com.microsoft"
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
# Layers between them, so that their values stay in int8.
_BETWEEN = ("Add", "AveragePool", "Clip", "Concat", "GlobalAveragePool", "MaxPool", "Mul", "Relu")
_INPUTS = 8  # of an LSTM; those of DynamicQuantizeLSTM for scales and zero points follow


def quantize_lstm(graph: bytes) -> bytes:
    """A graph with the LSTM layers of `graph` in int8, and all other layers unchanged.

    A text classifier then treats a chunk that begins with the token `xxpad` as any other: the feature that clears its
    state (see `WeightDropout.add_reset`) is removed, because it would set the scale of a layer's input.

    Args:
        graph: bytes of an ONNX file, as in `Graph.model`.
    """
    model = onnx.load_from_string(graph)
    _remove_resets(model.graph)
    weights = {each.name: each for each in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "LSTM":
            continue
        added = []
        for at in (1, 2):
            weight = weights[node.input[at]]
            values, scales = _quantized(numpy_helper.to_array(weight))
            weight.CopyFrom(numpy_helper.from_array(values, weight.name))
            added += [
                numpy_helper.from_array(scales, f"{weight.name}_scale"),
                numpy_helper.from_array(np.zeros(scales.shape, np.int8), f"{weight.name}_zero_point"),
            ]
        node.op_type, node.domain = "DynamicQuantizeLSTM", _DOMAIN
        node.input.extend([""] * (_INPUTS - len(node.input)) + [each.name for each in added])
        model.graph.initializer.extend(added)
    del model.graph.value_info[:]  # has the types of the former weights
    model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    serialized: bytes = model.SerializeToString(deterministic=True)
    return serialized


def quantize_static(graph: bytes, inputs: Iterator[Arrays]) -> bytes:
    """A graph with the layers of `graph` in int8, by ONNX Runtime's static quantization.

    What comes before the first layer with weights, which is the preprocessing, and the last such layer, which makes the
    outputs, stay in float32. Each output channel of weights has its own scale. Weights have 7 bits, because processors
    without VNNI instructions add products of 8 bits in 16 bits, which overflow; so answers are the same on all.

    Args:
        graph: bytes of an ONNX file, as in `Graph.model`.
        inputs: batches of the graph's inputs, which determine the scales of the layers' outputs.

    Raises:
        ExportError: there are no inputs, or the graph has fewer than two layers with weights.
    """
    from onnxruntime import quantization as ort  # noqa: PLC0415 - slow to import

    model = onnx.load_from_string(graph)
    names = [node.name for node in model.graph.node]
    places = [at for at, node in enumerate(model.graph.node) if node.op_type in _LAYERS]
    convolutions = [at for at in places if model.graph.node[at].op_type == "Conv"]
    first, last = (convolutions or places or [0])[0], (places or [0])[-1]
    batch = next(inputs, None)
    if batch is None or first >= last:
        raise ExportError(
            "there are no pictures that the model accepts." if batch is None else "the network is too small for int8.",
            fix="pass other pictures with --calibration." if batch is None else "export without --precision.",
            code="quantization_failed",
        )

    class Reader(ort.CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> Any:
            return next(batches, None)

    batches = chain([batch], inputs)
    model.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")  # torch has folded batch norms
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        ort.quantize_static(
            model,
            path,
            Reader(),
            per_channel=True,
            reduce_range=True,
            activation_type=ort.QuantType.QUInt8,
            weight_type=ort.QuantType.QInt8,
            op_types_to_quantize=[*_LAYERS, *_BETWEEN],
            nodes_to_exclude=names[:first] + names[last:],
        )
        quantized = onnx.load(path)
    del quantized.metadata_props[:]
    serialized: bytes = quantized.SerializeToString(deterministic=True)
    return serialized


def _quantized(weights: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Weights [1, 4 * hidden, features] as int8 [1, features, 4 * hidden], and their scales [1, 4 * hidden]."""
    scales = np.maximum(np.abs(weights).max(2), 1e-9) / 127
    return np.rint(weights / scales[:, :, None]).astype(np.int8).transpose(0, 2, 1).copy(), scales.astype(np.float32)


def _remove_resets(graph: onnx.GraphProto) -> None:
    """Remove the feature that is concatenated to the input of each layer, and its weights."""
    concatenations = {node.output[0]: node for node in graph.node if node.op_type == "Concat"}
    weights = {each.name: each for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "LSTM" and node.input[0] in concatenations:
            node.input[0] = concatenations[node.input[0]].input[0]
            weight = weights[node.input[1]]
            kept = numpy_helper.to_array(weight)[:, :, :-1]
            weight.CopyFrom(numpy_helper.from_array(kept, weight.name))
