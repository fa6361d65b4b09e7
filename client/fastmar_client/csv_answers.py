"""Which columns a table of answers has, and what stands in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastmar_client.errors import CsvUnwritable

INPUT, PREDICTION, PROBABILITY, PROBABILITIES = "input", "prediction", "probability", "probabilities"
INDEX, WARNINGS, ERROR = "index", "warnings", "error"
PREFIX = "fastmar_"  # of an answer's column whose name the table already has
SEVERAL = ";"  # between the labels of one answer

Answer = Mapping[str, Any]
Cell = Callable[[Answer], Any]


class AnswerColumns:
    """The columns of the file of answers: the table's own, some or all of them, and the answers'.

    Attributes:
        header: their names.
    """

    def __init__(self, table: Sequence[str], schema: Mapping[str, Any], chosen: Sequence[str] | None = None) -> None:
        """The columns that are `chosen` of a table with the columns `table`.

        `chosen` names columns of the table or of answers: "input" for all of the table's, "prediction", "probability"
        (of the prediction), "probabilities" (of each label), "index", "warnings", "error". None chooses what there is,
        with "probabilities" only where answers have no "probability".

        Raises:
            CsvUnwritable: there is no such column.
        """
        answers = _answer_cells(schema)
        if chosen is None:
            chosen = _usual(answers)
        self.header: list[str] = []
        self._cells: list[Cell] = []  # of answers; they come behind the table's
        self._places: list[int] = []  # of each column among the table's and these
        for name in chosen:
            if name == INPUT:
                self.header += table
                self._places += range(len(table))
            elif name in answers:
                for column, cell in answers[name]:
                    self.header.append(column)
                    self._places.append(len(table) + len(self._cells))
                    self._cells.append(cell)
            elif name in table:
                self.header.append(name)
                self._places.append(list(table).index(name))
            else:
                raise CsvUnwritable(
                    f"there is no column {name!r} in the table or in the answers.",
                    fix=f"choose among {', '.join([INPUT, *answers])}, and the table's own columns.",
                )
        self._rename_doubles(len(table))
        self._in_order = self._places == list(range(len(table) + len(self._cells)))

    def cells(self, row: Sequence[str], answer: Answer) -> list[str]:
        """One line of the file of answers."""
        line = [*row, *(_text(cell(answer)) for cell in self._cells)]
        return line if self._in_order else [line[place] for place in self._places]

    def _rename_doubles(self, width: int) -> None:
        """Give an answer's column another name where the table, of so many columns, has one of that name."""
        taken = {name for name, place in zip(self.header, self._places, strict=True) if place < width}
        for column, place in enumerate(self._places):
            if place >= width:
                while self.header[column] in taken:
                    self.header[column] = PREFIX + self.header[column]
                taken.add(self.header[column])


def _usual(answers: Mapping[str, Any]) -> list[str]:
    likelihood = PROBABILITY if PROBABILITY in answers else PROBABILITIES
    return [INPUT, *(name for name in (PREDICTION, likelihood, WARNINGS, ERROR) if name in answers)]


def _answer_cells(schema: Mapping[str, Any]) -> dict[str, list[tuple[str, Cell]]]:
    """Columns of answers by what is chosen: their names, and what stands in them."""
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
    """One column; of several numbers one a target."""
    targets = schema.get("x-fastmar", {}).get("targets", [])
    is_numbers = schema.get("type") == "array" and schema.get("items", {}).get("type") == "number"
    if not is_numbers or len(targets) < 2:
        return [(PREDICTION, _whole_prediction)]
    return [(f"{PREDICTION}_{target}", _item(place, len(targets))) for place, target in enumerate(targets)]


def _item(place: int, count: int) -> Cell:
    def cell(answer: Answer) -> Any:
        numbers = answer.get(PREDICTION)
        return numbers[place] if isinstance(numbers, list) and len(numbers) == count else None

    return cell


def _whole_prediction(answer: Answer) -> Any:
    value = answer.get(PREDICTION)
    if isinstance(value, list) and all(isinstance(label, str) for label in value):
        return SEVERAL.join(value)
    return value


def _probability(answer: Answer) -> Any:
    return (answer.get(PROBABILITIES) or {}).get(answer.get(PREDICTION))


def _probabilities(schema: Mapping[str, Any]) -> list[tuple[str, Cell]]:
    """One column a label; where answers tell only the likeliest of many labels, one for all."""
    labels = schema.get("properties")
    if not labels:
        return [(PROBABILITIES, lambda answer: answer.get(PROBABILITIES))]
    return [(f"{PROBABILITY}_{label}", _of_label(label)) for label in labels]


def _of_label(label: str) -> Cell:
    return lambda answer: (answer.get(PROBABILITIES) or {}).get(label)


def _warnings(answer: Answer) -> str:
    return "; ".join(f"{warning.get('field')}: {warning.get('message')}" for warning in answer.get(WARNINGS) or ())


def _error(answer: Answer) -> str:
    error = answer.get(ERROR)
    return f"{error.get('message')} Fix: {error.get('fix')}" if isinstance(error, dict) else ""


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if type(value) is float:
        return repr(value)  # the shortest that is exact, as in the answer
    return json.dumps(value, ensure_ascii=False)
