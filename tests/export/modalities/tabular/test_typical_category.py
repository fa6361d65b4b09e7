"""The default category of a field without a reference table."""

from __future__ import annotations

from typing import Any

import pytest

from fastmar_export.modalities.tabular.typical_category import typical_category


@pytest.mark.parametrize(
    ("categories", "typical"),
    [
        ([" ?", " Federal-gov", " Private", " State-gov"], " Private"),
        (["#na#", "?", "b", "c"], "c"),
        ([1, 2, 3], 2),
        ([False, True], False),
        (["?"], "?"),
        ([], None),
    ],
)
def test_typical_category_is_the_middle_value_without_placeholders(categories: list[Any], typical: Any) -> None:
    assert typical_category(categories) == typical
