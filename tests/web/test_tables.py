"""CSV files before they are scored, and their way through the jobs."""

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
from fastmar_contract.errors import RecordError
from fastmar_contract.values import NUMBER, check_number
from fastmar_runtime.csv_records import read_csv
from fastmar_runtime.report import Report
from fastmar_runtime.spec import Field
from fastmar_runtime.steps.categorify import Categorify, vocabulary
from fastmar_web import jobs as jobs_module
from fastmar_web.errors import Refused, Unavailable
from fastmar_web.jobs import CHECKED, DONE, FAILED, Job, Jobs
from fastmar_web.tables import AMBIGUOUS, LISTED, NEW, SAMPLE_ROWS, UNUSED, Preview, look
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


def looked(tmp_path: Path, text: str | bytes, described: Any = SCHEMA) -> Preview:
    path = tmp_path / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return look(path, described, lambda row: None)


def test_a_good_table(tmp_path: Path) -> None:
    text = HEAD + "Private,3,True,38,40\n State-gov,7.0,false,1e3,\n,NA,,True,nan\n"
    found = looked(tmp_path, text)
    assert (found.total, found.refused, found.remarked, found.problems, found.scorable) == (3, 0, 0, [], True)
    assert found.rows[0] == [("Private", ""), ("3", ""), ("True", ""), ("38", ""), ("40", "")]


def test_what_is_wrong_by_row_and_column(tmp_path: Path) -> None:
    text = HEAD + f"Private,3,True,38,40\n{HOSTILE},9,maybe,old,1_0\nPrivate,3,True,,\nPrivate,3\nAstronaut,3,True,1,\n"
    found = looked(tmp_path, text)
    assert [(p.row, p.column, p.value, p.text, p.refuses) for p in found.problems] == [
        (2, "class", HOSTILE, "New to the model.", False),
        (2, "level", "9", "New to the model.", False),
        (2, "member", "maybe", "New to the model.", False),
        (2, "age", "old", "Not a number.", True),
        (2, "hours", "1_0", "Not a number.", True),
        (3, "age", "", "A value is missing.", True),
        (4, "", "", "The row has 2 cells where the header has 5.", True),
        (5, "class", "Astronaut", "New to the model.", False),
    ]
    assert (found.total, found.refused, found.remarked) == (5, 3, 1)
    assert found.rows[1][3] == ("old", "Not a number.")


@pytest.mark.parametrize(
    "cell", ["38", "-1e5", "inf", "-inf", "1e300", "3.4e38", "-3.5e38", "NAN", "nan", "-NaN", " 7 ", "TRUE", "1_0", "x"]
)
@pytest.mark.parametrize("column", ["age", "hours"])
def test_numbers_are_refused_where_the_runtime_refuses_them(tmp_path: Path, cell: str, column: str) -> None:
    field = Field(column, NUMBER)
    [record] = read_csv(f"{column}\n{cell}\n", [field])
    try:
        refused = check_number(record[column], field) is None and column == "age"  # where a number is needed
    except RecordError:
        refused = True
    cells = {"age": "38", "hours": "40"} | {column: cell}
    found = looked(tmp_path, HEAD + f"Private,3,True,{cells['age']},{cells['hours']}\n")
    assert bool(found.refused) == refused


SPELLED = ["plain", " a", "a ", "b ", "2019-04-14T00:00:00", "2019-04-15T08:30:00"]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("plain", ""),
        (" plain", ""),  # taken for the one that is meant, with a warning of the model's
        ("b", ""),
        (" a", ""),
        ("a", AMBIGUOUS),
        (" a ", AMBIGUOUS),
        ("2019-04-14", ""),
        (" 2019-04-14 00:00 ", ""),
        ("2019-04-15T08:30", ""),
        ("2019-04-15", NEW),
        ("2019-04-16", NEW),
        ("14.4.2019", NEW),
        ("Astronaut", NEW),
    ],
)
def test_categories_are_new_where_the_runtime_does_not_know_them(tmp_path: Path, cell: str, said: str) -> None:
    described = schema("m", {"when": category(*SPELLED), "age": number(38)})
    found = looked(tmp_path, f'when,age\n"{cell}",1\n', described)
    assert [problem.text for problem in found.problems] == ([said] if said else [])
    assert (found.refused, found.remarked) == (0, 1 if said else 0)
    dates = [{"timestamp": each} for each in SPELLED[4:]]
    report = Report(1)
    Categorify({"when": vocabulary([*SPELLED[:4], *dates])})({"when": [cell]}, report)
    unknown = [warning["code"] for warning in report.warnings[0] if warning["code"] == "unknown_category"]
    assert bool(unknown) == bool(said)


def test_columns_that_are_missing_or_not_used(tmp_path: Path) -> None:
    found = looked(tmp_path, "class,age,shoe size\nPrivate,38,41\n")
    assert found.missing == ["level", "member", "hours"]
    assert (found.unused, found.more_unused) == (["shoe size"], 0)
    assert not found.scorable


