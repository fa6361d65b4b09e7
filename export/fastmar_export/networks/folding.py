"""Folds what comes before a linear layer of a table's network into the layer.

The input of a linear layer is made of embeddings, numbers and batch norms. A batch norm becomes a part of the weights
and the bias. Embeddings of columns with few categories become tables of their products with the weights, one for
each group of columns: a row of such a table, which has a number for each output of the layer, is the sum for a
combination of categories. So the graph has fewer operators, and multiplies smaller matrices.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

MAX_TABLE = 1 << 16  # numbers of a table: larger ones make archives larger, and hardly graphs faster
MIN_WIDTH = 6  # numbers of the embeddings of a group: below, their multiplication is faster than a table

_Floats = npt.NDArray[np.float64]


def fold_linear_layers(model: onnx.ModelProto) -> None:
    """Fold the input of each linear layer into it; a layer whose input has another form stays as it is."""
    folder = _Folder(model.graph)
    for node in list(model.graph.node):
        if node.op_type == "Gemm":
            folder.fold(node)
    folder.finish()


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a layer's input.

    Attributes:
        value: the name of a value [batch, features].
        weights: of the layer for it, [outputs, features].
        codes: for an embedding, the name of the value with the codes of all columns [batch, columns].
        column: for an embedding, the number of its column.
        table: for an embedding, [categories, features].
    """

    value: str
    weights: _Floats
    codes: str = ""
    column: int = 0
    table: Any = None

    @property
    def rows(self) -> int:
        """The number of categories."""
        return len(self.table)

    @property
    def products(self) -> _Floats:
        """What each category adds to the layer's output, [categories, outputs]."""
        products: _Floats = self.table @ self.weights.T
        return products


