"""Lists the names that a user's class defines, if cloudpickle pickled the class by value, as it does in notebooks."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fastmar_export.reader import Record, bases_of, path_of
from fastmar_export.reader.records import is_pickled_by_value

_MAX_DEPTH = 16  # of the class hierarchy


def defined_members(instance: Any, known: Collection[str]) -> set[str] | None:
    """Names that the class of `instance` and its bases define, except bases in `known`.

    None if one of these classes is pickled by reference, so that its members are unknown.
    """
    return _members(instance.callee, known, 0) if isinstance(instance, Record) else None


def _members(cls: Any, known: Collection[str], depth: int) -> set[str] | None:
    if path_of(cls) in known:
        return set()
    if depth > _MAX_DEPTH or not is_pickled_by_value(cls):
        return None
    found = {str(name) for name in cls.attrs}
    for base in bases_of(cls):
        inherited = _members(base, known, depth + 1)
        if inherited is None:
            return None
        found |= inherited
    return found
