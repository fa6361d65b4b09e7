"""Wrappers around a network or layer that do not change its output."""

from __future__ import annotations

from typing import Any

from fastmar_export.reader import Record

_CHILD = {
    "torch.nn.parallel.data_parallel.DataParallel": "module",
    "torch.nn.parallel.distributed.DistributedDataParallel": "module",
    "torch._dynamo.eval_frame.OptimizedModule": "_orig_mod",  # the result of torch.compile
}


def unwrapped(record: Any) -> Any:
    """The record inside all wrappers; `record` itself if it is not a wrapper."""
    while isinstance(record, Record) and record.path in _CHILD:
        modules = record.get("_modules")
        if isinstance(modules, dict):
            record = modules.get(_CHILD[record.path])
        else:  # newer versions of torch pickle a compiled module as a call with the original module
            record = record.args[0] if record.args else None
    return record
