"""ReadTabBatch: the columns of the network's inputs."""

from __future__ import annotations

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.modalities.tabular.table import TABLE, Table
from fastmar_export.reader import Record


@converter("fastai.tabular.core.ReadTabBatch", domain=TABLE)
def read_tab_batch(record: Record, where: str, table: Table) -> State:  # noqa: ARG001
    """``{"cats": [column], "conts": [column]}`` in the network's order."""
    return {"step": "read_tab_batch", "cats": list(table.cats), "conts": list(table.conts)}
