"""Wrappers around a network or layer that compute what the layer inside computes."""

from __future__ import annotations

from typing import Any

from fastmar_export.reader import Record

_CHILD = {
    "torch.nn.parallel.data_parallel.DataParallel": "module",
    "torch.nn.parallel.distributed.DistributedDataParallel": "module",
    "torch._dynamo.eval_frame.OptimizedModule": "_orig_mod",  # what torch.compile returns
}


def unwrapped(record: Any) -> Any:
    """The record inside of all wrappers, or `record` itself."""
    while isinstance(record, Record) and record.path in _CHILD:
        modules = record.get("_modules")
        if isinstance(modules, dict):
            record = modules.get(_CHILD[record.path])
        else:  # torch's newer versions pickle a compiled module as a call with the original
            record = record.args[0] if record.args else None
    return record
