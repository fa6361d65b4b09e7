"""What a file is that is no picture."""

from __future__ import annotations

import gzip
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmar_contract.errors import RecordError
from fastmar_runtime.file_kinds import describe_file
from fastmar_runtime.pictures import Picture
from fastmar_runtime.steps import load_step
from tests.runtime import tiny_pictures as tiny


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "a")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"hello\nworld", "'hello'"),
        ("caf\u00e9 \u2603".encode(), "'caf\u00e9 \u2603'"),
        (b"a" * 5000, "'aaaaaaaaaaaaaaaaaaaaaaaa'"),
        (b"%PDF-1.7", "PDF"),
        (zipped(), "ZIP"),
        (gzip.compress(b"a", mtime=0), "gzip"),
        (b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
        (b"\0\0\0\x1cftypisom\0\0\0\0", "video"),
        (b'<?xml version="1.0"?>\n<!-- made by hand --><svg xmlns="x"/>', "SVG"),
        (b"\n<!DOCTYPE html><title>Log in</title>", "HTML"),
        (b"\x7fELF\x02\x01\x01\0\0\0", "7f 45 4c 46 02 01 01 00"),
        (b"\xff\xfeh\0i\0", "ff fe 68 00 69 00"),
    ],
)
def test_kinds(data: bytes, kind: str) -> None:
    assert kind in describe_file(data)


@given(st.binary(max_size=2000) | st.text(min_size=1).map(str.encode))
def test_any_bytes_are_described_in_one_short_line(data: bytes) -> None:
    text = describe_file(data)
    assert text.isprintable()
    assert len(text) <= 150


def test_the_message_names_the_file_and_quotes_its_text() -> None:
    with pytest.raises(RecordError) as caught:
        load_step(tiny.OPENING)(Picture(b"hello\n", "notes.txt"))
    assert caught.value.code == "not_a_picture"
    assert "'notes.txt'" in caught.value.message
    assert "'hello'" in caught.value.message
