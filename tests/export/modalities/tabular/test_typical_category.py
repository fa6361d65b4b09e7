"""The category that a form starts from where no table tells the commonest one."""

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
def test_it_names_a_value_and_is_not_the_first_of_the_alphabet(categories: list[Any], typical: Any) -> None:
    assert typical_category(categories) == typical
