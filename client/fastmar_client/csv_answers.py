"""The columns of an output table, and their cells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fastmar_client.errors import CsvUnwritable

INPUT, PREDICTION, PROBABILITY, PROBABILITIES = "input", "prediction", "probability", "probabilities"
INDEX, WARNINGS, ERROR = "index", "warnings", "error"
PREFIX = "fastmar_"  # of an answer's column, if the table has a column of that name
LABEL_SEPARATOR = ";"

Answer = Mapping[str, Any]
Cell = Callable[[Answer], Any]


class AnswerColumns:
    """The columns of an output table: columns of the input table, and columns of the answers.

    Attributes:
        header: the names of the columns.
    """

    def __init__(self, table: Sequence[str], schema: Mapping[str, Any], chosen: Sequence[str] | None = None) -> None:
        """Choose columns.

        Args:
            table: the columns of the input table.
            schema: the model's schema.
            chosen: names of columns of the table or of answers: "input" for all of the table's, "prediction",
                "probability" (of the prediction), "probabilities" (of each label), "index", "warnings", "error". None
                for all except "index", and except "probabilities" if answers have a "probability".

        Raises:
            CsvUnwritable: a chosen column does not exist.
        """
        answers = _answer_cells(schema)
        if chosen is None:
            chosen = _default_columns(answers)
        self.header: list[str] = []
        self._cells: list[Cell] = []  # of the answers' columns
        self._positions: list[int] = []  # of each column in the row followed by the answers' cells
        for name in chosen:
            if name == INPUT:
                self.header += table
                self._positions += range(len(table))
            elif name in answers:
                for column, cell in answers[name]:
                    self.header.append(column)
                    self._positions.append(len(table) + len(self._cells))
                    self._cells.append(cell)
            elif name in table:
                self.header.append(name)
                self._positions.append(list(table).index(name))
            else:
                raise CsvUnwritable(
                    f"neither the table nor the answers have a column {name!r}.",
                    fix=f"choose from {', '.join([INPUT, *answers])}, and the table's columns.",
                    code="unknown_column",
                )
        self._rename_duplicates(len(table))
        self._is_input_order = self._positions == list(range(len(table) + len(self._cells)))

    def cells(self, row: Sequence[str], answer: Answer) -> list[str]:
        """One row of the output table."""
        line = [*row, *(_text(cell(answer)) for cell in self._cells)]
        return line if self._is_input_order else [line[position] for position in self._positions]

    def _rename_duplicates(self, width: int) -> None:
        """Rename columns of answers whose names the table has too; `width` is the table's number of columns."""
        taken = {name for name, position in zip(self.header, self._positions, strict=True) if position < width}
        for column, position in enumerate(self._positions):
            if position >= width:
                while self.header[column] in taken:
                    self.header[column] = PREFIX + self.header[column]
                taken.add(self.header[column])


def _default_columns(answers: Mapping[str, Any]) -> list[str]:
    likelihood = PROBABILITY if PROBABILITY in answers else PROBABILITIES
    return [INPUT, *(name for name in (PREDICTION, likelihood, WARNINGS, ERROR) if name in answers)]


def _answer_cells(schema: Mapping[str, Any]) -> dict[str, list[tuple[str, Cell]]]:
    """The columns for each name that can be chosen: their headers, and functions that return their cells."""
    properties = (schema.get("answer") or {}).get("properties") or {}
    found: dict[str, list[tuple[str, Cell]]] = {PREDICTION: _prediction(properties.get(PREDICTION) or {})}
    if INDEX in properties:  # one label
        found[PROBABILITY] = [(PROBABILITY, _probability)]
    if PROBABILITIES in properties:
        found[PROBABILITIES] = _probabilities(properties[PROBABILITIES])
    if INDEX in properties:
        found[INDEX] = [(INDEX, lambda answer: answer.get(INDEX))]
    found[WARNINGS] = [(WARNINGS, _warnings)]
    found[ERROR] = [(ERROR, _error)]
    return found


def _prediction(schema: Mapping[str, Any]) -> list[tuple[str, Cell]]:
    """One column, or a column for each target of several numbers."""
    targets = schema.get("x-fastmar", {}).get("targets", [])
    is_numbers = schema.get("type") == "array" and schema.get("items", {}).get("type") == "number"
    if not is_numbers or len(targets) < 2:
        return [(PREDICTION, _whole_prediction)]
    return [(f"{PREDICTION}_{target}", _item(position, len(targets))) for position, target in enumerate(targets)]


def _item(position: int, count: int) -> Cell:
    def cell(answer: Answer) -> Any:
        numbers = answer.get(PREDICTION)
        return numbers[position] if isinstance(numbers, list) and len(numbers) == count else None

    return cell


def _whole_prediction(answer: Answer) -> Any:
    value = answer.get(PREDICTION)
    if isinstance(value, list) and all(isinstance(label, str) for label in value):
        return LABEL_SEPARATOR.join(value)
    return value


def _probability(answer: Answer) -> Any:
    return (answer.get(PROBABILITIES) or {}).get(answer.get(PREDICTION))


def _probabilities(schema: Mapping[str, Any]) -> list[tuple[str, Cell]]:
    """A column for each label, or one column if answers only have the top-k labels."""
    labels = schema.get("properties")
    if not labels:
        return [(PROBABILITIES, lambda answer: answer.get(PROBABILITIES))]
    return [(f"{PROBABILITY}_{label}", _label_probability(label)) for label in labels]


def _label_probability(label: str) -> Cell:
    return lambda answer: (answer.get(PROBABILITIES) or {}).get(label)


def _warnings(answer: Answer) -> str:
    return warnings_text(answer.get(WARNINGS) or ())


def warnings_text(warnings: Iterable[Mapping[str, Any]]) -> str:
    """The cell for the warnings of a row."""
    return "; ".join(f"{warning.get('field')}: {warning.get('message')}" for warning in warnings)


def _error(answer: Answer) -> str:
    error = answer.get(ERROR)
    return error_text(error.get("message"), error.get("fix")) if isinstance(error, dict) else ""


def error_text(message: Any, fix: Any) -> str:
    """The cell for the error of a row."""
    return f"{message} Fix: {fix}"


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if type(value) is float:
        return repr(value)  # the shortest exact text, as in JSON
    return json.dumps(value, ensure_ascii=False)
