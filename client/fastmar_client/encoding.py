"""Encodes records as JSON, including values of pandas and numpy, and pictures as files."""

from __future__ import annotations

import base64
import datetime
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from fastmar_client.errors import RecordRefused
from fastmar_client.pictures import is_batch, is_picture_object, to_file
from fastmar_contract.masks import MASK_SIZE
from fastmar_contract.media_types import picture_type

# The bytes of a picture's file, its path, or the open file. PIL images and numpy arrays are accepted too.
# A str is a path if the model reads pictures.
Picture = bytes | bytearray | str | os.PathLike[str] | IO[bytes]

JSON = "application/json"
ANY_BYTES = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Part:
    """One encoded record: its JSON, or a picture's file.

    Attributes:
        data: JSON in UTF-8, or the file's bytes.
        media_type: the media type of `data`.
        name: the name of the picture's file, if it has one.
        warnings: the client's own warnings, which are added to the answer's.
    """

    data: bytes
    media_type: str = JSON
    name: str | None = None
    warnings: tuple[dict[str, Any], ...] = ()

    @property
    def size(self) -> int:
        """Its number of bytes in a JSON list, at most."""
        if self.media_type == JSON:
            return len(self.data) + 1
        return 4 * (len(self.data) // 3 + 1) + len(json.dumps(self.name)) + 40  # base64, and the keys around it

    def as_json(self, **options: str) -> bytes:
        """The record as an item of a JSON list; `options` are added to a picture."""
        if self.media_type == JSON:
            return self.data
        extra = {"name": self.name, **options} if self.name else options
        members = "".join(f"{json.dumps(key)}:{json.dumps(value)}," for key, value in extra.items())
        return b'{%s"image":{"b64":"%s"}}' % (members.encode(), base64.b64encode(self.data))


def is_one(record: object) -> bool:
    """Whether `record` is a single record or picture."""
    if isinstance(record, Mapping | bytes | bytearray | str | os.PathLike | Part):
        return True
    return is_picture_object(record) and not is_batch(record)


def part(record: Any, mask_size: str | None = None) -> Part:
    """Encode a record or a picture; a `Part` is returned unchanged. `mask_size` is the size of predicted masks.

    The path of a picture is a `Path`: a str is a text, and is encoded as JSON.

    Raises:
        RecordRefused: the record has a value that JSON can't express, or the file can't be read.
        TypeError: a file is open in text mode, or an array or image can't be sent as a picture.
    """
    if mask_size is not None and isinstance(record, Mapping):
        return Part(encode({MASK_SIZE: mask_size, **record}))
    one = _part(record)
    if mask_size is not None and one.media_type != JSON:
        return Part(one.as_json(mask_size=mask_size), JSON, one.name)
    return one


def _part(record: Any) -> Part:
    if isinstance(record, Part):
        return record
    if isinstance(record, bytes | bytearray):
        data = bytes(record)
        return Part(data, picture_type(data) or ANY_BYTES)
    if isinstance(record, os.PathLike):
        path = Path(record)
        data = _read(path)
        return Part(data, picture_type(data) or ANY_BYTES, path.name)
    if is_picture_object(record):
        data, name = to_file(record)
        return Part(data, picture_type(data) or ANY_BYTES, name)
    return Part(encode(record))


def to_json_list(parts: Iterable[Part]) -> bytes:
    """The JSON list of several records."""
    return b"[%s]" % b",".join(each.as_json() for each in parts)


def encode(record: Any) -> bytes:
    """A record, or a list of records, as JSON in UTF-8.

    numpy's scalars and arrays become numbers and lists, dates become ISO 8601, and the missing values of pandas (NaN,
    NaT, NA) become null.

    Raises:
        RecordRefused: the record has a value that JSON can't express.
    """
    with _json_errors():
        try:
            text = _ENCODER.encode(record)
        except ValueError:  # NaN, which is rare
            text = _ENCODER.encode(_without_nan(record))
    return text.encode()


def as_read(record: Any) -> Any:
    """A record as the model reads it, in JSON's types; numbers may be infinite, which JSON can't express.

    Raises:
        RecordRefused: the record has another value that JSON can't express.
    """
    with _json_errors():
        return json.loads(_LENIENT.encode(record), parse_constant=lambda name: None if name == "NaN" else float(name))


@contextmanager
def _json_errors() -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, RecursionError) as error:
        raise RecordRefused(
            f"the record can't be encoded as JSON: {error}.",
            fix="use numbers, strings, booleans, None, dates, lists and dicts; pass a picture as its path or bytes.",
            code="not_json",
        ) from error


def image_record(image: Picture) -> dict[str, Any]:
    """The record for a picture: the bytes of its file, its path, an open file, a PIL image or an array of pixels."""
    if isinstance(image, bytes | bytearray):
        data = bytes(image)
    else:
        data = Path(image).read_bytes() if isinstance(image, str | os.PathLike) else to_file(image)[0]
    return {"image": {"b64": base64.b64encode(data).decode("ascii")}}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: the path has a NUL
        reason = getattr(error, "strerror", None) or error
        is_absent = isinstance(error, FileNotFoundError)
        raise RecordRefused(
            f"there is no file {path}." if is_absent else f"the picture {path} can't be read: {reason}.",
            fix="pass the path of a picture's file, or its bytes.",
            code="file_unreadable",
        ) from error


def _plain(value: Any) -> Any:
    """Convert a value of pandas, numpy or the standard library to JSON's types."""
    if type(value).__name__ == "NAType":  # pandas' NA; comparing it raises
        return None
    if isinstance(value, datetime.date | datetime.time):  # a pandas Timestamp is a datetime, which is a date
        return value.isoformat() if value == value else None  # NaT is a datetime too  # noqa: PLR0124
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Decimal):
        return None if value.is_nan() else float(value)
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind == "M":  # numpy's dates; those in nanoseconds would become integers
        return value.astype("datetime64[us]").tolist()
    if hasattr(value, "tolist") and kind != "m":  # numpy
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not a JSON type")


_ENCODER = json.JSONEncoder(allow_nan=False, default=_plain, separators=(",", ":"))
_LENIENT = json.JSONEncoder(default=_plain)  # with NaN and infinity


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    return value if value is None or isinstance(value, str | int) else _without_nan(_plain(value))
