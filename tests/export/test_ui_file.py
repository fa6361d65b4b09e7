"""The logo of ui.yaml: which files it may be, and how the export embeds them."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fastmar_export.presentation import UiRefused
from fastmar_export.ui_file import MAX_LOGO, read_ui
from tests.export.errors import raises
from tests.runtime import tiny

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    return file.getvalue()


def read_with_logo(folder: Path, data: bytes) -> Any:
    (folder / "forms").mkdir()
    (folder / "logo").write_bytes(data)
    (folder / "forms" / "ui.yaml").write_text("title: x\nlogo: ../logo\n")
    return read_ui(folder / "forms" / "ui.yaml", tiny.spec())["logo"]


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (png(), "image/png"),
        (SVG, "image/svg+xml"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- made <svg> by hand -->\n<!DOCTYPE svg>\n<svg>", "image/svg+xml"),
    ],
)
def test_a_logo_is_embedded(tmp_path: Path, data: bytes, media_type: str) -> None:
    head, _, text = read_with_logo(tmp_path, data).partition(";base64,")
    assert head == f"data:{media_type}"
    assert base64.b64decode(text) == data


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "logo_type"),
        (b"GIF89a", "logo_type"),
        (b"<html><svg></svg></html>", "logo_type"),
        (b"<svgx>", "logo_type"),
        (SVG + b" " * MAX_LOGO, "logo_too_large"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, data: bytes, code: str) -> None:
    with raises(UiRefused, code):
        read_with_logo(tmp_path, data)


def test_a_missing_logo_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ui.yaml").write_text("logo: absent.png\n")
    with raises(UiRefused, "logo_unreadable", "absent.png"):
        read_ui(tmp_path / "ui.yaml", tiny.spec())
