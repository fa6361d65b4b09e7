"""Records of pictures: bytes of a file with its name, however a request spelled them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastmar_contract.display import json_safe, short_repr
from fastmar_contract.errors import RecordError
from fastmar_runtime.report import Report
from fastmar_runtime.spec import IMAGE

MODEL_SIZE, ORIGINAL_SIZE = "model", "original"
MASK_SIZE = "mask_size"
_MASK_SIZES = (MODEL_SIZE, ORIGINAL_SIZE)

BASE64 = "b64"
NAME = "name"
_KNOWN = (IMAGE, BASE64, NAME, MASK_SIZE)
_MOST_EXTRA = 20  # members too many that are named one by one

_RECORD_FIX = 'send {"image": {"b64": "..."}} with the picture\'s bytes in base64, or the picture itself as the body.'


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was sent.

    Attributes:
        data: bytes of its file.
        name: what the caller calls it: a file's name; None where it has none.
        mask_size: ``"model"`` or ``"original"``: the size of a mask that answers it.
    """

    data: bytes
    name: str | None = None
    mask_size: str = MODEL_SIZE

    def __repr__(self) -> str:
        return f"{self.name or 'a picture'} of {len(self.data):,} bytes"


def gather(records: Sequence[Any], report: Report) -> list[Picture | None]:
    """The picture of each record; None for one that had to be refused, so that rows keep their positions."""
    pictures: list[Picture | None] = []
    for row, record in enumerate(records):
        try:
            pictures.append(_read(record, row, report))
        except RecordError as error:
            report.refuse(row, error)
            pictures.append(None)
    return pictures


def name_of(record: Any) -> str | None:
    """What the caller calls the picture of `record`, also where it can't be read."""
    name = record.get(NAME) if isinstance(record, dict) else getattr(record, "name", None)
    return str(json_safe(name)) if isinstance(name, str) else None


def _read(record: Any, row: int, report: Report) -> Picture:
    if isinstance(record, RecordError):  # the payload already found that it can't be read
        raise record
    if isinstance(record, Picture):
        return record
    if isinstance(record, bytes | bytearray | memoryview):
        return Picture(bytes(record))
    if isinstance(record, str):
        return Picture(_decoded(record, None))
    if not isinstance(record, dict):
        raise RecordError("not_a_picture", f"found {short_repr(record)} where a picture belongs.", fix=_RECORD_FIX)
    name = name_of(record)
    content = record.get(IMAGE, record if BASE64 in record else None)
    if isinstance(content, dict):
        content = content.get(BASE64)
    if isinstance(content, bytes | bytearray | memoryview):
        data = bytes(content)
    elif isinstance(content, str):
        data = _decoded(content, name)
    elif IMAGE in record or BASE64 in record:
        raise RecordError(
            "not_a_picture", f"'image' is {short_repr(content)}, where base64 belongs.", fix=_RECORD_FIX, field=IMAGE
        )
    else:
        raise RecordError("missing_column", "the record has no 'image'.", fix=_RECORD_FIX, field=IMAGE)
    _warn_extra(record, row, report)
    return Picture(data, name, mask_size(record.get(MASK_SIZE, MODEL_SIZE)))


def mask_size(value: Any) -> str:
    """The size that a caller wants masks in.

    Raises:
        RecordError: there is no such size.
    """
    if value not in _MASK_SIZES:
        raise RecordError(
            "bad_option", f"'mask_size' is {short_repr(value)}.", fix="send 'model' or 'original'.", field=MASK_SIZE
        )
    return str(value)


def _decoded(text: str, name: str | None) -> bytes:
    """The bytes that base64 stands for, also behind a data URL's prefix, with line breaks, or URL-safe."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        plain = text.translate(_TO_STANDARD)
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RecordError(
            "bad_base64",
            f"{called(name)} is no valid base64 ({error}).",
            fix="encode the file's bytes with base64, all of them.",
            field=IMAGE,
        ) from error


_TO_STANDARD = {ord("-"): "+", ord("_"): "/", ord("="): None, **dict.fromkeys(map(ord, " \t\r\n"))}


def called(name: str | None) -> str:
    """How a message names a picture."""
    return "the picture" if name is None else f"the picture {short_repr(name)}"


def _warn_extra(record: dict[Any, Any], row: int, report: Report) -> None:
    extra = [str(key) for key in record if key not in _KNOWN]
    for key in extra[:_MOST_EXTRA]:
        message = "the model reads a picture; this was ignored."
        report.warn(row, field=key, code="extra_column", value=None, message=message)
