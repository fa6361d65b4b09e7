"""Combines all faults of a record in one error, so that the sender can fix them together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from fastmar_contract.date_parts import add_datepart_fix, date_of
from fastmar_contract.errors import RecordError
from fastmar_contract.similar import SimilarNames

MISSING_COLUMN = "missing_column"
_MAX_NAMED = 20  # columns in a message
_MAX_SENTENCES = 10  # other faults in a message


class MissingColumn(RecordError):
    """A column that the record does not have.

    Attributes:
        nullable: whether null is accepted.
        near: a name in the record that is probably a misspelling of this column, or None.
        date: a name in the record that is probably the date of which this column is a part, or None.
    """

    code = "missing_column"

    def __init__(self, field: str, *, nullable: bool, near: str | None = None, date: str | None = None) -> None:
        if date is not None:
            fix = add_datepart_fix(date, repr(field))
        elif near is not None:
            fix = f"rename {near!r} to {field!r}."
        else:
            or_null = ", or null if it is not known" if nullable else ""
            fix = f"send a value for {field!r}{or_null}."
        super().__init__(MISSING_COLUMN, f"the record has no {field!r}.", fix=fix, field=field)
        self.nullable = nullable
        self.near = near
        self.date = date

    def explained_by(self, unused: Sequence[str], similar: SimilarNames) -> MissingColumn:
        """This error, with the one of the `unused` names that explains it, if there is one."""
        name = str(self.field)
        date = date_of(name, unused)
        near = similar.closest(name) if date is None else None
        return MissingColumn(name, nullable=self.nullable, near=near, date=date)

    @property
    def source(self) -> str | None:
        """The name in the record that explains why this column is missing, or None."""
        return self.near if self.date is None else self.date


def suggest_names(
    faults: Sequence[RecordError], unused: Sequence[str], *, may_search: Callable[[], bool] = lambda: True
) -> list[RecordError]:
    """`faults`, with the one of the `unused` names added that each missing column is misspelled as, or is a part of.

    `may_search` is called before each search, which is slow if there are many names.
    """
    names = SimilarNames(unused)
    return [
        fault.explained_by(unused, names)
        if unused and isinstance(fault, MissingColumn) and fault.source is None and may_search()
        else fault
        for fault in faults
    ]


def combine(faults: Sequence[RecordError]) -> RecordError:
    """One error for all `faults` of a record (at least one); missing columns share a sentence."""
    if len(faults) == 1:
        return faults[0]
    missing = [fault for fault in faults if isinstance(fault, MissingColumn)]
    messages: dict[str, None] = {}  # used as an ordered set
    fixes: dict[str, None] = {}
    described = 0
    named = False
    for fault in faults:
        if isinstance(fault, MissingColumn):
            if named:
                continue
            named = True
            messages[f"the record has no {list_names(m.field for m in missing)}."] = None
            fixes |= dict.fromkeys(_missing_fixes(missing))
        elif described < _MAX_SENTENCES:
            described += 1
            messages[fault.message] = None
            fixes[fault.fix] = None
    if more := len(faults) - len(missing) - described:
        messages[f"{more} more values are invalid."] = None
    first = faults[0]
    return RecordError(
        first.code, _join_sentences(messages), fix=_join_sentences(fixes), field=first.field, faults=faults
    )


def add_fault(known: RecordError, later: RecordError) -> RecordError:
    """The error `known` of a record, with the fault that a `later` step found.

    The later fault is ignored if its column already has a fault, or if the whole record could not be read: then it is a
    consequence.
    """
    faults = known.faults or (known,)
    fields = {fault.field for fault in faults}
    if later.field is None or later.field in fields or None in fields:
        return known
    return combine([*faults, later])


def list_names(names: Iterable[object]) -> str:
    """Names for a message: ``'a', 'b' and 'c'``; a long list ends with the number of further names."""
    quoted = [repr(name) for name in names]
    first, last = (quoted[:-1], quoted[-1]) if len(quoted) <= _MAX_NAMED else (quoted[:_MAX_NAMED], "")
    last = last or f"{len(quoted) - _MAX_NAMED} more"
    return f"{', '.join(first)} and {last}" if first else last


def _missing_fixes(missing: Sequence[MissingColumn]) -> list[str]:
    fixes = [fault.fix for fault in missing if fault.near is not None][:_MAX_NAMED]
    for date in dict.fromkeys(fault.date for fault in missing if fault.date is not None):
        fixes.append(add_datepart_fix(date, list_names(fault.field for fault in missing if fault.date == date)))
    unsent = [fault for fault in missing if fault.source is None]
    if len(unsent) == 1:
        fixes.append(unsent[0].fix)
    elif unsent:
        nullable = [fault.field for fault in unsent if fault.nullable]
        or_null = ""
        if len(nullable) == len(unsent):
            or_null = ", or null if it is not known"
        elif nullable:
            or_null = f"; null is accepted for {list_names(nullable)}"
        each = "each of these columns" if not fixes else "each other missing column"
        fixes.append(f"send a value for {each}{or_null}.")
    return fixes


def _join_sentences(sentences: Iterable[str]) -> str:
    first, *others = sentences
    return " ".join([first, *(other[:1].upper() + other[1:] for other in others)])
