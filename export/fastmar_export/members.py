"""What a user's class defines, as far as the pickle shows it: cloudpickle writes classes of a notebook out."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fastmar_export.reader import Record, bases_of, path_of
from fastmar_export.reader.records import is_written_out

_DEEPEST = 16  # bases of bases


def written_members(instance: Any, known: Collection[str]) -> set[str] | None:
    """Names that the class of `instance` and its bases define, apart from bases in `known`.

    None where a class on the way is only named in the pickle, so that nobody can tell what it does.
    """
    return _members(instance.callee, known, 0) if isinstance(instance, Record) else None


def _members(cls: Any, known: Collection[str], depth: int) -> set[str] | None:
    if path_of(cls) in known:
        return set()
    if depth > _DEEPEST or not is_written_out(cls):
        return None
    found = {str(name) for name in cls.attrs}
    for base in bases_of(cls):
        inherited = _members(base, known, depth + 1)
        if inherited is None:
            return None
        found |= inherited
    return found
