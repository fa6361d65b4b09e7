"""Figures by period are those of pandas and scikit-learn on the same data; the verdict; what is reported."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from fastmar_contract.errors import FastmarError
from fastmar_monitor.feedback.joining import Answers, Joined
from fastmar_monitor.feedback.kinds import kind_for
from fastmar_monitor.feedback.measuring import (
    FELL,
    MIN_TRUTHS,
    NOT_ENOUGH_TRUTHS,
    STEADY,
    Feedback,
    measure,
    summarize,
)
from fastmar_monitor.feedback.truths import Truths
from tests.monitor.feedback import logs
from tests.runtime import tiny

RECORDS, LABELS = 1600, 1000
FREQUENCIES = {"day": "D", "week": "W-SUN", "month": "M"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return logs.bundle(tmp_path_factory.mktemp("feedback") / "tiny")


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str], pd.DataFrame]:
    """A log of 1,600 records in 40 days, 1,000 late labels in two files, and the same as a table.

    Of the labels, 80 occur twice, 30 are contradicted later, and 20 have an unknown id.
    """
    folder = tmp_path_factory.mktemp("late")
    entries, truths = logs.labelled(RECORDS, days=40)
    rng = np.random.default_rng(1)
    chosen = [truths[at] for at in rng.permutation(RECORDS)[: LABELS - 20]]
    other = dict(zip(logs.LABELS, reversed(logs.LABELS), strict=True))
    corrections = [row | {"salary": other[row["salary"]]} for row in chosen[:30]]
    unknown = [{**chosen[0], "request_id": f"strange{at}"} for at in range(20)]
    paths = [folder / "first.csv", folder / "second.parquet"]
    pd.DataFrame([*chosen[:500], *unknown, *chosen[100:140]]).to_csv(paths[0], index=False)
    pd.DataFrame([*chosen[500:], *chosen[600:640], *corrections]).to_parquet(paths[1])
    log = folder / "log"
    logs.lines(log / "worker-1.jsonl", entries[::2])
    logs.lines(log / "worker-2.jsonl", entries[1::2])
    answers = pd.DataFrame(
        {
            "key": [f"{each['request_id']}/{each['row']}" for each in entries],
            "time": pd.to_datetime([each["time"] for each in entries]),
            "prediction": [each["answer"]["prediction"] for each in entries],
            "second": [each["answer"]["probabilities"][">=50k"] for each in entries],
        }
    )
    labels = pd.DataFrame([*chosen, *corrections])
    labels["key"] = labels["request_id"] + "/" + labels["row"].astype(str)
    return (
        str(log),
        [str(path) for path in paths],
        answers.merge(labels.drop_duplicates("key", keep="last")[["key", "salary"]], on="key", how="left"),
    )


@pytest.mark.parametrize("by", FREQUENCIES)
def test_a_thousand_late_labels(archive: Path, late: tuple[str, list[str], pd.DataFrame], by: str) -> None:
    log, truths, table = late
    found = measure(archive, log, truths, by=by)
    periods = table["time"].dt.tz_convert(None).dt.to_period(FREQUENCIES[by])
    right = (table["prediction"] == table["salary"]).where(table["salary"].notna())
    expected = pd.DataFrame({"answered": 1, "known": table["salary"].notna(), "right": right}).groupby(periods).sum()
    assert [each.start.date() for each in found.periods] == [each.start_time.date() for each in expected.index]
    assert [each.answered for each in found.periods] == expected["answered"].tolist()
    assert [each.with_truth for each in found.periods] == expected["known"].tolist()
    assert [each.measured and each.measured.figures["accuracy"].value for each in found.periods] == pytest.approx(
        (expected["right"] / expected["known"]).tolist()
    )
    for period, (_, group) in zip(found.periods, table[table["salary"].notna()].groupby(periods), strict=True):
        assert period.measured is not None
        assert period.measured.figures["log_loss"].value == pytest.approx(
            metrics.log_loss(group["salary"] == ">=50k", group["second"], labels=[False, True])
        )


def test_what_is_said_of_the_labels(archive: Path, late: tuple[str, list[str], pd.DataFrame]) -> None:
    log, truths, _ = late
    found = measure(archive, log, truths)
    counts = found.as_dict()["truths"]
    assert counts | {"median_delay_seconds": 0} == {
        "rows": LABELS + 80 + 30,
        "joined": LABELS - 20,
        "empty": 0,
        "repeated": 80,
        "conflicting": 30,
        "invalid": 0,
        "unknown_ids": 20,
        "unknown_labels": 0,
        "median_delay_seconds": 0,
    }
    assert counts["median_delay_seconds"] == pytest.approx(3 * np.log(2) * 86_400, rel=0.1)  # of the exponential
    assert [notice.split()[0] for notice in found.notices()] == ["80", "30", "20", "The"]
    assert "'strange0', 'strange1', 'strange2' and 17 more" in next(n for n in found.notices() if n.startswith("20"))
    assert measure(archive, log, [*truths, truths[-1]]).as_dict()["periods"] == found.as_dict()["periods"]


def test_the_estimate_is_of_the_records_without_truth(archive: Path, late: tuple[str, list[str], pd.DataFrame]) -> None:
    """Without calibration it is their mean confidence; with it, it is near that of a calibrated model."""
    log, truths, table = late
    confidence = table["second"].where(table["second"] > 0.5, 1 - table["second"])
    without = measure(archive, log, [_empty(Path(truths[0]))])
    assert without.all.measured is None
    assert without.all.estimate is not None
    assert without.all.estimate.accuracy == pytest.approx(confidence.mean())
    assert without.all.estimate.calibrated == 0
    found = measure(archive, log, truths)
    waiting = confidence[table["salary"].isna()].mean()
    assert found.all.estimate is not None
    assert found.all.estimate.accuracy == pytest.approx(waiting, abs=0.05)
    assert found.all.estimate.calibrated == 1
    assert found.as_dict()["estimate_without_truth"]["accuracy"] == pytest.approx(found.all.estimate.accuracy, abs=1e-6)


def _empty(path: Path) -> str:
    empty = path.with_name("empty.csv")
    empty.write_text("request_id,salary\n")
    return str(empty)


def made(archive: Path, tmp_path: Path, *, name: str = "a", **options: Any) -> Feedback:
    entries, truths = logs.labelled(2000, **options)
    return measure(
        archive, logs.lines(tmp_path / name / "log.jsonl", entries), [logs.lines(tmp_path / f"{name}.jsonl", truths)]
    )


def test_verdicts(archive: Path, tmp_path: Path) -> None:
    steady, fell = made(archive, tmp_path), made(archive, tmp_path, name="b", worse_after=21)
    assert (steady.verdict, fell.verdict) == (STEADY, FELL)
    assert fell.change is not None
    assert fell.change.p_value < 1e-6
    assert fell.change.first.start == logs.START
    assert fell.change.last.start == logs.START + timedelta(weeks=3)
    assert fell.as_dict()["change"]["after"] == pytest.approx(0.5, abs=0.1)
    few = made(archive, tmp_path, name="c", days=5)  # one week
    assert (few.verdict, few.change) == (NOT_ENOUGH_TRUTHS, None)


def weeks(*wrong: int, records: int, rng: np.random.Generator | None = None) -> Feedback:
    """The figures of weeks with so many wrong answers; with `rng`, their number is random."""
    kind = kind_for(tiny.spec())
    answers = np.tile([0.0, 0.9, 0.1], (records, 1))
    joined = Joined()
    for at, count in enumerate(wrong):
        drawn = count if rng is None else rng.binomial(records, count / records)
        truths = (np.arange(records) < drawn).astype(float)[:, None]
        joined.periods[logs.START + timedelta(weeks=at)] = Answers(answers, truths, answers[:0])
    return summarize(joined, Truths(), kind, "week")


def test_a_week_with_few_truths_is_not_compared() -> None:
    few, enough = (weeks(0, records, records=records) for records in (MIN_TRUTHS - 1, MIN_TRUTHS))
    assert (few.verdict, enough.verdict) == (NOT_ENOUGH_TRUTHS, FELL)


def test_false_alarms_are_rare() -> None:
    """Of 200 seeded pairs of weeks without a change, at most 6 raise an alarm; 2 are expected."""
    rng = np.random.default_rng(0)
    found = [weeks(60, 60, records=300, rng=rng).verdict for _ in range(200)]
    assert found.count(FELL) <= 6
    assert NOT_ENOUGH_TRUTHS not in found


def test_a_change_is_found() -> None:
    """From 10% to 20% of 300 answers: at least 80 of 100 seeded pairs raise an alarm."""
    rng = np.random.default_rng(0)
    assert sum(weeks(30, 60, records=300, rng=rng).verdict == FELL for _ in range(100)) >= 80


def test_a_small_change_is_no_alarm_however_many_records() -> None:
    """The share of wrong answers grows from 10.0% to 10.4%, and to 10.75%. The middle week is not compared."""
    small = weeks(40_000, 0, 41_600, records=400_000)
    assert small.change is not None
    assert small.change.p_value < 1e-6
    assert small.verdict == STEADY
    assert weeks(40_000, 0, 43_000, records=400_000).verdict == FELL


def test_since(archive: Path, late: tuple[str, list[str], pd.DataFrame]) -> None:
    """Truths of earlier records are not unknown."""
    log, truths, table = late
    start = logs.START + timedelta(days=14)
    found = measure(archive, log, truths, since=start)
    assert found.all.answered == (table["time"] >= start).sum()
    assert found.joined.unknown == 20
    assert found.periods[0].start == start


def test_numbers_and_several_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    numbers = logs.bundle(tmp_path / "numbers", decode=tiny.TWO_NUMBERS_DECODER, targets=("x", "y"))
    values = rng.standard_normal((300, 2))
    entries = [logs.entry(f"{at}", {"prediction": row}) for at, row in enumerate(values.tolist())]
    log = logs.lines(tmp_path / "numbers.log" / "a.jsonl", entries)
    table = pd.DataFrame({"request_id": range(300), "one": values[:, 0] + 0.5, "y": values[:, 1] - 1})
    table.to_csv(tmp_path / "numbers.csv", index=False)
    found = measure(numbers, log, [str(tmp_path / "numbers.csv")], columns=["one", "y"])
    assert found.all.measured is not None
    assert found.all.measured.figures["mae"].value == pytest.approx(0.75)
    assert found.all.measured.figures["bias"].value == pytest.approx(0.25)
    assert found.all.estimate is None
    labels = logs.bundle(tmp_path / "labels", decode=tiny.MULTI_DECODER, targets=("animals",))
    answer = {"prediction": ["dog"], "probabilities": {"cat": 0.2, "dog": 0.9}}
    entries = [logs.entry(f"{at}", answer) for at in range(4)]
    log = logs.lines(tmp_path / "labels.log" / "a.jsonl", entries)
    rows = [{"request_id": "0", "animals": ["dog"]}, {"request_id": "1", "animals": "cat;dog"}]
    found = measure(labels, log, [logs.lines(tmp_path / "labels.jsonl", rows)])
    assert found.all.measured is not None
    assert found.all.measured.figures["accuracy"].value == pytest.approx(0.75)
    assert found.all.estimate is not None
    assert found.all.estimate.accuracy == pytest.approx(0.85)
    assert json.loads(json.dumps(found.as_dict()))["detail"]["labels"][0]["label"] == "dog"


def test_errors(archive: Path, late: tuple[str, list[str], pd.DataFrame], tmp_path: Path) -> None:
    log, truths, _ = late

    def code(*arguments: Any, **options: Any) -> str:
        with pytest.raises(FastmarError) as caught:
            measure(*arguments, **options)
        return caught.value.code

    raw = logs.bundle(tmp_path / "raw", decode=tiny.RAW_DECODER)
    other = logs.bundle(tmp_path / "other", version="2.0")
    assert code(raw, log, truths) == "feedback_unsupported"
    assert code(other, log, truths) == "no_live_data"
    assert code(archive, log, truths, columns=["income"]) == "truth_column_missing"
    assert code(archive, log, truths, columns=["a", "b"]) == "truth_column_count"
    assert code(archive, str(tmp_path / "absent"), truths) == "no_live_data"
    assert code(tmp_path / "absent.mar", log, truths) == "bundle_not_found"
