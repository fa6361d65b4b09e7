"""The join depends on neither the order of the log nor that of the truths, and doubling either changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmar_monitor.feedback.answer_log import Logged, key_of
from fastmar_monitor.feedback.joining import PERIODS, Joined, join, start_of
from fastmar_monitor.feedback.kinds import AnswerKind, kind_for
from fastmar_monitor.feedback.truths import Truths
from tests.monitor.feedback import logs
from tests.runtime import tiny

KIND = kind_for(tiny.spec())
IDS = st.sampled_from("abcdefgh")
ROWS = st.integers(0, 2)

Row = dict[str, Any]


def logged(request_id: str = "a", row: int = 0, probability: float = 0.9, days: float = 0.0, **changes: Any) -> Logged:
    time = logs.START + timedelta(days=days)
    values = {"model": "tiny", "version": "1.0", "answer": logs.label(probability)} | changes
    return Logged(key_of(request_id, row), time, **values)


def truths_of(*tables: Sequence[Row], kind: AnswerKind = KIND) -> Truths:
    found = Truths()
    for rows in tables:
        found.add(rows, kind, ["salary"])
    return found


def truth(request_id: str = "a", row: int = 0, label: str = ">=50k", **more: Any) -> Row:
    return {"request_id": request_id, "row": row, "salary": label, **more}


def content(joined: Joined) -> Any:
    """All that was joined, without the order of the rows."""
    return {
        start: (
            sorted(np.column_stack([each.with_truth, each.truths]).tolist()),
            sorted(each.without_truth.tolist()),
            each.refused,
        )
        for start, each in joined.periods.items()
    }


entries = st.lists(
    st.builds(
        logged,
        IDS,
        ROWS,
        st.sampled_from([0.1, 0.9]),
        st.sampled_from([0.0, 3.5, 8.0, 40.0]),
        version=st.sampled_from(["1.0", "1.0", "2.0"]),
    ),
    max_size=15,
)
tables = st.lists(
    st.lists(st.builds(truth, IDS, ROWS, st.sampled_from(logs.LABELS)), max_size=8), min_size=1, max_size=4
)


@given(entries, tables, st.randoms(use_true_random=False), st.sampled_from(PERIODS))
def test_order_does_not_matter(log: list[Logged], files: list[list[Row]], random: Any, by: str) -> None:
    """Unless truths contradict each other: then the last one is used, so those keep their order here."""
    last = {(row["request_id"], row["row"]): row["salary"] for rows in files for row in rows}
    agreed = [[row | {"salary": last[row["request_id"], row["row"]]} for row in rows] for rows in files]
    first = join(log, truths_of(*files), KIND, by)
    random.shuffle(log)
    random.shuffle(agreed)
    again = join(log, truths_of(*agreed), KIND, by)
    assert content(again) == content(first)
    assert (again.unknown, again.ambiguous, again.others) == (first.unknown, first.ambiguous, first.others)


@given(entries, tables)
def test_doubling_changes_nothing(log: list[Logged], files: list[list[Row]]) -> None:
    once, twice = truths_of(*files), truths_of(*files, *files[-1:])
    first, again = join(log, once, KIND), join([*log, *log], twice, KIND)
    assert content(again) == content(first)
    assert twice.repeated + twice.conflicting >= once.repeated + once.conflicting
    if once.conflicting == 0:
        assert twice.repeated == once.repeated + len(files[-1])


@given(entries, tables)
def test_nothing_is_lost(log: list[Logged], files: list[list[Row]]) -> None:
    """Each record of the model is in one group, and each truth is joined, unknown, or of a record that is left out."""
    truths = truths_of(*files)
    found = join(log, truths, KIND)
    ours = {each.key for each in log if each.version == "1.0"}
    answered = sum(each.answered for each in found.periods.values())
    assert answered + found.ambiguous == len(ours)
    joined = sum(len(each.with_truth) for each in found.periods.values())
    assert found.unknown == len(truths.by_key.keys() - {each.key for each in log})
    assert joined <= len(truths.by_key.keys() & ours)


def test_what_is_left_out() -> None:
    log = [
        None,
        logged("a", 0, 0.9),
        logged("a", 0, 0.90000001),  # the same, from a batch of another size
        logged("b", 0, 0.9),
        logged("b", 0, 0.8),
        logged("c", 0, answer={"error": {"code": "missing_column"}}),
        logged("d", 0, answer={"recommendations": []}),
        logged("e", 0, answer={"prediction": "never"}),
        logged("f", 0, model="other"),
        logged("g", 0, version="0.9"),
        logged("h", 0, days=-1),
    ]
    found = join(log, truths_of([truth(name) for name in "abcdfgh"]), KIND, since=logs.START)
    [group] = found.periods.values()
    assert (len(group.with_truth), group.answered, group.refused) == (1, 1, 1)
    assert (found.repeated, found.ambiguous, found.unreadable, found.without_prediction) == (2, 1, 2, 1)
    assert found.others == {"0.9": 1}
    assert (found.unknown, found.unknown_examples) == (1, ["f"])


def test_the_median_delay() -> None:
    times = [(logs.START + timedelta(days=days)).isoformat() for days in (1, 2, 9)]
    rows = [truth(name, time=time) for name, time in zip("abc", times, strict=True)]
    log = [logged(name) for name in "abcd"]
    assert join(log, truths_of(rows), KIND).delay == timedelta(days=2)
    assert join(log, truths_of([truth()]), KIND).delay is None


@pytest.mark.parametrize(("by", "expected"), [("day", "2026-03-04"), ("week", "2026-03-02"), ("month", "2026-03-01")])
def test_starts_of_periods(by: str, expected: str) -> None:
    assert start_of(datetime(2026, 3, 4, 23, 59, tzinfo=UTC), by).isoformat() == f"{expected}T00:00:00+00:00"
