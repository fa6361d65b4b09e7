"""Categories that stand for a missing value."""

from __future__ import annotations

from typing import Any

import pytest

from fastmar_contract.placeholders import is_placeholder


@pytest.mark.parametrize(
    "category", ["?", " ?", "#na#", "N/A", "-", "", "  ", "NaN", None, "unknown.", "Not available"]
)
def test_placeholders(category: Any) -> None:
    assert is_placeholder(category)


@pytest.mark.parametrize("category", ["Private", "Nana", "-5", "0", 0, 1.5, False, "no", "other city", "ä"])
def test_values(category: Any) -> None:
    assert not is_placeholder(category)
