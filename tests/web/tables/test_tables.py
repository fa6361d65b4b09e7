"""The check of CSV files, and the jobs that score them."""

from __future__ import annotations

import io
import shutil
import threading
import time
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastmar_client import Schema, Scored
from fastmar_contract.categories import UNKNOWN
from fastmar_contract.errors import RecordError
from fastmar_contract.values import NUMBER, check_number
from fastmar_runtime.csv_records import read_csv
from fastmar_runtime.report import Report
from fastmar_runtime.spec import Field
from fastmar_runtime.steps.categorify import Categorify, vocabulary
from fastmar_web.errors import RequestRefused, Unavailable
from fastmar_web.forms.form import make_form
from fastmar_web.forms.values import LIMIT_CODES, from_post
from fastmar_web.presentation import Presentation
from fastmar_web.tables import job as job_module
from fastmar_web.tables import jobs as jobs_module
from fastmar_web.tables.job import CHECKED, DONE, FAILED, Job
from fastmar_web.tables.jobs import Jobs
from fastmar_web.tables.preview import (
    AMBIGUOUS,
    MAX_PROBLEMS,
    MAX_UNUSED,
    SAMPLE_ROWS,
    Preview,
    preview_table,
)
from tests.web.fake import HOSTILE, category, number, schema

COLUMNS = {
    "class": category(" Private", " State-gov"),
    "level": category(3, 7),
    "member": category(False, True),
    "age": number(38),
    "hours": number(40, nullable=True),
}
SCHEMA = schema("m", COLUMNS)
HEAD = "class,level,member,age,hours\n"


def checked(tmp_path: Path, text: str | bytes, described: Any = SCHEMA) -> Preview:
    path = tmp_path / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return preview_table(path, described, lambda row: None)


def test_a_table_without_problems(tmp_path: Path) -> None:
    text = HEAD + "Private,3,True,38,40\n State-gov,7.0,false,4e1,\n,NA,,True,nan\n"
    found = checked(tmp_path, text)
    assert (found.total, found.error_rows, found.warning_rows, found.problems, found.scorable) == (3, 0, 0, [], True)
    assert found.rows[0] == [(cell, None) for cell in ("Private", "3", "True", "38", "40")]


def test_problems_by_row_and_column(tmp_path: Path) -> None:
    text = HEAD + f"Private,3,True,38,40\n{HOSTILE},9,maybe,old,1_0\nPrivate,3,True,,\nPrivate,3\nAstronaut,3,True,1,\n"
    found = checked(tmp_path, text)
    assert [(p.row, p.column, p.value, p.code, p.is_error) for p in found.problems] == [
        (2, "class", HOSTILE, "unknown_category", False),
        (2, "level", "9", "unknown_category", False),
        (2, "member", "maybe", "unknown_category", False),
        (2, "age", "old", "not_a_number", True),
        (2, "hours", "1_0", "not_a_number", True),
        (3, "age", "", "null_not_filled", True),
        (4, "", "", "ragged_row", True),
        (5, "class", "Astronaut", "unknown_category", False),
    ]
    assert (found.total, found.error_rows, found.warning_rows) == (5, 3, 1)
    assert found.rows[1][3] == ("old", found.problems[3])


@pytest.mark.parametrize(
    "cell", ["38", "-1e5", "inf", "-inf", "1e300", "3.4e38", "-3.5e38", "NAN", "nan", "-NaN", " 7 ", "TRUE", "1_0", "x"]
)
@pytest.mark.parametrize("column", ["age", "hours"])
def test_numbers_are_refused_like_in_the_runtime(tmp_path: Path, cell: str, column: str) -> None:
    field = Field(column, NUMBER)
    [record] = read_csv(f"{column}\n{cell}\n", [field])
    try:
        refused = check_number(record[column], field) is None and column == "age"  # "hours" may be null
    except RecordError:
        refused = True
    cells = {"age": "38", "hours": "40"} | {column: cell}
    found = checked(tmp_path, HEAD + f"Private,3,True,{cells['age']},{cells['hours']}\n")
    assert bool(found.error_rows) == refused


