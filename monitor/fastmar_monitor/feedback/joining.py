"""Joins the answers of a log with truths."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from fastmar_contract.agreement import TOLERANCE
from fastmar_monitor.feedback.answer_log import Logged
from fastmar_monitor.feedback.intervals import Numbers
from fastmar_monitor.feedback.kinds import AnswerKind
from fastmar_monitor.feedback.truths import EXAMPLES, Truths

DAY, WEEK, MONTH = PERIODS = ("day", "week", "month")

_OUTSIDE = -1  # a record of the log that is not among the answers


def start_of(time: datetime, by: str) -> datetime:
    """The start of the day, the week (Monday) or the month of a time, in its time zone."""
    day = time.replace(hour=0, minute=0, second=0, microsecond=0)
    if by == WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if by == MONTH else day


@dataclass(slots=True)
class Answers:
    """The answers of a period.

    Attributes:
        with_truth: the numbers of the answers that have a truth, [records, ...].
        truths: theirs, in the same order.
        without_truth: the numbers of the others.
        refused: records that the model refused.
    """

    with_truth: Numbers
    truths: Numbers
    without_truth: Numbers
    refused: int = 0

    @property
    def answered(self) -> int:
        """The number of answers."""
        return len(self.with_truth) + len(self.without_truth)

    def __add__(self, other: Answers) -> Answers:
        return Answers(
            np.concatenate([self.with_truth, other.with_truth]),
            np.concatenate([self.truths, other.truths]),
            np.concatenate([self.without_truth, other.without_truth]),
            self.refused + other.refused,
        )


@dataclass
class Joined:
    """Answers and truths by period.

    Attributes:
        periods: the answers of each period by its start, the earliest first.
        unknown: truths of records that the log does not have.
        unknown_examples: request ids of the first ones, in their order.
        repeated: lines of the log with a record and answer that an earlier line has.
        ambiguous: records that are left out, because the log has several answers to them.
        unreadable: lines of the log that can't be read.
        without_prediction: answers with something else, such as a list of items.
        others: lines of other versions of the model.
        delay: median time from an answer to its truth; None if the truths have no times.
    """

    periods: dict[datetime, Answers] = field(default_factory=dict)
    unknown: int = 0
    unknown_examples: list[str] = field(default_factory=list)
    repeated: int = 0
    ambiguous: int = 0
    unreadable: int = 0
    without_prediction: int = 0
    others: Counter[str] = field(default_factory=Counter)
    delay: timedelta | None = None


def join(
    log: Iterable[Logged | None], truths: Truths, kind: AnswerKind, by: str = WEEK, since: datetime | None = None
) -> Joined:
    """Join the log of a model, read once, with the truths.

    The result does not depend on the order of either, except for the texts of examples. A record that was logged twice
    with the same answer, such as one of a repeated request, counts once.

    Args:
        log: the lines of the log, also those of other models; None is an unreadable line.
        truths: the truths of the model's records.
        kind: the kind of the answers, with the model's spec.
        by: length of the periods.
        since: only answers since then.
    """
    joined, rows = Joined(), _Rows()
    refused: Counter[datetime] = Counter()
    for line in log:
        if line is None:
            joined.unreadable += 1
            continue
        if line.model != kind.spec.name:
            continue
        if line.version != kind.spec.version:
            joined.others[line.version] += 1
            rows.places.setdefault(line.key, _OUTSIDE)
            continue
        if since is not None and line.time < since:
            rows.places.setdefault(line.key, _OUTSIDE)
            continue
        if "error" in line.answer:
            refused[start_of(line.time, by)] += 1
            rows.places.setdefault(line.key, _OUTSIDE)
            continue
        if "prediction" not in line.answer:
            joined.without_prediction += 1
            rows.places.setdefault(line.key, _OUTSIDE)
            continue
        try:
            values = tuple(kind.answer(line.answer))
        except (KeyError, TypeError, ValueError):
            joined.unreadable += 1
            continue
        joined.repeated += not rows.add(line, values)
    joined.ambiguous = len(rows.ambiguous)
    unknown = [key for key in truths.by_key if key not in rows.places]
    joined.unknown = len(unknown)
    joined.unknown_examples = [key.split("\0")[0] for key in unknown[:EXAMPLES]]
    joined.periods, joined.delay = rows.split(truths, by, refused)
    return joined


class _Rows:
    """The numbers of all answers, in one flat array."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self.ambiguous: set[int] = set()
        self._numbers = array("d")
        self._times: list[datetime] = []
        self._width = 0

    def add(self, line: Logged, values: tuple[float, ...]) -> bool:
        """Add an answer; False if there is one of this record. The earliest time of a record is kept."""
        place = self.places.get(line.key, _OUTSIDE)
        if place == _OUTSIDE:
            self.places[line.key] = len(self._times)
            self._times.append(line.time)
            self._numbers.extend(values)
            self._width = len(values)
            return True
        if not _agree(self._numbers[place * self._width : (place + 1) * self._width], values):
            self.ambiguous.add(place)
        self._times[place] = min(self._times[place], line.time)
        return False

    def split(
        self, truths: Truths, by: str, refused: Counter[datetime]
    ) -> tuple[dict[datetime, Answers], timedelta | None]:
        """The answers by period, and the median delay of the truths."""
        numbers = np.frombuffer(self._numbers, np.float64) if self._numbers else np.empty(0)
        numbers = numbers.reshape(len(self._times), self._width or 0)
        members: dict[datetime, tuple[list[int], list[tuple[float, ...]], list[int]]] = {
            start: ([], [], []) for start in refused
        }
        delays: list[float] = []
        for key, place in self.places.items():
            if place == _OUTSIDE or place in self.ambiguous:
                continue
            known, values, waiting = members.setdefault(start_of(self._times[place], by), ([], [], []))
            if (truth := truths.by_key.get(key)) is None:
                waiting.append(place)
                continue
            known.append(place)
            values.append(truth.values)
            if truth.time is not None:
                delays.append((truth.time - self._times[place]).total_seconds())
        periods = {
            start: Answers(numbers[known], _matrix(values, truths), numbers[waiting], refused[start])
            for start, (known, values, waiting) in sorted(members.items())
        }
        return periods, timedelta(seconds=float(np.median(delays))) if delays else None


def _matrix(rows: list[tuple[float, ...]], truths: Truths) -> Numbers:
    """The numbers of truths, [rows, numbers of a truth]."""
    width = len(next(iter(truths.by_key.values())).values) if truths.by_key else 0
    return np.array(rows, np.float64).reshape(len(rows), width)


def _agree(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether two answers are equal except for rounding, which depends on the size of the batch."""
    return all(abs(a - b) <= TOLERANCE * max(1.0, abs(a)) for a, b in zip(first, second, strict=True))