class _Folder:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._constants = {each.name: each for each in graph.initializer}
        self._producers = {name: node for node in graph.node for name in node.output}
        self._uses = Counter(name for node in graph.node for name in node.input)
        self._uses.update(value.name for value in graph.output)
        self._widths = {value.name: width for value in graph.input if (width := _width(value))}
        self._nodes = {id(node): [node] for node in graph.node}

    def fold(self, layer: onnx.NodeProto) -> None:
        options = {each.name: helper.get_attribute_value(each) for each in layer.attribute}
        usual = {"transA": 0, "transB": 1, "alpha": 1.0, "beta": 1.0}
        weights = self._constant(layer.input[1])
        bias = self._constant(layer.input[2]) if len(layer.input) > 2 else np.zeros(1)
        if {**usual, "transB": 0, **options} != usual or weights is None or bias is None or bias.ndim != 1:
            return
        if weights.dtype != np.float64:  # of float32
            return
        bias = np.broadcast_to(bias, len(weights)).copy()
        parts = self._parts(layer.input[0], weights, bias)
        groups = _groups(parts, len(weights))
        if groups or [part.value for part in parts] != [layer.input[0]]:
            self._nodes[id(layer)] = self._written(layer, parts, groups, bias)

    def finish(self) -> None:
        """Replace the nodes and constants of the graph."""
        nodes = [node for each in self._graph.node for node in self._nodes[id(each)]]
        needed = {value.name for value in self._graph.output}
        kept = []
        for node in reversed(nodes):
            if needed & {*node.output}:
                kept.append(node)
                needed |= {*node.input}
        constants = [each for each in self._constants.values() if each.name in needed]
        infos = [each for each in self._graph.value_info if each.name in needed]
        for field, values in (("node", kept[::-1]), ("initializer", constants), ("value_info", infos)):
            copies = [type(value).FromString(value.SerializeToString()) for value in values]
            self._graph.ClearField(field)
            getattr(self._graph, field).extend(copies)

    def _parts(self, value: str, weights: _Floats, bias: _Floats) -> list[_Part]:
        """The parts of a value. Adds to `bias` what batch norms add to the layer's output."""
        node = self._producers.get(value)
        if node is not None and self._uses[value] == 1:
            if node.op_type == "BatchNormalization" and (norm := self._norm(node)) is not None:
                scale, shift = norm
                bias += weights @ shift
                return self._parts(node.input[0], weights * scale, bias)
            widths = [width for name in node.input if (width := self._width_of(name)) is not None]
            if _is_concatenation(node) and len(widths) == len(node.input):
                pieces = np.split(weights, list(accumulate(widths))[:-1], axis=1)
                named = zip(node.input, pieces, strict=True)
                return [part for name, piece in named for part in self._parts(name, piece, bias)]
            if (found := self._embedding(node)) is not None:
                return [_Part(value, weights, *found)]
        return [_Part(value, weights)]

    def _norm(self, node: onnx.NodeProto) -> tuple[_Floats, _Floats] | None:
        """What a batch norm multiplies with, and what it adds then."""
        constants = [self._constant(name) for name in node.input[1:]]
        if any(each is None for each in constants):
            return None
        gain, offset, mean, variance = (np.asarray(each) for each in constants)
        [epsilon] = [each.f for each in node.attribute if each.name == "epsilon"] or [1e-5]
        scale = gain / np.sqrt(variance + epsilon)
        return scale, offset - mean * scale

    def _embedding(self, node: onnx.NodeProto) -> tuple[str, int, _Floats] | None:
        """The codes, the column and the table of an embedding of one column."""
        select = self._producers.get(node.input[1]) if node.op_type == "Gather" else None
        if select is None or select.op_type != "Gather" or _axis(node) != 0 or _axis(select) != 1:
            return None
        table, column = self._constant(node.input[0]), self._constant(select.input[1])
        if table is None or table.ndim != 2 or column is None or column.ndim != 0 or column < 0:
            return None
        return (select.input[0], int(column), table) if select.input[0] in self._widths else None

    def _width_of(self, value: str) -> int | None:
        """The features of a value, if they are known."""
        node = self._producers.get(value)
        if node is None:
            return self._widths.get(value)
        if node.op_type == "BatchNormalization":
            scale = self._constant(node.input[1])
            return None if scale is None else len(scale)
        if _is_concatenation(node):
            widths = [width for name in node.input if (width := self._width_of(name)) is not None]
            return sum(widths) if len(widths) == len(node.input) else None
        found = self._embedding(node)
        return None if found is None else found[2].shape[1]

    def _written(
        self, layer: onnx.NodeProto, parts: list[_Part], groups: list[list[_Part]], bias: _Floats
    ) -> list[onnx.NodeProto]:
        """The nodes of a folded layer: the sum of rows of the tables, and a linear layer for the other parts."""
        output = layer.output[0]
        grouped = [part.value for group in groups for part in group]
        others = [part for part in parts if part.value not in grouped]
        nodes, names = self._lookups(output, groups, bias) if groups else ([], [])
        if len(groups) > 1:
            nodes.append(helper.make_node("Sum", names, [f"{output}_tables"], name=f"{output}_tables"))
        if not others:
            nodes[-1].output[0] = output
            return nodes
        third = nodes[-1].output[0] if nodes else self._add(f"{output}_bias", bias.astype(np.float32))
        values = others[0].value
        if len(others) > 1:
            values = f"{output}_input"
            nodes.append(helper.make_node("Concat", [part.value for part in others], [values], name=values, axis=1))
        weights = np.concatenate([part.weights for part in others], axis=1)
        inputs = [values, self._add(f"{output}_weight", weights.astype(np.float32)), third]
        nodes.append(helper.make_node("Gemm", inputs, [output], name=layer.name, transB=1))
        return nodes

    def _lookups(self, output: str, groups: list[list[_Part]], bias: _Floats) -> tuple[list[onnx.NodeProto], list[str]]:
        """Nodes that get a row of the table of each group of columns, and the names of the rows.

        The codes are the digits of a row's number. The first table has the bias.
        """
        codes, numbers = groups[0][0].codes, f"{output}_numbers"
        steps = np.zeros((self._widths[codes], len(groups)), np.int64)
        nodes = [helper.make_node("MatMul", [codes, f"{output}_steps"], [numbers], name=numbers)]
        names = []
        for at, group in enumerate(groups):
            table = bias[None] if at == 0 else np.zeros((1, len(bias)))
            for part in group:
                steps[:, at] *= part.rows
                steps[part.column, at] = 1
                table = (table[:, None] + part.products[None]).reshape(-1, len(bias))
            name = f"{output}_table_{at}"
            place = self._add(f"{name}_place", np.array(at))
            rows = self._add(f"{name}_rows", table.astype(np.float32))
            nodes += [
                helper.make_node("Gather", [numbers, place], [f"{name}_number"], name=f"{name}_number", axis=1),
                helper.make_node("Gather", [rows, f"{name}_number"], [name], name=name, axis=0),
            ]
            names.append(name)
        self._add(f"{output}_steps", steps)
        return nodes, names

    def _constant(self, name: str) -> Any:
        """A constant of float32 as float64, or one of integers; None for any other value."""
        found = self._constants.get(name)
        if found is None or found.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.INT64):
            return None
        array = numpy_helper.to_array(found)
        return array.astype(np.float64) if array.dtype == np.float32 else array

    def _add(self, name: str, array: npt.NDArray[Any]) -> str:
        self._constants[name] = numpy_helper.from_array(array, name)
        return name


def _groups(parts: list[_Part], outputs: int) -> list[list[_Part]]:
    """Groups of columns that get a table, by first fit of the largest."""
    embeddings = sorted((part for part in parts if part.table is not None), key=lambda part: -part.rows)
    groups: list[list[_Part]] = []
    for part in embeddings:
        if part.codes != embeddings[0].codes:
            continue
        fits = (g for g in groups if np.prod([each.rows for each in (*g, part)]) * outputs <= MAX_TABLE)
        if (group := next(fits, None)) is not None:
            group.append(part)
        elif part.rows * outputs <= MAX_TABLE:
            groups.append([part])
    return [group for group in groups if sum(part.table.shape[1] for part in group) >= MIN_WIDTH]


def _is_concatenation(node: onnx.NodeProto) -> bool:
    return node.op_type == "Concat" and _axis(node) in (1, -1)


def _axis(node: onnx.NodeProto) -> int:
    return next((int(each.i) for each in node.attribute if each.name == "axis"), 0)


def _width(value: onnx.ValueInfoProto) -> int | None:
    dims = value.type.tensor_type.shape.dim
    return dims[1].dim_value or None if len(dims) == 2 else None