def test_of_many_columns_that_are_not_used_some_are_named(tmp_path: Path) -> None:
    found = looked(tmp_path, HEAD.rstrip() + "".join(f",x{n}" for n in range(5_000)) + "\n1\n")
    assert (found.unused, found.more_unused) == ([f"x{n}" for n in range(UNUSED)], 5_000 - UNUSED)


def test_a_wide_table_asks_the_schema_for_its_names_no_more_often_than_a_narrow_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    names = Schema.names.fget

    def counted(self: Schema) -> Any:
        nonlocal asked
        asked += 1
        return names(self)  # type: ignore[misc]

    monkeypatch.setattr(Schema, "names", property(counted))
    looked(tmp_path, HEAD + "Private,3,True,38,40\n")
    narrow, asked = asked, 0
    looked(tmp_path, HEAD.rstrip() + ",x" * 5_000 + "\n1\n")
    assert asked == narrow


def test_a_wide_table_is_left_as_soon_as_a_narrow_one(tmp_path: Path) -> None:
    """A thread that goes on with a table which somebody has removed is missing for all others."""
    path = tmp_path / "table.csv"
    path.write_text(HEAD.rstrip() + "," * 14_995 + "\n" + ("Private,3,True,38,40" + "," * 14_995 + "\n") * 100)
    rows: list[int] = []
    look(path, SCHEMA, rows.append)
    assert rows
    assert max(after - before for before, after in zip([0, *rows], rows, strict=False)) * 15_000 < 200_000


def test_a_date_or_its_parts(tmp_path: Path) -> None:
    date = {"type": ["string"], "x-fastmar": {"kind": "date"}}
    rules = {"allOf": [{"anyOf": [{"required": ["sale"]}, {"required": ["saleYear", "saleDay"]}]}]}
    described = schema("m", {"sale": date, "saleYear": number(1), "saleDay": number(1)}, rules=rules)
    described["record"]["required"] = []
    assert looked(tmp_path, "sale\n2024-01-31\n", described).scorable
    assert looked(tmp_path, "saleYear,saleDay\n2024,31\n", described).scorable
    assert looked(tmp_path, "saleYear\n2024\n", described).missing == ["sale"]
    assert looked(tmp_path, "sale\n31.1.2024\n", described).problems[0].text == "Not a date such as 2024-01-31."


def test_semicolons_and_a_byte_order_mark(tmp_path: Path) -> None:
    found = looked(tmp_path, b"\xef\xbb\xbf" + HEAD.replace(",", ";").encode() + b"Private;3;True;38;40\r\n")
    assert (found.columns[0], found.total, found.problems) == ("class", 1, [])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"PK\x03\x04\x00\x00\xff\xfe\x00", "names no column"),
        (b"", "names no column"),
        (b"a,b\n1,2\n", "names no column"),
        (HEAD.encode(), "no row"),
        (b"class,class,age\n1,2,3\n", "twice"),
    ],
)
def test_what_is_no_table_is_refused_in_words(tmp_path: Path, text: bytes, says: str) -> None:
    with pytest.raises(Refused, match=says):
        looked(tmp_path, text)


def test_many_rows_take_no_more_memory_than_few(tmp_path: Path) -> None:
    row = "Astronaut,3,True,old,40\n"
    tracemalloc.start()
    found = looked(tmp_path, HEAD + row * 1000)
    few = tracemalloc.get_traced_memory()[1]
    assert (len(found.problems), len(found.rows)) == (LISTED, SAMPLE_ROWS)
    (tmp_path / "table.csv").write_text(HEAD + row * 30_000)
    tracemalloc.reset_peak()
    found = look(tmp_path / "table.csv", SCHEMA, lambda row: None)
    many = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.total, found.refused, len(found.problems)) == (30_000, 30_000, LISTED)
    assert many < few + 1_000_000


def test_a_row_without_an_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    """A cell may hold line ends, so one row may be the whole file, each of its lines short."""
    with pytest.raises(Refused, match="is over 8,000,000 characters"):
        looked(tmp_path, HEAD + '"\n",' * 2_500_000)


@pytest.fixture
def jobs(tmp_path: Path) -> Any:
    made = Jobs(tmp_path / "jobs")
    yield made
    made.close()


def added(jobs: Jobs, content: bytes = b"x\n1\n") -> Job:
    job = jobs.add("m", "t.csv", io.BytesIO(content), lambda path, on_row: Preview(total=1))
    assert job.settled.wait(60)
    return job


def nothing(source: Path, target: Path, on_progress: Any) -> Scored:
    target.touch()
    return Scored(rows=1, errors=0, warned=0, resumed=0, share=1.0)


