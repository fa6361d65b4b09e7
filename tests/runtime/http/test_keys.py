from __future__ import annotations

import base64

import pytest

from fastmar_runtime.http.keys import admits

KEY = b"a-long-enough-key"


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "header", ["Bearer a-long-enough-key", "bearer  a-long-enough-key ", basic("anyone:a-long-enough-key")]
)
def test_valid_headers(header: str) -> None:
    assert admits([KEY], header)
    assert admits([b"another-long-key", KEY], header)
    assert admits([KEY, b"another-long-key"], header)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer a-long-enough-ke",
        "Bearer a-long-enough-keyy",
        "a-long-enough-key",
        "Digest a-long-enough-key",
        "Basic !",
        "Basic é",
        basic("a-long-enough-key"),
        basic("a-long-enough-key:x"),
    ],
)
def test_invalid_headers(header: str | None) -> None:
    assert not admits([KEY], header)
    assert not admits([KEY, b"another-long-key"], header)


def test_no_key_needed() -> None:
    assert admits(None, None)


@pytest.mark.parametrize("header", [None, "Bearer ", "Bearer a-long-enough-key"])
def test_no_key_is_accepted(header: str | None) -> None:
    assert not admits([], header)
