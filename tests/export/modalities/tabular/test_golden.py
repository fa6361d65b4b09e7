"""Golden records of tables: the first one is the example of the schema, which the form and the commands show."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.runtime import tiny

from fastmar_export.modalities.tabular.golden import golden_records
from fastmar_runtime.record_schemas import example
from fastmar_runtime.spec import Spec


def dated() -> Spec:
    spec = tiny.date_spec()
    return replace(spec, fields=tuple(replace(f, default="2024-01-31") if f.kind == "date" else f for f in spec.fields))


@pytest.mark.parametrize("spec", [tiny.spec(), dated()], ids=["table", "date"])
def test_the_first_record_is_the_example_of_the_schema(spec: Spec) -> None:
    assert golden_records(spec.fields, spec.steps)[0] == example(spec)
