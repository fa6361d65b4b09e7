"""Scores DataFrames of Spark with an archive."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastmar._extras import extra

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

    from fastmar_bulk.spark import Scorer


def scorer(
    path: str | os.PathLike[str],
    schema: StructType,
    *,
    column: str | None = None,
    keep: str | Sequence[str] = "all",
    columns: Sequence[str] | None = None,
    errors: str = "column",
) -> Scorer:
    """A function from a DataFrame of Spark to its answers, which are the columns of `Model.score`.

        people = spark.read.parquet("people.parquet")
        score = fastmar.spark.scorer("model_store/adult.mar", people.schema, keep=["id"])
        scored = score(people)

    It is also a function for the batches of `mapInArrow` and `mapInPandas`, where `score.schema` is the schema of the
    result:

        scored = people.mapInArrow(score, score.schema)

    `score(people)` is faster, because only the columns that the model reads or that are kept are sent to Python.

    The function contains the bytes of the archive: only the driver needs the file. Each Python worker opens the model
    once, checks that its machine reproduces the recorded answers, and scores with one thread. Each node needs fastmar
    with the extra `spark`.

    Args:
        path: the archive (`.mar`).
        schema: the schema of the DataFrame: `people.schema`.
        column: the column with the pictures or texts; see `Model.score`. Each node needs the files
            of a column of paths.
        keep: columns of the DataFrame in the result: "all", or names.
        columns: columns of answers in the result; see `Model.score`.
        errors: "column": the result has the errors of rows that can't be scored; "fail": the first one of a batch fails
            the job.

    Raises:
        BundleError: the archive can't be read, or does not reproduce the recorded answers; from
            `fastmar_runtime.errors`.
        TableUnreadable: `schema` does not have a column that the model needs, or not a column of `keep`; the model's
            answers can't be columns of a table, or `path` is a folder; from `fastmar_contract.errors`.
        ModuleNotFoundError: Spark is not installed.
    """
    with extra("fastmar.spark", "spark"):
        from fastmar_bulk.portable import PortableScorer  # noqa: PLC0415
        from fastmar_bulk.spark import scorer_of  # noqa: PLC0415
    return scorer_of(PortableScorer.read(path, column=column, keep=keep, columns=columns, errors=errors), schema)
