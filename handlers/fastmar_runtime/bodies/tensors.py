"""Tensors of protocol v2: datatypes, checks of data against shapes, and the binary format.

Binary data follows the JSON in the order of the tensors that declare ``binary_data_size``:
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from fastmar_contract.display import short_repr
from fastmar_contract.errors import RequestError

BINARY_SIZE = "binary_data_size"
_CODE = "bad_tensor"
_MAX_AXES = 8
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Datatype:
    """A datatype.

    Attributes:
        dtype: numpy's name of the binary format.
        types: Python types of JSON values.
        description: what a value must be, for messages.
        low, high: range of integers.
    """

    dtype: str
    types: tuple[type, ...]
    description: str
    low: int | None = None
    high: int | None = None


def _integer(dtype: str) -> Datatype:
    limits = np.iinfo(dtype)
    return Datatype(dtype, (int,), f"an integer from {limits.min} to {limits.max}", int(limits.min), int(limits.max))


_FLOATS = {f"FP{bits}": Datatype(f"<f{bits // 8}", (int, float), "a number") for bits in (16, 32, 64)}
_INTEGERS = {
    f"{name}{bits}": _integer(f"<{code}{bits // 8}")
    for name, code in (("INT", "i"), ("UINT", "u"))
    for bits in (8, 16, 32, 64)
}
DATATYPES = {**_FLOATS, **_INTEGERS, "BOOL": Datatype("?", (bool,), "true or false")}
BYTES = "BYTES"  # strings; the checks of the fields handle other values, except lists


class Binary:
    """The binary data of a request, read tensor by tensor."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int, name: str) -> bytes:
        """The next `size` bytes, for the tensor `name`."""
        if size > len(self._data) - self._at:
            raise bad_tensor(
                f"input {name!r} has {size:,} bytes of binary data, but only {len(self._data) - self._at:,} are left.",
                "send the complete body, and the length of its JSON as Inference-Header-Content-Length.",
            )
        self._at += size
        return self._data[self._at - size : self._at]

    def check_end(self) -> None:
        """Raise `RequestError` if data is left that no tensor declares."""
        if self._at < len(self._data):
            raise bad_tensor(
                f"{len(self._data) - self._at:,} bytes of binary data belong to no input.",
                "give each binary input the parameter binary_data_size.",
            )


def read(tensor: dict[str, Any], binary: Binary) -> list[Any]:
    """The values of a tensor of shape [N] or [N, 1]; values of a binary BYTES tensor are bytes.

    Raises:
        RequestError: data, shape and datatype are inconsistent.
    """
    name, datatype, shape = tensor["name"], tensor.get("datatype"), tensor.get("shape")
    if datatype is not None and datatype != BYTES and (not isinstance(datatype, str) or datatype not in DATATYPES):
        raise bad_tensor(
            f"input {name!r} has the datatype {short_repr(datatype)}.", f"use one of {', '.join([*DATATYPES, BYTES])}."
        )
    if shape is not None:
        _check_shape(name, shape)
    parameters = tensor.get("parameters")
    size = parameters.get(BINARY_SIZE) if isinstance(parameters, dict) else None
    if size is not None:
        if type(size) is not int or size < 0:
            raise bad_tensor(f"input {name!r} has the binary_data_size {short_repr(size)}.", "send a number of bytes.")
        return _from_binary(name, datatype, shape, binary.take(size, name))
    values = tensor.get("data")
    if not isinstance(values, list):
        raise bad_tensor(f"input {name!r} has no data.", "send its values as a list, or as binary data.")
    values = _flatten(name, values, shape)
    if datatype in DATATYPES:
        _check_values(name, values, datatype)
    return values


def _check_shape(name: str, shape: Any) -> None:
    if (
        not isinstance(shape, list)
        or not 1 <= len(shape) <= _MAX_AXES
        or not all(type(n) is int and n >= 0 for n in shape)
        or math.prod(shape[1:]) != 1
    ):
        raise bad_tensor(
            f"input {name!r} has the shape {short_repr(shape)}.", "send one value per record: the shape [N] or [N, 1]."
        )


