"""Which texts are colours."""

from __future__ import annotations

import pytest

from fastmar_contract.colours import is_colour


@pytest.mark.parametrize("text", ["#0b6e80", "#0B6E80", "#ffffff"])
def test_colours(text: str) -> None:
    assert is_colour(text)


@pytest.mark.parametrize("text", ["", "teal", "#fff", "0b6e80", "#0b6e8g", "#0b6e80ff", " #0b6e80", "#0b6e80\n"])
def test_other_texts(text: str) -> None:
    assert not is_colour(text)
