"""Checks the files of pictures, for the fake server of `testing`, which has no model that decodes them."""

from __future__ import annotations

import io
from typing import Any

from fastmar_client.picture_records import IMAGE
from fastmar_client.problems import Problem
from fastmar_contract.base64_text import decode_base64
from fastmar_contract.media_types import picture_type
from fastmar_contract.picture_fixes import BASE64_FIX, COMPLETE_FIX, EMPTY_FIX, FILE_FIX


def find_problem(record: Any) -> Problem | None:
    """Why the model would refuse the picture of a record; None if it would not, or the record has no picture.

    Without Pillow only the signature of the file is checked.
    """
    content = record
    while isinstance(content, dict):
        content = content.get(IMAGE, content.get("b64"))
    if isinstance(content, str):
        try:
            content = decode_base64(content)
        except ValueError as error:
            return _refused("bad_base64", f"the picture is not valid base64 ({error}).", BASE64_FIX)
    if not isinstance(content, bytes):
        return None
    if not content:
        return _refused("empty_picture", "the picture has no bytes.", EMPTY_FIX)
    try:
        from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - an optional dependency
    except ImportError:
        return None if picture_type(content) else _not_a_picture()
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except UnidentifiedImageError:
        return _not_a_picture()
    except Exception as error:  # Pillow's plugins raise any exception for damaged files
        return _refused("damaged_picture", f"the picture is damaged or truncated ({error}).", COMPLETE_FIX)
    return None


def _not_a_picture() -> Problem:
    return _refused("not_a_picture", "the file is not an image.", FILE_FIX)


def _refused(code: str, message: str, fix: str) -> Problem:
    return Problem("refused", code, IMAGE, message, fix)
