"""Values in messages."""

from __future__ import annotations

from typing import Any

import pytest

from fastmar_contract.display import short_repr


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "null"), (True, "true"), (False, "false"), ("None", "'None'"), (4, "4"), (4.5, "4.5")]
)
def test_constants_have_their_names_in_json(value: Any, shown: str) -> None:
    assert short_repr(value) == shown
