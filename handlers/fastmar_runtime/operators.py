"""Checks the operators of a graph, and reads its weights, without the `onnx` package.

ONNX Runtime runs anything in a graph: endless loops, operators of other domains, weights from other files. Exported
networks need none of these, so a graph with operators outside of `ALLOWED` is refused before it is loaded. The parser
reads as much of protobuf's wire format as operators, shapes and external data need.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmar_runtime.errors import BundleUnreadable, GraphRefused

ALLOWED = frozenset({
    "Abs", "Acos", "Acosh", "Add", "And", "ArgMax", "ArgMin", "Asin", "Asinh", "Atan", "Atanh", "AveragePool",
    "BatchNormalization", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Cast", "CastLike",
    "Ceil", "Celu", "Clip", "Col2Im", "Compress", "Concat", "Constant", "ConstantOfShape", "Conv", "ConvInteger",
    "ConvTranspose", "Cos", "Cosh", "CumSum", "DepthToSpace",
    "DequantizeLinear", "Div", "Dropout", "DynamicQuantizeLinear", "Einsum", "Elu", "Equal", "Erf", "Exp", "Expand",
    "EyeLike", "Flatten", "Floor", "GRU", "Gather", "GatherElements", "GatherND", "Gelu", "Gemm", "GlobalAveragePool",
    "GlobalMaxPool", "Greater", "GreaterOrEqual", "GridSample", "GroupNormalization", "HardSigmoid", "HardSwish",
    "Hardmax", "Identity", "InstanceNormalization", "IsInf", "IsNaN", "LRN", "LSTM", "LayerNormalization", "LeakyRelu",
    "Less", "LessOrEqual", "Log", "LogSoftmax", "LpNormalization", "LpPool", "MatMul", "MatMulInteger", "Max",
    "MaxPool", "Mean", "MeanVarianceNormalization", "Min", "Mish", "Mod", "Mul", "Neg", "NonZero", "Not", "OneHot",
    "Or", "PRelu", "Pad", "Pow", "QLinearConv", "QLinearMatMul", "QuantizeLinear", "RMSNormalization", "RNN", "Range",
    "Reciprocal", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
    "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Resize", "Round", "ScatterElements",
    "ScatterND", "Selu", "Shape", "Sigmoid", "Sign", "Sin", "Sinh", "Size", "Slice", "Softmax", "Softplus", "Softsign",
    "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Tile",
    "TopK", "Transpose", "Trilu", "Unsqueeze", "Where", "Xor", "com.microsoft.DynamicQuantizeLSTM",
})  # fmt: skip
"""Operators that are functions of their inputs: no subgraphs, random numbers, sequences or text. All but one are of
ONNX's default domain; ONNX Runtime's own one is for LSTM layers in int8.