def test_a_table_is_looked_at_scored_and_removed(jobs: Jobs) -> None:
    job = added(jobs)
    assert job.state == CHECKED

    def copied(source: Path, target: Path, on_progress: Any) -> Scored:
        target.write_bytes(source.read_bytes())
        return Scored(rows=1, errors=0, warned=1, resumed=0, share=1.0)

    jobs.score(job, copied)
    assert job.settled.wait(60)
    assert (job.state, job.answers.read_bytes()) == (DONE, b"x\n1\n")
    assert job.scored == Scored(rows=1, errors=0, warned=1, resumed=0, share=1.0)
    assert len(job.id) >= 32
    jobs.remove(job)
    assert not job.folder.exists()
    with pytest.raises(Refused, match="not here any more"):
        jobs.get(job.id)


def test_scoring_that_fails_can_be_begun_again(jobs: Jobs, capsys: Any) -> None:
    job = added(jobs)

    def fails(source: Path, target: Path, on_progress: Any) -> None:
        raise RuntimeError("no room")

    jobs.score(job, fails)
    assert job.settled.wait(60)
    assert job.state == FAILED
    assert job.error is not None
    assert "no room" not in job.error.message  # a reader of the page has no use for it
    assert "no room" in capsys.readouterr().err
    jobs.score(job, nothing)
    assert job.settled.wait(60)
    assert (job.state, job.error) == (DONE, None)


def test_a_table_that_is_removed_stops(jobs: Jobs) -> None:
    job = added(jobs)
    begun, ended = threading.Event(), threading.Event()

    def endless(source: Path, target: Path, on_progress: Any) -> None:
        try:
            for row in range(10_000):
                on_progress(row)
                begun.set()
                time.sleep(0.001)
        finally:
            ended.set()

    jobs.score(job, endless)
    assert begun.wait(60)
    jobs.remove(job)
    assert ended.wait(60)
    assert not job.folder.exists()


class _Full(io.BytesIO):
    """An upload that there is no room for."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise OSError("no space left on device")
        return super().read(2)


def test_an_upload_that_fails_leaves_nothing(jobs: Jobs, tmp_path: Path, capsys: Any) -> None:
    for _ in range(21):
        with pytest.raises(Unavailable, match="no room for the table"):
            jobs.add("m", "t.csv", _Full(b"x\n1\n"), lambda path, on_row: Preview(total=1))
    assert list((tmp_path / "jobs").iterdir()) == []
    assert "no space left on device" in capsys.readouterr().err  # for whoever runs it
    assert added(jobs).state == CHECKED


@pytest.mark.parametrize(("needed", "left"), [(16, 4), (17, 3), (30, 2), (43, 0), (1_000, 0)])
def test_tables_at_rest_make_room_on_a_full_disk_but_none_at_work(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needed: int, left: int
) -> None:
    """The disk has 150 bytes; five tables take 20 each, one of them at work. A new one takes three times its size."""

    def usage(place: Path) -> Any:
        used = sum(path.stat().st_size for path in Path(place).rglob("*") if path.is_file())
        return SimpleNamespace(total=150, used=used, free=150 - used)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    may_end = threading.Event()

    def slow(path: Path, on_row: Any) -> Preview:
        may_end.wait(60)
        return Preview(total=1)

    at_rest = [added(jobs, content=b"x" * 20) for _ in range(4)]
    at_work = jobs.add("m", "t.csv", io.BytesIO(b"x" * 20), slow)
    for job in reversed(at_rest):  # somebody looks at them
        jobs.get(job.id)
    jobs.make_room(needed)
    assert [job.folder.exists() for job in at_rest] == [True] * left + [False] * (4 - left)
    assert at_work.folder.exists()
    may_end.set()
    assert at_work.settled.wait(60)


def test_a_table_that_nobody_looks_at_is_deleted_without_a_request(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "TIDIED", 0.01)
    job = added(jobs)
    monkeypatch.setattr(jobs_module, "KEPT", -1.0)
    deadline = time.monotonic() + 60
    while job.folder.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not job.folder.exists()


def test_an_old_table_is_not_shown_and_begins_its_hour_when_it_is_done(jobs: Jobs) -> None:
    job = added(jobs)
    job.used -= 2 * jobs_module.KEPT
    jobs.score(job, nothing)
    assert job.settled.wait(60)
    assert jobs.get(job.id) is job  # nobody looked while it was scored
    job.used -= 2 * jobs_module.KEPT
    with pytest.raises(Refused, match="not here any more"):
        jobs.get(job.id)


def test_the_thread_that_deletes_ends_with_the_app(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    made = Jobs(tmp_path / "jobs")
    added(made)
    [thread] = [each for each in threading.enumerate() if each.name == "fastmar-web-tidy" and each not in before]
    made.close()
    assert not thread.is_alive()


def test_files_are_deleted_in_the_end(tmp_path: Path) -> None:
    made = Jobs()
    job = added(made)
    folder = job.folder.parent
    assert folder.stat().st_mode & 0o077 == 0
    made.close()
    assert not folder.exists()
