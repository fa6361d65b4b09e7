"""Notices about the categories of a table."""

from __future__ import annotations

from typing import Any

import pytest
from tests.export.records import record

from fastmar_export.converters import convert
from fastmar_export.modalities.tabular.table import TABLE, Table


def vocabulary(*items: Any) -> Any:
    return record("fastai.data.transforms.CategoryMap", items=["#na#", *items])


@pytest.mark.parametrize(
    ("flags", "field", "named"),
    [
        (0, None, None),
        (1, "flag0", "'flag0':"),
        (3, None, "'flag0', 'flag1', 'flag2':"),
        (40, None, "'flag0', 'flag1', 'flag2', 'flag3', 'flag4', 'flag5', ...:"),
    ],
)
def test_columns_of_true_and_false_get_one_notice(flags: int, field: str | None, named: str | None) -> None:
    names = [f"flag{number}" for number in range(flags)]
    table = Table(cats=["color", *names, "age_na"], conts=["age"])
    classes = {"color": vocabulary("red", "blue"), "age_na": vocabulary(False, True)}
    classes |= {name: vocabulary(False, True) for name in names}
    convert(record("fastai.tabular.core.Categorify", classes=classes), "dls.procs[0]", TABLE, table)
    notices = [(notice["field"], notice["code"]) for notice in table.notices]
    assert notices == ([] if named is None else [(field, "bool_categories")])
    assert named is None or table.notices[0]["message"].startswith(named)