The list has the operators that torch's exporter can write (the translations of torch functions in `torch.onnx` and
onnxscript, which the test of this module reads), except those excluded above and those for signals (DFT, STFT,
windows), boxes (NonMaxSuppression, RoiAlign, MaxRoiPool) and losses. It also has operators that other exporters write
for the same layers (GlobalAveragePool, quantized operators). The export checks its graphs against the list, so layers
that need other operators are refused there.
"""

MAX_ELEMENTS = 1 << 28
"""Maximum elements of a tensor whose shape is a constant in the graph, such as that of ConstantOfShape or Expand."""

_SIZED = {"ConstantOfShape": 0, "Expand": 1, "Col2Im": 1}  # operators with the input that is their output's shape
_MAX_NODES = 200_000
_MAX_RANK = 16

# Field numbers of onnx.proto.
_MODEL_GRAPH, _MODEL_FUNCTIONS, _MODEL_TRAINING = 7, 25, 20
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_INT64S, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 7, 8, 9
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14
_FLOAT, _INT64 = 1, 7
_OWN_DOMAINS = (b"", b"ai.onnx")


def check_operators(graph: bytes) -> None:
    """Check that a graph has only operators in `ALLOWED`, no subgraphs or functions, and no weights in other files.

    Raises:
        BundleUnreadable: the bytes are not a graph.
        GraphRefused: the graph contains anything else, which the message names.
    """
    graphs = 0
    try:
        for number, value in _fields(memoryview(graph)):
            if number == _MODEL_FUNCTIONS:
                raise _refused("a function")
            if number == _MODEL_TRAINING:
                raise _refused("training information")
            if number == _MODEL_GRAPH:
                graphs += 1
                _check_graph(value)
    except (IndexError, ValueError, TypeError, struct.error) as error:
        raise BundleUnreadable(
            f"model.onnx is damaged ({error}).", fix="copy the archive again, or export the learner again."
        ) from error
    if graphs != 1:
        raise BundleUnreadable(
            f"model.onnx has {graphs} graphs instead of one.",
            fix="copy the archive again, or export the learner again.",
        )


def operators(graph: bytes) -> set[str]:
    """Names of the operators in a graph; those of other domains have the domain as a prefix."""
    found = set()
    for number, value in _fields(memoryview(graph)):
        if number == _MODEL_GRAPH:
            for inner, node in _fields(value):
                if inner == _GRAPH_NODE:
                    found.add(_operator(dict(_fields(node))))
    return found


def float_initializer(graph: bytes, name: str) -> npt.NDArray[np.float32] | None:
    """The initializer `name` of a graph that `check_operators` accepts; None unless it has raw float32 numbers."""
    for number, value in _fields(memoryview(graph)):
        if number == _MODEL_GRAPH:
            for inner, tensor in _fields(value):
                if inner == _GRAPH_INITIALIZER and (found := _floats(tensor, name.encode())) is not None:
                    return found
    return None


def _floats(tensor: memoryview, name: bytes) -> npt.NDArray[np.float32] | None:
    parts = list(_fields(tensor))
    single = dict(parts)
    dims = [size for number, value in parts if number == _TENSOR_DIMS for size in _integers(value)]
    raw = single.get(_TENSOR_RAW, b"")
    if _bytes(single.get(_TENSOR_NAME, b"")) != name or single.get(_TENSOR_TYPE) != _FLOAT:
        return None
    elements = 1
    for size in dims:
        elements *= size
    return np.frombuffer(raw, "<f4").reshape(dims) if len(raw) == 4 * elements and min(dims, default=0) > 0 else None


def _check_graph(graph: memoryview) -> None:
    shapes: dict[bytes, list[int]] = {}
    sized: list[tuple[str, bytes]] = []
    nodes = 0
    for number, value in _fields(graph):
        if number == _GRAPH_SPARSE:
            raise _refused("sparse weights")
        if number == _GRAPH_INITIALIZER:
            name, sizes = _check_tensor(value)
            if sizes is not None:
                shapes[name] = sizes
        elif number == _GRAPH_NODE:
            nodes += 1
            if nodes > _MAX_NODES:
                raise _refused(f"more than {_MAX_NODES:,} operators")
            _check_node(value, shapes, sized)
    for operator, name in sized:
        elements = 1
        for size in shapes.get(name, ()):
            elements *= max(1, abs(size))
        if elements > MAX_ELEMENTS:
            raise _refused(f"the operator {operator} with an output of {elements:,} numbers")


def _check_node(node: memoryview, shapes: dict[bytes, list[int]], sized: list[tuple[str, bytes]]) -> None:
    single: dict[int, Any] = {}
    inputs: list[bytes] = []
    outputs: list[bytes] = []
    constant: list[int] | None = None
    for number, value in _fields(node):
        if number == _NODE_INPUT:
            inputs.append(_bytes(value))
        elif number == _NODE_OUTPUT:
            outputs.append(_bytes(value))
        elif number == _NODE_ATTRIBUTE:
            for inner, part in _fields(value):
                if inner in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
                    raise _refused(f"the operator {_operator(dict(_fields(node)))} with a subgraph")
                if inner in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
                    constant = _check_tensor(part)[1]
        else:
            single[number] = value
    operator = _operator(single)
    if operator not in ALLOWED:
        raise _refused(f"the operator {operator}")
    if operator == "Constant" and constant is not None and outputs:
        shapes[outputs[0]] = constant
    if operator in _SIZED and len(inputs) > _SIZED[operator]:
        sized.append((operator, inputs[_SIZED[operator]]))


def _operator(node: dict[int, Any]) -> str:
    name = _bytes(node.get(_NODE_OP, b"")).decode("utf-8", "replace")[:80]
    domain = _bytes(node.get(_NODE_DOMAIN, b""))
    return name if domain in _OWN_DOMAINS else f"{domain.decode('utf-8', 'replace')[:80]}.{name}"


def _check_tensor(tensor: memoryview) -> tuple[bytes, list[int] | None]:
    """Check a tensor. Returns its name, and its numbers if they could be a shape."""
    name, kind, raw = b"", 0, memoryview(b"")
    dims: list[int] = []
    numbers: list[int] = []
    for number, value in _fields(tensor):
        if number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value):
            raise _refused("weights in another file")
        if number == _TENSOR_NAME:
            name = _bytes(value)
        elif number == _TENSOR_TYPE:
            kind = value
        elif number == _TENSOR_DIMS:
            dims += _integers(value)
        elif number == _TENSOR_INT64S and len(numbers) <= _MAX_RANK:
            numbers += _integers(value)
        elif number == _TENSOR_RAW:
            raw = memoryview(value)
    if kind != _INT64 or len(dims) != 1 or not 0 < dims[0] <= _MAX_RANK:
        return name, None
    if len(raw) == 8 * dims[0]:
        numbers = list(struct.unpack(f"<{dims[0]}q", raw))
    return name, numbers


def _integers(value: Any) -> list[int]:
    """The integers of a repeated field: a single one, or several packed ones."""
    if isinstance(value, int):
        return [value]
    found: list[int] = []
    at = 0
    while at < len(value) and len(found) <= _MAX_RANK:
        number, at = _varint(value, at)
        found.append(number)
    return found


def _fields(message: Any) -> Iterator[tuple[int, Any]]:
    """Number and value of each field; messages, strings and bytes are memoryviews."""
    if not isinstance(message, memoryview):
        raise TypeError("a field has an unexpected type")
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        value: Any
        if wire == 0:
            value, at = _varint(message, at)
        elif wire == 2:
            size, at = _varint(message, at)
            if size < 0:
                raise ValueError("a field has a size over 63 bits")
            value, at = message[at : at + size], at + size
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            value, at = int.from_bytes(message[at : at + size], "little"), at + size
        else:
            raise ValueError(f"a field has the unknown wire type {wire}")
        if at > end:
            raise IndexError("a field extends beyond the end")
        yield number, value


def _bytes(value: Any) -> bytes:
    if isinstance(value, int):
        raise TypeError("a name is a number")
    return bytes(value)


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value - (1 << 64) if value >= 1 << 63 and value < 1 << 64 else value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is longer than 64 bits")


def _refused(what: str) -> GraphRefused:
    return GraphRefused(
        f"model.onnx contains {what}, which `fastmar export` never writes.",
        fix="do not serve this archive; export the learner again with `fastmar export`.",
    )