SPELLED = ["plain", " a", "a ", "b ", "2019-04-14T00:00:00", "2019-04-15T08:30:00"]


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("plain", ""),
        (" plain", ""),  # matched with a warning of the model
        ("b", ""),
        (" a", ""),
        ("a", AMBIGUOUS),
        (" a ", AMBIGUOUS),
        ("2019-04-14", ""),
        (" 2019-04-14 00:00 ", ""),
        ("2019-04-15T08:30", ""),
        ("2019-04-15", UNKNOWN),
        ("2019-04-16", UNKNOWN),
        ("14.4.2019", UNKNOWN),
        ("Astronaut", UNKNOWN),
    ],
)
def test_categories_are_unknown_like_in_the_runtime(tmp_path: Path, cell: str, code: str) -> None:
    described = schema("m", {"when": category(*SPELLED), "age": number(38)})
    found = checked(tmp_path, f'when,age\n"{cell}",1\n', described)
    assert [problem.code for problem in found.problems] == ([code] if code else [])
    assert (found.error_rows, found.warning_rows) == (0, 1 if code else 0)
    dates = [{"timestamp": each} for each in SPELLED[4:]]
    report = Report(1)
    Categorify({"when": vocabulary([*SPELLED[:4], *dates])})({"when": [cell]}, report)
    unknown = [warning["code"] for warning in report.warnings[0] if warning["code"] == "unknown_category"]
    assert bool(unknown) == bool(code)


LIMITED = schema(
    "m",
    {"Hour": number(12), "Month": number(6, minimum=1, maximum=12)},
    ui={"fields": {"Hour": {"minimum": 0, "maximum": 23}}},
)


@pytest.mark.parametrize(
    ("hour", "month", "code"),
    [
        ("23", "12", None),
        ("25", "12", "above_maximum"),
        ("-1", "12", "below_minimum"),
        ("12", "13", "outside_range"),
        ("12", "700", "far_outside_range"),
    ],
)
def test_numbers_get_the_remarks_of_the_form(tmp_path: Path, hour: str, month: str, code: str | None) -> None:
    found = checked(tmp_path, f"Hour,Month\n{hour},{month}\n", LIMITED)
    filled = from_post(make_form(LIMITED, Presentation(LIMITED)), {"Hour": hour, "Month": month})
    remarks = [*filled.problems.values(), *(each for group in filled.remarks.values() for each in group)]
    assert [each.code for each in remarks] == ([code] if code else [])
    assert [(p.code, p.text, p.is_error) for p in found.problems] == [(each.code, each.text, False) for each in remarks]
    assert (found.error_rows, found.warning_rows, found.scorable) == (0, len(remarks), True)
    assert found.beyond_limits == (code in LIMIT_CODES)


def test_errors_are_listed_before_remarks(tmp_path: Path) -> None:
    found = checked(tmp_path, "Hour,Month\n" + "25,6\n" * 2 * MAX_PROBLEMS + "noon,6\n" * 3, LIMITED)
    assert [p.is_error for p in found.problems] == [False] * (MAX_PROBLEMS - 3) + [True] * 3
    assert (found.error_rows, found.warning_rows) == (3, 2 * MAX_PROBLEMS)


def test_missing_and_unused_columns(tmp_path: Path) -> None:
    found = checked(tmp_path, "class,age,shoe size\nPrivate,38,41\n")
    assert found.missing == ["level", "member", "hours"]
    assert (found.unused, found.more_unused) == (["shoe size"], 0)
    assert not found.scorable


def test_the_list_of_unused_columns_is_limited(tmp_path: Path) -> None:
    found = checked(tmp_path, HEAD.rstrip() + "".join(f",x{n}" for n in range(5_000)) + "\n1\n")
    assert (found.unused, found.more_unused) == ([f"x{n}" for n in range(MAX_UNUSED)], 5_000 - MAX_UNUSED)


def test_the_names_of_a_schema_are_not_computed_for_each_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    names = Schema.names.fget

    def counted(self: Schema) -> Any:
        nonlocal calls
        calls += 1
        return names(self)  # type: ignore[misc]

    monkeypatch.setattr(Schema, "names", property(counted))
    checked(tmp_path, HEAD + "Private,3,True,38,40\n")
    narrow, calls = calls, 0
    checked(tmp_path, HEAD.rstrip() + ",x" * 5_000 + "\n1\n")
    assert calls == narrow


def test_progress_is_reported_by_cells_not_by_rows(tmp_path: Path) -> None:
    """A report ends the check of a removed table, so a wide table must report as often as a narrow one."""
    path = tmp_path / "table.csv"
    path.write_text(HEAD.rstrip() + "," * 14_995 + "\n" + ("Private,3,True,38,40" + "," * 14_995 + "\n") * 100)
    rows: list[int] = []
    preview_table(path, SCHEMA, rows.append)
    assert rows
    assert max(after - before for before, after in zip([0, *rows], rows, strict=False)) * 15_000 < 200_000


