"""The output of a run on Ray: a folder of Parquet files, one per block of rows."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from ray.data import Datasink
from ray.data.block import BlockAccessor

from fastmar_bulk.layout import FAIL, SEPARATE, Layout
from fastmar_bulk.outputs import errors_file, first_refused, refused_rows, taken
from fastmar_bulk.parts import write_errors
from fastmar_bulk.sinks import CsvFormat, Rows
from fastmar_bulk.sinks.arrow_file import open_sink
from fastmar_bulk.stores import store_of
from fastmar_bulk.tables import Table
from fastmar_client.csv_answers import ERROR, WARNINGS
from fastmar_client.errors import CsvUnwritable
from fastmar_client.scoring import Scored

COMPLETE = "_SUCCESS"  # an empty file, which is written last
_OURS = re.compile(r"part-\d+\.parquet|_SUCCESS")


class Folder:
    """A folder with a path or a URL.

    Attributes:
        name: the path or the URL.
    """

    def __init__(self, name: str) -> None:
        """Open the store of `name`.

        Raises:
            CsvUnreadable: no installed package opens the URL.
        """
        self.name = name.rstrip("/")
        self._store = store_of(self.name)

    def prepare(self, *, overwrite: bool) -> None:
        """Create the folder, and remove the files of an earlier run.

        Raises:
            CsvUnwritable: it is a file, has files of an earlier run without `overwrite`, or has other files.
        """
        system, path = self._store.system, self._store.path
        with write_errors(self.name):
            if system.isfile(path):
                raise CsvUnwritable(f"{self.name} is a file.", fix="choose a folder.", code="not_a_folder")
            system.makedirs(path, exist_ok=True)
            found = [each.rstrip("/").rpartition("/")[2] for each in system.ls(path, detail=False)]
            if others := sorted(name for name in found if not _OURS.fullmatch(name)):
                raise CsvUnwritable(
                    f"{self.name} has other files, such as {others[0]}.", fix="choose a new folder.", code="file_exists"
                )
            if found and not overwrite:
                raise CsvUnwritable(
                    f"{self.name} already exists.",
                    fix="choose another folder, or replace its files with --force.",
                    code="file_exists",
                )
            for name in found:
                system.rm_file(f"{path}/{name}")

    def write(self, name: str, rows: Rows) -> None:
        """Write a Parquet file, which replaces that of an earlier attempt."""
        with write_errors(self.name), self._open(name) as file:
            sink = open_sink("part.parquet", file, CsvFormat())
            sink.write(rows)
            sink.close()

    def complete(self) -> None:
        """Mark the folder as complete."""
        with write_errors(self.name), self._open(COMPLETE):
            pass

    def _open(self, name: str) -> Any:
        return self._store.system.open(f"{self._store.path}/{name}", "wb")


class AnswersDatasink(Datasink):  # type: ignore[misc] # Ray's types are not checked
    """Writes the blocks of `actor_class` in the columns of a layout, and counts their rows.

    Attributes:
        scored: the numbers of rows, when the run is complete.
    """

    def __init__(
        self, target: Folder, layout: Layout, names: Sequence[str], coded: Container[str], errors: str
    ) -> None:
        """Write to `target`.

        Args:
            target: an empty folder.
            layout: the layout of the files.
            names: the names of the columns of answers in the blocks, which follow the kept columns.
            coded: columns whose large strings become strings, as where one process reads them.
            errors: see `fastmar_bulk.layout.Options`.
        """
        self._folders = [target]
        if errors == SEPARATE:
            self._folders.append(Folder(errors_file(target.name)))
        self._layout = layout
        self._names = names
        self._coded = coded
        self._errors = errors
        self.scored = Scored(0, 0, 0, 0, 1.0)

    def prepare(self, *, overwrite: bool) -> None:
        """See `Folder.prepare`."""
        for folder in self._folders:
            folder.prepare(overwrite=overwrite)

    def write(self, blocks: Iterable[Any], ctx: Any) -> Mapping[str, int]:
        """Write the file of a task. Its name is the task's number, so that another attempt replaces it."""
        table = pa.concat_tables([BlockAccessor.for_block(block).to_arrow() for block in blocks])
        if not table.num_rows:
            return {"rows": 0, "errors": 0, "warned": 0}
        name = f"part-{ctx.task_idx:06}.parquet"
        kept = len(self._layout.kept)
        columns = {name: self._kept(name, table[at]) for at, name in enumerate(self._layout.kept)}
        answers = pa.table(table.columns[kept:], names=self._names)
        rows = self._layout.rows(Table(columns, table.num_rows), answers)
        error = answers[ERROR].combine_chunks()
        failed = len(error) - error.null_count
        if failed and self._errors == FAIL:
            raise first_refused(answers, lambda row: f"row {row + 1} of {name}")
        if failed and self._errors == SEPARATE:
            self._folders[1].write(name, refused_rows(rows, answers))
            rows = {column: taken(values, answers[ERROR].is_null()) for column, values in rows.items()}
        self._folders[0].write(name, rows)
        return {"rows": table.num_rows, "errors": failed, "warned": table.num_rows - answers[WARNINGS].null_count}

    def _kept(self, name: str, column: pa.ChunkedArray) -> pa.Array:
        is_large = pa.types.is_large_string(column.type)
        return (column.cast(pa.string()) if is_large and name in self._coded else column).combine_chunks()

    def on_write_complete(self, write_result: Any) -> None:
        """Add up the numbers of rows, and mark the folders as complete."""
        counts = write_result.write_returns
        total = {name: sum(count[name] for count in counts) for name in ("rows", "errors", "warned")}
        self.scored = Scored(**total, resumed=0, share=1.0)
        for folder in self._folders:
            folder.complete()
