"""Answers of the record path, for comparisons with those of columns."""

from __future__ import annotations

from typing import Any

from fastmar_bulk.answers import AnswerTable
from fastmar_bulk.scorer import TableScorer
from fastmar_bulk.tables import Table
from fastmar_client.encoding import as_read
from fastmar_client.errors import RecordRefused
from fastmar_contract.errors import RecordError
from fastmar_contract.values import cell_reader
from fastmar_runtime.predictor import Predictor


def records_of(table: Table, predictor: Predictor) -> list[Any]:
    """The rows of a table as the record path reads them."""
    columns = {name: v if isinstance(v, list) else v.to_pylist() for name, v in table.columns.items()}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if table.is_text:
        fields = {name: field for field in predictor.spec.fields for name in (field.name, *field.aliases)}
        readers = {name: cell_reader(fields[name].kind, fields[name].categories) for name in columns}
        return [{name: readers[name](cell) for name, cell in row.items()} for row in rows]
    return [read(row) for row in rows]


def read(row: dict[str, Any]) -> Any:
    try:
        return as_read(row)
    except RecordRefused as error:
        return RecordError(error.code, error.message, fix=error.fix, field=error.field)


def assert_equal_to_records(predictor: Predictor, table: Table) -> None:
    """Compare each part of each answer; numbers bit for bit."""
    expected = predictor.predict(records_of(table, predictor))
    answers = TableScorer(predictor)(table)
    answer_table = AnswerTable(predictor.spec)
    names = [name for name in answer_table.choices if name not in ("warnings", "error", "error_code", "error_field")]
    columns = {name: values.to_pylist() for name, values in answer_table.columns(answers, names).items()}
    for row, answer in enumerate(expected):
        if "error" in answer:
            assert answers.errors[row].as_dict(row) == answer
            assert all(values[row] is None for values in columns.values())
            continue
        assert row not in answers.errors, answers.errors[row]
        # A date whose parts are all sent is an extra column, which tables do not warn about.
        expected_warnings = [warning for warning in answer["warnings"] if warning["code"] != "extra_column"]
        assert answers.warnings.get(row, []) == expected_warnings
        assert {name: values[row] for name, values in columns.items()} == as_columns(answer, predictor)


def as_columns(answer: dict[str, Any], predictor: Predictor) -> dict[str, Any]:
    """The columns of an answer of the record path."""
    targets = predictor.spec.targets
    found = {name: value for name, value in answer.items() if name not in ("warnings", "probabilities", "prediction")}
    prediction = answer["prediction"]
    if isinstance(prediction, list) and len(prediction) == len(targets) > 1 and "probabilities" not in answer:
        found |= {f"prediction_{target}": number for target, number in zip(targets, prediction, strict=True)}
    else:
        found["prediction"] = prediction
    probabilities = answer.get("probabilities", {})
    if predictor.spec.decode.get("top"):
        found["probabilities"] = list(probabilities.items())
    else:
        found |= {f"probability_{label}": number for label, number in probabilities.items()}
    if "index" in answer:
        found["probability"] = probabilities[prediction]
    return found
