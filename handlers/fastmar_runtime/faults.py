"""All faults of a record in one error, so that its sender can mend them at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastmar_contract.errors import RecordError

MISSING_COLUMN = "missing_column"
_NAMED = 20  # columns that a message names
_SENTENCES = 10  # other faults that a message describes


class MissingColumn(RecordError):
    """A column that the record does not have.

    Attributes:
        nullable: whether null may stand in its place.
        near: a name in the record that is probably this column's, misspelled; or None.
    """

    code = "missing_column"

    def __init__(self, field: str, *, nullable: bool, near: str | None = None) -> None:
        or_null = ", or null if it is not known" if nullable else ""
        fix = f"send a value for {field!r}{or_null}." if near is None else f"rename {near!r} to {field!r}."
        super().__init__(MISSING_COLUMN, f"the record has no {field!r}.", fix=fix, field=field)
        self.nullable = nullable
        self.near = near


def combined(faults: Sequence[RecordError]) -> RecordError:
    """One error for all `faults` of a record, of which there is at least one; missing columns share a sentence."""
    if len(faults) == 1:
        return faults[0]
    missing = [fault for fault in faults if isinstance(fault, MissingColumn)]
    messages: dict[str, None] = {}  # in order, and each once
    fixes: dict[str, None] = {}
    described = 0
    named = False
    for fault in faults:
        if isinstance(fault, MissingColumn):
            if named:
                continue
            named = True
            messages[f"the record has no {listed(m.field for m in missing)}."] = None
            fixes |= dict.fromkeys(_missing_fixes(missing))
        elif described < _SENTENCES:
            described += 1
            messages[fault.message] = None
            fixes[fault.fix] = None
    if more := len(faults) - len(missing) - described:
        messages[f"{more} more values can't be read."] = None
    first = faults[0]
    return RecordError(first.code, _joined(messages), fix=_joined(fixes), field=first.field, faults=faults)


def joined(known: RecordError, later: RecordError) -> RecordError:
    """`known`, what was found in a record before, with what a later step found in another column of it.

    A second fault of the same column follows from the first, and so does any of a record that could not be read at all.
    """
    faults = known.faults or (known,)
    fields = {fault.field for fault in faults}
    if later.field is None or later.field in fields or None in fields:
        return known
    return combined([*faults, later])


def listed(names: Iterable[object]) -> str:
    """Names for a message: ``'a', 'b' and 'c'``; of many the first ones, and how many more there are."""
    quoted = [repr(name) for name in names]
    shown, last = (quoted[:-1], quoted[-1]) if len(quoted) <= _NAMED else (quoted[:_NAMED], "")
    last = last or f"{len(quoted) - _NAMED} more"
    return f"{', '.join(shown)} and {last}" if shown else last


def _missing_fixes(missing: Sequence[MissingColumn]) -> list[str]:
    fixes = [fault.fix for fault in missing if fault.near is not None][:_NAMED]
    unsent = [fault for fault in missing if fault.near is None]
    if len(unsent) == 1:
        fixes.append(unsent[0].fix)
    elif unsent:
        nullable = [fault.field for fault in unsent if fault.nullable]
        or_null = ""
        if len(nullable) == len(unsent):
            or_null = ", or null where it is not known"
        elif nullable:
            or_null = f"; null is accepted for {listed(nullable)}"
        each = "each of these columns" if not fixes else "each other missing column"
        fixes.append(f"send a value for {each}{or_null}.")
    return fixes


def _joined(sentences: Iterable[str]) -> str:
    first, *others = sentences
    return " ".join([first, *(other[:1].upper() + other[1:] for other in others)])
