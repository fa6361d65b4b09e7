"""Scores DataFrames of Spark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
from pyspark.sql.types import MapType, StructType

from fastmar_bulk.in_memory import select
from fastmar_bulk.portable import PortableScorer, TableFunction
from fastmar_contract.errors import RecordError

_OPEN_MODELS = 4  # of a Python worker, which runs tasks of one job after another
_opened: dict[str, TableFunction] = {}
"""The functions of this Python worker, by the key of their `Scorer`."""


@dataclass(frozen=True)
class Scorer:
    """A function for DataFrames, and for the batches of `mapInArrow` and `mapInPandas`. It can be pickled.

    Attributes:
        schema: the schema of the result. Answers have the Spark types that correspond to those in Arrow tables.
        inputs: columns of the DataFrame that are read or kept.
    """

    schema: StructType
    inputs: tuple[str, ...]
    _maps: tuple[str, ...] = field(repr=False)  # answers that are maps
    _portable: PortableScorer = field(repr=False)
    _key: str = field(repr=False)

    def __call__(self, data: Any) -> Any:
        """Score a DataFrame, which can be a stream, or the batches of a partition.

        Args:
            data: a DataFrame of Spark, or an iterator of record batches of Arrow or of DataFrames of pandas.

        Returns:
            The same kind of object.
        """
        if isinstance(data, DataFrame):
            # Spark's `mapInArrow` can't have columns with points in their names.
            numbered = (data[_quoted(name)].alias(str(number)) for number, name in enumerate(self.inputs))
            return data.select(*numbered).mapInArrow(self._score_numbered, self.schema)
        return self._score(data)

    def _score_numbered(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return self._score(batch.rename_columns(list(self.inputs)) for batch in batches)

    def _score(self, batches: Iterator[Any]) -> Iterator[Any]:
        score = self._open()
        done = 0
        for batch in batches:
            try:
                scored = score(batch)
            except RecordError as error:
                error.add_note(f"Row 1 of the batch is row {done + 1} of the partition.")
                raise
            done += len(batch)
            if isinstance(scored, pa.Table):
                yield from _plain(scored).to_batches()
            else:
                yield scored.assign(**{name: scored[name].map(dict, na_action="ignore") for name in self._maps})

    def _open(self) -> TableFunction:
        if self._key not in _opened:
            if len(_opened) == _OPEN_MODELS:
                del _opened[next(iter(_opened))]
            _opened[self._key] = self._portable.open()
        return _opened[self._key]


def scorer_of(portable: PortableScorer, schema: StructType) -> Scorer:
    """The function for DataFrames with a schema.

    Raises:
        TableUnreadable: a column is missing or unknown, or the model does not read tables.
    """
    inputs = portable.inputs(schema.names)
    kept = select(portable.keep, schema.names)
    table = to_arrow_schema(StructType([column for column in schema if column.name in inputs]), timezone="UTC")
    answers = from_arrow_schema(portable.output(table)).fields[len(kept) :]
    maps = tuple(column.name for column in answers if isinstance(column.dataType, MapType))
    options = repr(replace(portable, archive=b"")).encode()
    key = sha256(sha256(portable.archive).digest() + options).hexdigest()
    return Scorer(StructType([schema[name] for name in kept] + answers), tuple(inputs), maps, portable, key)


def _quoted(name: str) -> str:
    """Spark reads a point in an unquoted name as a field of a column."""
    return f"`{name.replace('`', '``')}`"


def _plain(table: pa.Table) -> pa.Table:
    """The table without types that Spark does not read: dictionaries and lists of a fixed size."""
    columns = []
    for column in table.schema:
        kind = column.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        elif pa.types.is_fixed_size_list(kind):
            kind = pa.list_(kind.value_type)
        columns.append(column.with_type(kind))
    return table.cast(pa.schema(columns))