def test_a_date_or_all_its_parts_are_needed(tmp_path: Path) -> None:
    date = {"type": ["string"], "x-fastmar": {"kind": "date"}}
    rules = {"allOf": [{"anyOf": [{"required": ["sale"]}, {"required": ["saleYear", "saleDay"]}]}]}
    described = schema("m", {"sale": date, "saleYear": number(1), "saleDay": number(1)}, rules=rules)
    described["record"]["required"] = []
    assert checked(tmp_path, "sale\n2024-01-31\n", described).scorable
    assert checked(tmp_path, "saleYear,saleDay\n2024,31\n", described).scorable
    assert checked(tmp_path, "saleYear\n2024\n", described).missing == ["sale"]
    assert checked(tmp_path, "sale\n31.1.2024\n", described).problems[0].code == "not_a_date"


def test_semicolons_and_a_byte_order_mark(tmp_path: Path) -> None:
    found = checked(tmp_path, b"\xef\xbb\xbf" + HEAD.replace(",", ";").encode() + b"Private;3;True;38;40\r\n")
    assert (found.columns[0], found.total, found.problems) == ("class", 1, [])


@pytest.mark.parametrize(
    ("text", "code", "fact"),
    [
        (b"PK\x03\x04\x00\x00\xff\xfe\x00", "no_header", ""),
        (b"", "no_header", ""),
        (b"a,b\n1,2\n", "no_header", ""),
        (HEAD.encode(), "no_rows", ""),
        (b"class,class,age\n1,2,3\n", "table_unreadable", "'class'"),
    ],
)
def test_files_without_a_table_are_refused(tmp_path: Path, text: bytes, code: str, fact: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        checked(tmp_path, text)
    assert caught.value.code == code
    assert fact in caught.value.message


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    row = "Astronaut,3,True,old,40\n"
    tracemalloc.start()
    found = checked(tmp_path, HEAD + row * 1000)
    few = tracemalloc.get_traced_memory()[1]
    assert (len(found.problems), len(found.rows)) == (MAX_PROBLEMS, SAMPLE_ROWS)
    (tmp_path / "table.csv").write_text(HEAD + row * 30_000)
    tracemalloc.reset_peak()
    found = preview_table(tmp_path / "table.csv", SCHEMA, lambda row: None)
    many = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.total, found.error_rows, len(found.problems)) == (30_000, 30_000, MAX_PROBLEMS)
    assert many < few + 1_000_000


def test_memory_does_not_grow_with_a_row_without_end(tmp_path: Path) -> None:
    """A cell may contain line ends, so one row of short lines may be the whole file."""
    with pytest.raises(RequestRefused) as caught:
        checked(tmp_path, HEAD + '"\n",' * 2_500_000)
    assert caught.value.code == "table_unreadable"
    assert "8,000,000" in caught.value.message


@pytest.fixture
def jobs(tmp_path: Path) -> Any:
    made = Jobs(tmp_path / "jobs")
    yield made
    made.close()


def added(jobs: Jobs, content: bytes = b"x\n1\n") -> Job:
    job = jobs.add("m", "t.csv", io.BytesIO(content), lambda path, on_row: Preview(total=1))
    assert job.finished.wait(60)
    return job


def score_nothing(source: Path, target: Path, on_progress: Any) -> Scored:
    target.touch()
    return Scored(rows=1, errors=0, warned=0, resumed=0, share=1.0)


def test_a_table_is_checked_scored_and_removed(jobs: Jobs) -> None:
    job = added(jobs)
    assert job.state == CHECKED

    def copy(source: Path, target: Path, on_progress: Any) -> Scored:
        target.write_bytes(source.read_bytes())
        return Scored(rows=1, errors=0, warned=1, resumed=0, share=1.0)

    jobs.score(job, copy)
    assert job.finished.wait(60)
    assert (job.state, job.answers.read_bytes()) == (DONE, b"x\n1\n")
    assert job.scored == Scored(rows=1, errors=0, warned=1, resumed=0, share=1.0)
    assert len(job.id) >= 32
    jobs.remove(job)
    assert not job.folder.exists()
    with pytest.raises(RequestRefused) as caught:
        jobs.get(job.id)
    assert caught.value.code == "table_not_found"