def _flatten(name: str, values: list[Any], shape: list[int] | None) -> list[Any]:
    """The values of a flat list or of lists nested as in the shape."""
    if shape is None:
        return [value[0] if isinstance(value, list) and len(value) == 1 else value for value in values]
    flat = values
    if any(isinstance(value, list) for value in values):
        for size in shape[1:]:
            if not all(isinstance(value, list) and len(value) == size for value in flat):
                raise bad_tensor(f"the data of input {name!r} is not nested like its shape {shape}.", _MATCH_SHAPE)
            flat = list(chain.from_iterable(flat))
        if any(isinstance(value, list) for value in flat):
            raise bad_tensor(f"the data of input {name!r} is nested deeper than its shape {shape}.", _MATCH_SHAPE)
    if len(flat) != shape[0]:
        raise _wrong_length(name, shape, len(flat))
    return flat


_MATCH_SHAPE = "send data that matches the shape."


def _wrong_length(name: str, shape: list[int], found: int) -> RequestError:
    return bad_tensor(f"input {name!r} has {found:,} values; its shape {shape} needs {shape[0]:,}.", _MATCH_SHAPE)


def _check_values(name: str, values: Sequence[Any], datatype: str) -> None:
    """Raise `RequestError` for a value that the datatype does not allow; null is a missing value."""
    kind = DATATYPES[datatype]
    for position, value in enumerate(values):
        if value is None:
            continue
        is_valid = type(value) in kind.types
        if is_valid and kind.low is not None and kind.high is not None:
            is_valid = kind.low <= value <= kind.high
        if not is_valid:
            raise bad_tensor(
                f"value {position} of input {name!r} is {short_repr(value)}, which is not {datatype}.",
                f"send {kind.description}, or declare another datatype.",
            )


def _from_binary(name: str, datatype: str | None, shape: list[int] | None, data: bytes) -> list[Any]:
    if datatype is None or shape is None:
        raise bad_tensor(f"input {name!r} is binary, but has no datatype or no shape.", "declare both.")
    if datatype == BYTES:
        values: list[Any] = _strings(name, data)
        if len(values) != shape[0]:
            raise _wrong_length(name, shape, len(values))
        return values
    dtype = np.dtype(DATATYPES[datatype].dtype)
    if len(data) != shape[0] * dtype.itemsize:
        raise bad_tensor(
            f"input {name!r} has {len(data):,} bytes; the shape {shape} of {datatype} needs "
            f"{shape[0] * dtype.itemsize:,}.",
            f"send {dtype.itemsize} bytes per value.",
        )
    numbers = np.frombuffer(data, dtype).tolist()
    return [None if number != number else number for number in numbers]  # noqa: PLR0124 - NaN is null, as in pandas


def _strings(name: str, data: bytes) -> list[bytes]:
    """The elements of a BYTES tensor; each follows its length in four bytes."""
    values, at = [], 0
    while at < len(data):
        start = at + _LENGTH.size
        at = start + _LENGTH.unpack_from(data, at)[0] if start <= len(data) else len(data) + 1
        if at > len(data):
            raise bad_tensor(f"the binary data of input {name!r} ends within a value.", "send the complete data.")
        values.append(data[start:at])
    return values


def to_binary(output: dict[str, Any]) -> bytes:
    """The data of an output in binary format."""
    if output["datatype"] == BYTES:
        values = [str(value).encode("utf-8", "replace") for value in output["data"]]
        return b"".join(_LENGTH.pack(len(value)) + value for value in values)
    return np.asarray(output["data"], DATATYPES[output["datatype"]].dtype).tobytes()


def bad_tensor(message: str, fix: str) -> RequestError:
    """The error for an invalid tensor."""
    return RequestError(message, code=_CODE, fix=fix)


def as_text(name: str, values: list[Any]) -> list[Any]:
    """Decode the bytes among the values of an input as UTF-8.

    Raises:
        RequestError: a value is not UTF-8.
    """
    try:
        return [value.decode() if isinstance(value, bytes) else value for value in values]
    except UnicodeDecodeError as error:
        raise bad_tensor(f"a value of input {name!r} is not UTF-8.", "encode strings as UTF-8.") from error
