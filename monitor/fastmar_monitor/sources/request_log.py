"""The log of requests that workers write: JSON lines, or Parquet made from them, in a folder or an object store.

The logged values and answers are counted as the workers count them; no model is run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from fastmar_contract.request_log import FORMAT
from fastmar_monitor.errors import MonitorError, NoLiveData
from fastmar_monitor.sources.live import Live, Query, as_time, period_start
from fastmar_monitor.stores import LINES, PARQUET, ending, json_lines, open_files, parquet_rows
from fastmar_runtime.columns import MISSING, Columns, gather
from fastmar_runtime.profiles.counting import outcomes
from fastmar_runtime.profiles.profile import Profile, empty
from fastmar_runtime.profiles.variables import FIELD, MEASURE, SlotCounter
from fastmar_runtime.report import Report
from fastmar_runtime.spec import Field
from fastmar_runtime.steps import load_step
from fastmar_runtime.steps.add_datepart import AddDatepart

MEMBERS = ("format", "time", "model", "version", "record", "answer", "measures", "dropped", "hashed")
ADD_DATEPART = "add_datepart"
BATCH = 1000  # entries that are counted together
_HTTP = ("http://", "https://")


def matches(data: str) -> bool:
    """Whether the first file has entries of a log."""
    if data.startswith(_HTTP):
        return False
    try:
        first = next(_rows(data), None)
    except (ImportError, MonitorError):  # other sources report it
        return False
    return isinstance(first, dict) and first.get("format") == FORMAT


def read(query: Query) -> Live:
    """See `read_live`. The entries of other models are ignored; those of other versions are reported."""
    found = _Found(query)
    for row in _rows(query.data):
        found.add(row)
    found.count_all()
    if not found.rows:
        refused = f"; {found.refused:,} were refused" if found.refused else ""
        raise NoLiveData(
            f"{query.data} has no answered records of {query.spec.name} {query.spec.version}"
            f"{' since ' + query.since.isoformat() if query.since else ''}{refused}.",
            fix="pass the request log of this model and version.",
        )
    periods = tuple((start, counts.profile()) for start, counts in sorted(found.periods.items()))
    total = sum((profile for _, profile in periods), start=empty(query.reference.profile.variables))
    return Live(total, periods if query.by else (), found.refused, tuple(found.notices()), found.always_hidden())


def _rows(data: str) -> Iterator[Any]:
    """The entries of all files; None for a line that is no JSON."""
    for name, file in open_files(data, (*LINES, *PARQUET)):
        yield from parquet_rows(name, file, MEMBERS) if ending(name) in PARQUET else json_lines(file)


@dataclass(frozen=True, slots=True)
class _Entry:
    """An answered record.

    Attributes:
        record: its values by field.
        answer: the answer, with a prediction.
        measures: the measures by name.
    """

    record: dict[str, Any]
    answer: dict[str, Any]
    measures: dict[str, Any]


class _Counts:
    """The counts of a period."""

    def __init__(self, query: Query) -> None:
        self._variables = query.reference.profile.variables
        self._counters = [SlotCounter(variable) for variable in self._variables]
        self._rows = 0

    def add(self, entries: Sequence[_Entry], columns: dict[str, list[Any]]) -> None:
        """Add entries, and the checked values of the fields that they show."""
        self._rows += len(entries)
        for variable, counter in zip(self._variables, self._counters, strict=True):
            if variable.source == FIELD:
                values = columns.get(variable.name, [])
            elif variable.source == MEASURE:
                values = [each.measures.get(variable.name) for each in entries]
            else:
                values = outcomes([each.answer for each in entries], variable.source)
            counter.add(values)

    def profile(self) -> Profile:
        return Profile(self._variables, self._rows, tuple(counter.counts for counter in self._counters))


@dataclass
class _Found:
    """The entries of a model by period, and what was not read."""

    query: Query
    periods: dict[datetime, _Counts] = field(default_factory=dict)
    rows: int = 0
    refused: int = 0
    unreadable: int = 0
    other_answers: int = 0
    other_versions: Counter[str] = field(default_factory=Counter)
    hidden: Counter[str] = field(default_factory=Counter)
    hashed: set[str] = field(default_factory=set)
    _dates: list[AddDatepart] = field(init=False)
    _fields: list[Field] = field(init=False)  # that are counted, or from which columns are computed that are counted
    _waiting: dict[tuple[datetime, frozenset[str]], list[_Entry]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        counted = {each.name for each in self.query.reference.profile.variables if each.source == FIELD}
        spec = self.query.spec
        self._dates = [load_step(state) for state in spec.steps if state["step"] == ADD_DATEPART]
        for step in self._dates:
            counted |= {step.date, *step.columns}
        self._fields = [each for each in spec.fields if each.name in counted]

    def add(self, row: Any) -> None:
        """Add an entry, if it is one of the model."""
        spec = self.query.spec
        try:
            time, model, version = as_time(row["time"]), str(row["model"]), str(row["version"])
            answer = _object(row["answer"])
            if isinstance(answer.get("probabilities"), dict):
                answer["probabilities"] = _object(answer["probabilities"])
            hashed = row.get("hashed") or ()
            hidden = frozenset((*(row.get("dropped") or ()), *hashed))
            entry = _Entry(_object(row["record"] or {}), answer, _object(row.get("measures") or {}))
            is_entry = row["format"] == FORMAT
        except (AttributeError, KeyError, TypeError, ValueError):
            is_entry = False
        if not is_entry:
            self.unreadable += 1
        elif model != spec.name or (self.query.since is not None and time < self.query.since):
            return
        elif version != spec.version:
            self.other_versions[version] += 1
        elif "error" in answer:
            self.refused += 1
        elif "prediction" not in answer:
            self.other_answers += 1
        else:
            key = period_start(time, self.query.by), hidden
            self.hashed.update(hashed)
            self._waiting[key].append(entry)
            if len(self._waiting[key]) >= BATCH:
                self._count(*key, self._waiting.pop(key))

    def count_all(self) -> None:
        """Count the entries that wait."""
        for key, entries in self._waiting.items():
            self._count(*key, entries)
        self._waiting.clear()

    def _count(self, period: datetime, hidden: frozenset[str], entries: list[_Entry]) -> None:
        shown = [each for each in self._fields if each.name not in hidden or each.optional]
        absent = {each.name: None for each in shown if not each.optional}
        records = [{**absent, **entry.record} for entry in entries]
        if hidden:  # a hash is no value of its field
            names = hidden.union(*(each.aliases for each in shown if each.name in hidden))
            records = [{name: value for name, value in each.items() if name not in names} for each in records]
        report = Report(len(entries))
        columns = self._with_date_parts(gather(records, shown, report), report)
        for name in self._not_shown(hidden):
            columns.pop(name, None)
        if report.errors:  # somebody has changed the log
            self.unreadable += len(report.errors)
            kept = [row for row in range(len(entries)) if row not in report.errors]
            entries = [entries[row] for row in kept]
            columns = {name: [values[row] for row in kept] for name, values in columns.items()}
        try:
            self.periods.setdefault(period, _Counts(self.query)).add(entries, columns)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise MonitorError(
                f"{self.query.data} has answers that the model does not give ({error!r:.80}).",
                fix="pass the log as the workers wrote it.",
                code="data_unreadable",
            ) from error
        self.hidden.update(dict.fromkeys(hidden, len(entries)))
        self.rows += len(entries)
        self.query.on_progress(self.rows)

    def _with_date_parts(self, columns: Columns, report: Report) -> Columns:
        """`columns`, with the parts of dates instead of the dates, as the workers count them.

        Each entry was answered, so a date is null that is absent together with a part: the log leaves out nulls.
        """
        for step in self._dates:
            dates = [None if value is MISSING else value for value in columns[step.date]]
            columns = step({**columns, step.date: dates}, report)
        return columns

    def _not_shown(self, hidden: Iterable[str]) -> dict[str, str]:
        """The columns that can't be counted, with the hidden field that is the reason."""
        found = {name: name for name in hidden}
        for step in self._dates:
            if step.date in found:
                found |= dict.fromkeys(step.columns, step.date)
        return found

    def notices(self) -> Iterator[str]:
        """What was not read."""
        if self.unreadable:
            lines = "1 line" if self.unreadable == 1 else f"{self.unreadable:,} lines"
            yield f"{lines} can't be read: the worker was killed while it wrote, or the file is damaged."
        for version, rows in sorted(self.other_versions.items()):
            yield f"{rows:,} records of {self.query.spec.name} {version} were left out."
        if self.other_answers:
            yield f"{self.other_answers:,} records that requested no prediction were left out."
        for name, rows in sorted(self.hidden.items()):
            of = "all records" if rows == self.rows else f"{rows:,} of {self.rows:,} records"
            yield f"{name} is not compared in {of}: it is {self._how(name)} in the log."

    def always_hidden(self) -> dict[str, str]:
        """The fields that no counted entry shows, and why."""
        always = [name for name, rows in self.hidden.items() if rows == self.rows]
        return {name: self._how(reason) for name, reason in self._not_shown(always).items()}

    def _how(self, name: str) -> str:
        return "hashed" if name in self.hashed else "dropped"


def _object(value: Any) -> dict[str, Any]:
    """The members of an object that are not null. In Parquet it may be JSON, and has null for absent members."""
    value = orjson.loads(value) if isinstance(value, str) else value
    return {name: member for name, member in value.items() if member is not None}
