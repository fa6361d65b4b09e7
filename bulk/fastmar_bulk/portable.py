"""Scoring with an archive in other processes and on other machines, such as the workers of Ray and Spark."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from fastmar_bulk.in_memory import ALL, COLUMN, FrameScorer, check_errors, select
from fastmar_bulk.scorer import open_scorer
from fastmar_contract.errors import TableUnreadable
from fastmar_runtime.bundle import BundleFiles
from fastmar_runtime.golden import replay_golden
from fastmar_runtime.predictor import Predictor

TableFunction: TypeAlias = Callable[[pa.Table], pa.Table]


@dataclass(frozen=True)
class PortableScorer:
    """An archive and options, which can be pickled. Each process opens the model once; sessions are never pickled.

    Attributes:
        archive: the bytes of the archive.
        column, keep, columns, errors: see `fastmar.Model.score`.
    """

    archive: bytes = field(repr=False)
    column: str | None = None
    keep: str | Sequence[str] = ALL
    columns: Sequence[str] | None = None
    errors: str = COLUMN

    @classmethod
    def read(
        cls,
        path: str | os.PathLike[str],
        *,
        column: str | None = None,
        keep: str | Sequence[str] = ALL,
        columns: Sequence[str] | None = None,
        errors: str = COLUMN,
    ) -> PortableScorer:
        """Read an archive, and check that it can be used.

        Raises:
            BundleError: the archive can't be read, or does not reproduce the recorded answers; from
                `fastmar_runtime.errors`.
            TableUnreadable: `path` is a folder, or the model's answers can't be columns of a table.
            ValueError: `errors` is unknown.
        """
        check_errors(errors)
        if Path(path).is_dir():
            raise TableUnreadable(
                f"{path} is a folder, which can't be sent to other processes.",
                fix="pass the archive (.mar).",
                code="not_an_archive",
            )
        BundleFiles(Path(path)).check()
        scorer = cls(Path(path).read_bytes(), column, keep, columns, errors)
        scorer.open()
        return scorer

    def open(self, workers: int = 1) -> TableFunction:
        """Open the model in this process, and check that it reproduces the recorded answers.

        Args:
            workers: number of threads.

        Returns:
            A function from a table to that of the answers, as `fastmar.Model.score`.

        Raises:
            TableUnreadable: the model's answers can't be columns of a table.
            GoldenMismatch: this machine does not reproduce the recorded answers; from `fastmar_runtime.errors`.
        """
        return partial(
            FrameScorer(self._predictor),
            column=self.column,
            keep=self.keep,
            columns=self.columns,
            errors=self.errors,
            workers=workers,
        )

    def output(self, table: pa.Schema) -> pa.Schema:
        """The columns of the answers to a table with the columns `table`.

        Raises:
            TableUnreadable: a column is missing or unknown, or the model's answers can't be columns of a table.
        """
        return self.open()(table.empty_table()).schema

    def inputs(self, names: Sequence[str]) -> list[str]:
        """The columns that are read or kept of a table with the columns `names`, in its order.

        Raises:
            TableUnreadable: a column is missing or unknown.
        """
        scorer = open_scorer(self._predictor, self.column, names, "the table")
        used = {*scorer.wanted, *select(self.keep, names)}
        return [name for name in names if name in used]

    def __getstate__(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}  # without the opened model

    @cached_property
    def _predictor(self) -> Predictor:
        with tempfile.TemporaryDirectory(prefix="fastmar-") as folder:
            path = Path(folder, "model.mar")
            path.write_bytes(self.archive)
            predictor = Predictor.open(path)
            replay_golden(predictor)
        return predictor
