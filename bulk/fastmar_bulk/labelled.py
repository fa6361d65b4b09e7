"""The answers of several models to the rows of the same labelled files."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastmar_bulk.parallel import map_in_order
from fastmar_bulk.records import PATH
from fastmar_bulk.scorer import Scorer, open_scorer, rows_a_chunk
from fastmar_bulk.sources import Chunk, Reading, Source, find_files, open_source, table_errors
from fastmar_bulk.stores import local_path
from fastmar_bulk.tables import Table
from fastmar_client.errors import CsvUnreadable
from fastmar_contract.csv_rows import UTF8
from fastmar_contract.machine import usable_cores
from fastmar_runtime.answers import load_decoder
from fastmar_runtime.predictor import Predictor


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """A row of a file.

    Attributes:
        labels: the value of each column of labels, by its name; None for a row that can't be read.
        answers: the answers of each model, as `Predictor.predict` returns them.
    """

    labels: dict[str, Any] | None
    answers: tuple[dict[str, Any], ...]


def answer_labelled(
    predictors: Sequence[Predictor],
    table: str,
    labels: Sequence[str],
    *,
    column: str | None = None,
    encoding: str = UTF8,
) -> Iterator[LabelledRow]:
    """The labels of each row, and the answers of each model to it, in the order of the rows.

    A folder of pictures has one folder for each label: the label of a picture is the name of the folder that it is in.

    Args:
        predictors: models of the same kind.
        table: a path or URL, a folder, a pattern, or "-" for standard input; see `files.score_files`.
        labels: columns of labels.
        column: the column with the pictures or texts; None for the default, see `records.choose_columns`.
        encoding: the encoding of a table in CSV.

    Raises:
        CsvUnreadable: a table can't be read, or does not have a column of labels or one that a model needs.
    """
    spec = predictors[0].spec
    reading = Reading(spec, min(map(rows_a_chunk, predictors)), encoding, column)
    models = [_Model(predictor, column) for predictor in predictors]

    def answer(chunk: Chunk) -> list[LabelledRow]:
        part = chunk.load()
        found = [_labels(part, name) for name in labels]
        values = [dict(zip(labels, row, strict=True)) for row in zip(*found, strict=True)]
        answers = zip(*(model.answers(part) for model in models), strict=True)
        rows = zip(values, answers, strict=True)
        return [LabelledRow(None if at in part.faults else row, each) for at, (row, each) in enumerate(rows)]

    files = find_files(local_path(table), spec)
    for _, rows in map_in_order(answer, _chunks(files, reading, models, labels), usable_cores()):
        yield from rows


class _Model:
    def __init__(self, predictor: Predictor, column: str | None) -> None:
        self._predictor = predictor
        self._column = column
        self._decode = load_decoder(predictor.spec.decode)
        self._scorer: Scorer | None = None

    def open(self, names: Sequence[str], path: str) -> Sequence[str]:
        """The columns that the model reads of a table with these columns."""
        with table_errors():
            if self._scorer is None:
                self._scorer = open_scorer(self._predictor, self._column, names, path)
            self._scorer.check(names, path)
        return self._scorer.wanted

    def answers(self, table: Table) -> list[dict[str, Any]]:
        assert self._scorer is not None  # noqa: S101 - `open` comes first
        scored = self._scorer(table)
        answered = [row for row in range(scored.size) if row not in scored.errors]
        geometries = [scored.geometries[row] for row in answered] if scored.geometries else ()
        decoded = dict(zip(answered, self._decode(scored.output[answered], geometries), strict=True))
        return [decoded[row] if row in decoded else scored.errors[row].as_dict() for row in range(scored.size)]


def _chunks(
    files: Sequence[str], reading: Reading, models: Sequence[_Model], labels: Sequence[str]
) -> Generator[Chunk, None, None]:
    for path in files:
        with closing(open_source(path, reading)) as source:
            _check_labels(source, path, labels)
            wanted = [name for model in models for name in model.open(source.names, path)]
            yield from source.chunks([*wanted, *labels])


def _check_labels(source: Source, path: str, labels: Sequence[str]) -> None:
    absent = [name for name in labels if name not in source.names]
    if absent and not _is_folder_of_pictures(source.names, labels):
        raise CsvUnreadable(
            f"{path} has no column {absent[0]!r} with the labels.",
            fix=f"name the column with --column; the table has {', '.join(source.names)}.",
            code="missing_column",
        )


def _is_folder_of_pictures(names: Sequence[str], labels: Sequence[str]) -> bool:
    return tuple(names) == (PATH,) and len(labels) == 1


def _labels(table: Table, name: str) -> list[Any]:
    """The values of a column of labels."""
    if name in table.columns:
        return _values(table, name)
    return [Path(path).parent.name for path in _values(table, PATH)]


def _values(table: Table, name: str) -> list[Any]:
    values = table.columns[name]
    return values if isinstance(values, list) else values.to_pylist()
