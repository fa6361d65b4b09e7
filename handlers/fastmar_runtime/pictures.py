"""Records of pictures: the bytes of a file and its name, from any of the accepted forms of a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastmar_contract.base64_text import decode_base64
from fastmar_contract.display import json_safe, short_repr
from fastmar_contract.errors import RecordError
from fastmar_contract.masks import MASK_SIZE, MASK_SIZES, MODEL_SIZE
from fastmar_contract.picture_fixes import BASE64_FIX
from fastmar_runtime.report import Report
from fastmar_runtime.spec import IMAGE

BASE64 = "b64"
NAME = "name"
_KNOWN = (IMAGE, BASE64, NAME, MASK_SIZE)
_MAX_EXTRA = 20  # unknown members that get a warning each

_RECORD_FIX = 'send {"image": {"b64": "..."}} with the picture\'s bytes in base64, or the picture itself as the body.'


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was sent.

    Attributes:
        data: bytes of its file.
        name: the name that the caller gave, such as a file name; None if there is none.
        mask_size: ``"model"`` or ``"original"``: the size of a mask in the answer.
    """

    data: bytes
    name: str | None = None
    mask_size: str = MODEL_SIZE

    def __repr__(self) -> str:
        return f"{self.name or 'a picture'} of {len(self.data):,} bytes"


def gather(records: Sequence[Any], report: Report) -> list[Picture | None]:
    """The picture of each record; None for a refused record, so that positions are kept."""
    pictures: list[Picture | None] = []
    for row, record in enumerate(records):
        try:
            pictures.append(_read(record, row, report))
        except RecordError as error:
            report.refuse(row, error)
            pictures.append(None)
    return pictures


def name_of(record: Any) -> str | None:
    """The name that the caller gave to the picture of `record`, which may be unreadable."""
    name = record.get(NAME) if isinstance(record, dict) else getattr(record, "name", None)
    return str(json_safe(name)) if isinstance(name, str) else None


def _read(record: Any, row: int, report: Report) -> Picture:
    if isinstance(record, RecordError):  # the parser of the body already found an error
        raise record
    if isinstance(record, Picture):
        return record
    if isinstance(record, bytes | bytearray | memoryview):
        return Picture(bytes(record))
    if isinstance(record, str):
        return Picture(_decode_base64(record, None))
    if not isinstance(record, dict):
        raise RecordError("not_a_picture", f"the record must be a picture; got {short_repr(record)}.", fix=_RECORD_FIX)
    name = name_of(record)
    content = record.get(IMAGE, record if BASE64 in record else None)
    if isinstance(content, dict):
        content = content.get(BASE64)
    if isinstance(content, bytes | bytearray | memoryview):
        data = bytes(content)
    elif isinstance(content, str):
        data = _decode_base64(content, name)
    elif IMAGE in record or BASE64 in record:
        raise RecordError(
            "not_a_picture", f"'image' must be base64 text; got {short_repr(content)}.", fix=_RECORD_FIX, field=IMAGE
        )
    else:
        raise RecordError("missing_column", "the record has no 'image'.", fix=_RECORD_FIX, field=IMAGE)
    _warn_extra(record, row, report)
    return Picture(data, name, mask_size(record.get(MASK_SIZE, MODEL_SIZE)))


def mask_size(value: Any) -> str:
    """Check the requested size of masks.

    Raises:
        RecordError: it is neither "model" nor "original".
    """
    if value not in MASK_SIZES:
        raise RecordError(
            "bad_option",
            f"'mask_size' must be 'model' or 'original'; got {short_repr(value)}.",
            fix="send one of these two values.",
            field=MASK_SIZE,
        )
    return str(value)


def _decode_base64(text: str, name: str | None) -> bytes:
    try:
        return decode_base64(text)
    except ValueError as error:
        raise RecordError(
            "bad_base64",
            f"{describe_picture(name)} is not valid base64 ({error}).",
            fix=BASE64_FIX,
            field=IMAGE,
        ) from error


def describe_picture(name: str | None) -> str:
    """The picture and its name, for messages."""
    return "the picture" if name is None else f"the picture {short_repr(name)}"


def _warn_extra(record: dict[Any, Any], row: int, report: Report) -> None:
    extra = [str(key) for key in record if key not in _KNOWN]
    for key in extra[:_MAX_EXTRA]:
        message = "the model does not use this member; it was ignored."
        report.warn(row, field=key, code="extra_column", value=None, message=message)
