"""Limits the size that plain data would have if no element were shared.

Sixty bytes of pickle can make nested tuples with 2**40 elements, where each tuple contains the next one twice. Such
data needs little memory, but printing, comparing or converting it takes forever, and deep nesting overflows the
interpreter's stack.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .limits import Limits, limit_exceeded
from .records import Record

_CONTAINERS = frozenset({list, tuple, dict, set, frozenset})
_MEASURED = _CONTAINERS | {np.ndarray, Record}
_Measure = tuple[int, int]  # elements and levels


def check_unfolded(root: Any, limits: Limits, pickle_bytes: int) -> None:
    """Check the nesting depth and the unfolded size of all lists, tuples, dicts and sets.

    A record counts as one element; its content is measured separately.

    Raises:
        HostileFile: a container is nested too deeply, is too large, or contains itself.
    """
    max_elements = limits.spare_elements + limits.unfolded_elements * pickle_bytes
    measured: dict[int, _Measure | None] = {}
    seen, pending = {id(root)}, [root]
    while pending:
        thing = pending.pop()
        parts = _record_parts(thing) if isinstance(thing, Record) else (thing,)
        for part in parts:
            if _is_container(part):
                for record in _measure(part, measured, limits, max_elements):
                    if id(record) not in seen:
                        seen.add(id(record))
                        pending.append(record)
            elif isinstance(part, Record) and id(part) not in seen:
                seen.add(id(part))
                pending.append(part)


def _measure(start: Any, measured: dict[int, _Measure | None], limits: Limits, max_elements: int) -> list[Record]:
    """Measure `start` and everything below it, and return the records in it."""
    records: list[Record] = []
    stack: list[tuple[Any, list[Any] | None]] = [(start, None)]
    while stack:
        thing, inner = stack.pop()
        if inner is not None:
            measured[id(thing)] = _sum(len(_elements(thing)), inner, measured, limits, max_elements)
        elif id(thing) not in measured:
            measured[id(thing)] = None  # until everything below it is measured
            parts = [part for part in _elements(thing) if type(part) in _MEASURED and _holds_others(part)]
            records += [part for part in parts if type(part) is Record]
            inner = [part for part in parts if type(part) is not Record]
            stack.append((thing, inner))
            stack += [(part, None) for part in inner]
    return records


def _sum(
    size: int, inner: list[Any], measured: dict[int, _Measure | None], limits: Limits, max_elements: int
) -> _Measure:
    levels = 0
    for part in inner:
        below = measured[id(part)]
        if below is None:
            raise limit_exceeded("the nesting of a list or tuple that contains itself", f"{limits.levels} levels")
        size += below[0]
        levels = max(levels, below[1])
    if levels >= limits.levels:
        raise limit_exceeded("the nesting of lists and tuples", f"{limits.levels} levels")
    if size > max_elements:
        raise limit_exceeded("the size of lists and tuples, with repeated elements,", f"{max_elements:,} elements")
    return size, levels + 1


def _holds_others(thing: Any) -> bool:
    kind = type(thing)
    if kind in _CONTAINERS:
        return bool(thing)
    return kind is Record or (thing.dtype.hasobject and thing.size > 0)


def _is_container(thing: Any) -> bool:
    return type(thing) in _MEASURED and type(thing) is not Record and _holds_others(thing)


def _elements(thing: Any) -> Any:
    if type(thing) is dict:
        return thing.values()  # keys are checked when they are added
    return thing.reshape(-1) if type(thing) is np.ndarray else thing


def _record_parts(record: Record) -> tuple[Any, ...]:
    values = [value for _, value in record.entries]
    return record.callee, record.state, record.args, record.kwargs, record.items, values
