"""Answers by column equal those by record, for all tabular learners, with bad values of every kind."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastmar_bulk.tables import Table
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import Spec
from tests.bulk.records import assert_equal_to_records
from tests.bulk.values import cells, column
from tests.export.tables import CASES

ROWS = 12
MANY = settings(max_examples=30, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", CASES)
@MANY
@given(seed=st.integers(0, 2**64))
def test_answers_equal_those_of_records(name: str, predictor_of: Callable[[str], Predictor], seed: int) -> None:
    predictor = predictor_of(name)
    table = random_table(predictor.spec, Random(seed))
    if table.columns:
        assert_equal_to_records(predictor, table)


def random_table(spec: Spec, rng: Random) -> Table:
    """A table with most of a model's columns, as Arrow arrays and lists, or as cells of a CSV."""
    make = cells if (is_text := rng.random() < 0.4) else column
    columns = {}
    for field in spec.fields:
        if not field.optional or rng.random() < 0.5:
            columns[rng.choice([field.name, *field.aliases])] = make(field, ROWS, rng)
    return Table(columns, ROWS, is_text)
