"""Reports columns of tables that a model does not use."""

from __future__ import annotations

from collections.abc import Sequence

from fastmar_bulk.layout import Options
from fastmar_bulk.scorer import Scorer
from fastmar_client.schema import Schema
from fastmar_client.scoring import report_unused
from fastmar_runtime.schema import describe
from fastmar_runtime.spec import Spec


class UnusedColumns:
    """Reports them once for tables with the same columns; not those that the options name for the output."""

    def __init__(self, spec: Spec, scorer: Scorer, options: Options) -> None:
        chosen = [] if options.keep is None else [options.keep] if isinstance(options.keep, str) else options.keep
        self._schema = Schema(describe(spec))
        self._known = {*scorer.wanted, *chosen, *(options.columns or ())}
        self._reported: set[tuple[str, ...]] = set()

    def report(self, names: Sequence[str], table: str) -> None:
        """Report those of a table with the columns `names`."""
        if tuple(names) not in self._reported:
            self._reported.add(tuple(names))
            report_unused(self._schema, [name for name in names if name not in self._known], table)
