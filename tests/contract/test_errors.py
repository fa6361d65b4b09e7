"""Errors of records and requests, and those of the client."""

from __future__ import annotations

import pickle

import pytest

from fastmar_client.errors import RecordRefused
from fastmar_contract.errors import FastmarError, RecordError

FAULT = RecordError("not_a_number", "'age' must be a number.", fix="pass a number.", field="age")


@pytest.mark.parametrize(
    "error",
    [
        FAULT,
        RecordError("bad_record", "two faults.", fix="correct both.", faults=[FAULT]),
        FastmarError("it is missing.", fix="add it.", code="missing"),
        RecordRefused("it is missing.", fix="add it.", code="missing", status=400, model="adult"),
    ],
)
def test_errors_can_be_pickled(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert {**vars(copy), "faults": ()} == {**vars(error), "faults": ()}
    assert [vars(fault) for fault in vars(copy).get("faults", ())] == [
        vars(fault) for fault in vars(error).get("faults", ())
    ]
