"""How large plain data would be if nothing in it were shared.

Sixty bytes of pickle make nested tuples of 2**40 elements, each of which holds the next one twice. Such data takes no
memory, but printing, comparing or converting it takes for ever, and deep nesting overflows the interpreter's stack.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .limits import Limits, too_much
from .records import Record

_CONTAINERS = frozenset({list, tuple, dict, set, frozenset})
_MEASURED = _CONTAINERS | {np.ndarray, Record}
_Measure = tuple[int, int]  # elements and levels


def check_unfolded(root: Any, limits: Limits, pickle_bytes: int) -> None:
    """Raise `HostileFile` where lists, tuples, dicts and sets are too deep, hold themselves, or unfold too far.

    Records count as one element: what they hold is measured by itself.
    """
    most = limits.spare_elements + limits.unfolded_elements * pickle_bytes
    measured: dict[int, _Measure | None] = {}
    seen, pending = {id(root)}, [root]
    while pending:
        thing = pending.pop()
        parts = _record_parts(thing) if isinstance(thing, Record) else (thing,)
        for part in parts:
            if _is_container(part):
                for record in _measure(part, measured, limits, most):
                    if id(record) not in seen:
                        seen.add(id(record))
                        pending.append(record)
            elif isinstance(part, Record) and id(part) not in seen:
                seen.add(id(part))
                pending.append(part)


def _measure(start: Any, measured: dict[int, _Measure | None], limits: Limits, most: int) -> list[Record]:
    """Measure `start` and what is below it; the value is the records that were met."""
    records: list[Record] = []
    stack: list[tuple[Any, list[Any] | None]] = [(start, None)]
    while stack:
        thing, inner = stack.pop()
        if inner is not None:
            measured[id(thing)] = _sum(len(_elements(thing)), inner, measured, limits, most)
        elif id(thing) not in measured:
            measured[id(thing)] = None  # until everything below it is measured
            parts = [part for part in _elements(thing) if type(part) in _MEASURED and _holds_others(part)]
            records += [part for part in parts if type(part) is Record]
            inner = [part for part in parts if type(part) is not Record]
            stack.append((thing, inner))
            stack += [(part, None) for part in inner]
    return records


def _sum(size: int, inner: list[Any], measured: dict[int, _Measure | None], limits: Limits, most: int) -> _Measure:
    levels = 0
    for part in inner:
        below = measured[id(part)]
        if below is None:
            raise too_much("lists and tuples that hold themselves", "levels", limits.levels)
        size += below[0]
        levels = max(levels, below[1])
    if levels >= limits.levels:
        raise too_much("lists and tuples within each other", "levels", limits.levels)
    if size > most:
        raise too_much("lists and tuples, each counted as often as it is used,", "elements", most)
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
        return thing.values()  # keys are bounded when they enter
    return thing.reshape(-1) if type(thing) is np.ndarray else thing


def _record_parts(record: Record) -> tuple[Any, ...]:
    values = [value for _, value in record.entries]
    return record.callee, record.state, record.args, record.kwargs, record.items, values