def test_scoring_can_be_repeated_after_a_failure(jobs: Jobs, capsys: Any) -> None:
    job = added(jobs)

    def fail(source: Path, target: Path, on_progress: Any) -> None:
        raise RuntimeError("secret detail")

    jobs.score(job, fail)
    assert job.finished.wait(60)
    assert job.state == FAILED
    assert job.error is not None
    assert job.error.code == "internal_error"
    assert "secret detail" not in job.error.message  # only the log has it
    assert "secret detail" in capsys.readouterr().err
    jobs.score(job, score_nothing)
    assert job.finished.wait(60)
    assert (job.state, job.error) == (DONE, None)


def test_removing_a_table_stops_its_work(jobs: Jobs) -> None:
    job = added(jobs)
    started, ended = threading.Event(), threading.Event()

    def endless(source: Path, target: Path, on_progress: Any) -> None:
        try:
            for row in range(10_000):
                on_progress(row)
                started.set()
                time.sleep(0.001)
        finally:
            ended.set()

    jobs.score(job, endless)
    assert started.wait(60)
    jobs.remove(job)
    assert ended.wait(60)
    assert not job.folder.exists()


class _FullDisk(io.BytesIO):
    """An upload that fills the disk."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise OSError("no space left on device")
        return super().read(2)


def test_a_failed_upload_leaves_no_files(jobs: Jobs, tmp_path: Path, capsys: Any) -> None:
    for _ in range(21):
        with pytest.raises(Unavailable) as caught:
            jobs.add("m", "t.csv", _FullDisk(b"x\n1\n"), lambda path, on_row: Preview(total=1))
        assert caught.value.code == "no_disk_space"
    assert list((tmp_path / "jobs").iterdir()) == []
    assert "no space left on device" in capsys.readouterr().err
    assert added(jobs).state == CHECKED


@pytest.mark.parametrize(("needed", "left"), [(12, 4), (13, 3), (22, 2), (33, 0), (1_000, 0)])
def test_only_idle_tables_are_deleted_on_a_full_disk(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needed: int, left: int
) -> None:
    """The disk has 150 bytes; five tables take 20 each, one of them active. A new one needs four times its size."""

    def usage(place: Path) -> Any:
        used = sum(path.stat().st_size for path in Path(place).rglob("*") if path.is_file())
        return SimpleNamespace(total=150, used=used, free=150 - used)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    may_end = threading.Event()

    def slow(path: Path, on_row: Any) -> Preview:
        may_end.wait(60)
        return Preview(total=1)

    idle = [added(jobs, content=b"x" * 20) for _ in range(4)]
    active = jobs.add("m", "t.csv", io.BytesIO(b"x" * 20), slow)
    for job in reversed(idle):  # the last one is the most recently used
        jobs.get(job.id)
    jobs.make_room(needed)
    assert [job.folder.exists() for job in idle] == [True] * left + [False] * (4 - left)
    assert active.folder.exists()
    may_end.set()
    assert active.finished.wait(60)


def test_expired_tables_are_deleted_without_a_request(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "CLEANUP_INTERVAL", 0.01)
    job = added(jobs)
    monkeypatch.setattr(job_module, "LIFETIME", -1.0)
    deadline = time.monotonic() + 60
    while job.folder.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not job.folder.exists()


def test_the_lifetime_of_a_table_begins_when_it_is_scored(jobs: Jobs) -> None:
    job = added(jobs)
    job.last_used -= 2 * job_module.LIFETIME
    jobs.score(job, score_nothing)
    assert job.finished.wait(60)
    assert jobs.get(job.id) is job  # scoring took longer than the lifetime
    job.last_used -= 2 * job_module.LIFETIME
    with pytest.raises(RequestRefused) as caught:
        jobs.get(job.id)
    assert caught.value.code == "table_not_found"


def test_the_cleanup_thread_ends_with_the_app(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    made = Jobs(tmp_path / "jobs")
    added(made)
    [thread] = [each for each in threading.enumerate() if each.name == "fastmar-web-cleanup" and each not in before]
    made.close()
    assert not thread.is_alive()


def test_closing_deletes_all_files(tmp_path: Path) -> None:
    made = Jobs()
    job = added(made)
    folder = job.folder.parent
    assert folder.stat().st_mode & 0o077 == 0
    made.close()
    assert not folder.exists()
