"""Excel and Parquet files: what is read from them, what is written, and what is refused."""

from __future__ import annotations

import csv
import io
import math
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastmar_contract.cells import NULLS, read_number
from fastmar_contract.values import as_date
from fastmar_web.errors import RequestRefused
from fastmar_web.tables import files
from fastmar_web.tables.files import CSV, FORMATS, convert, excel
from fastmar_web.tables.files.base import Upload
from fastmar_web.tables.files.cells import cell_text, number_of
from fastmar_web.tables.preview import preview_table
from tests.web.fake import COUNTRIES, FakeClient, category, number, schema
from tests.web.html import code_of_error, codes, findings, job_state, row_counts
from tests.web.test_pages import scored, table_of, wait_until_idle

openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
EXCEL, PARQUET, _ = FORMATS
KNOWN = ["age", "class", "when"]
Rows = list[list[str]]


def converted(path: Path, *, known: Any = KNOWN, limit: int = 10**7) -> tuple[Rows, list[str]]:
    """The rows of an uploaded file with its header, and the remarks."""
    upload = path.rename(path.with_name("upload"))
    target = path.with_name("table.csv")
    _, remarks = convert(Upload(upload, target, known, limit, lambda row: None))
    with target.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file)), remarks


def book_of(path: Path, *sheets: list[list[Any]]) -> Path:
    """An Excel file with these sheets."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for place, rows in enumerate(sheets):
        sheet = book.create_sheet(f"Sheet {place + 1}")
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def written(folder: Path, chosen: Any, header: list[str], rows: Rows) -> Path:
    path = folder / f"table.{chosen.extension}"
    chosen.write(path, header, lambda: rows)
    return path


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
dates = st.dates(date(1900, 3, 1)).map(date.isoformat)
moments = st.datetimes(datetime(1900, 3, 1)).map(lambda value: value.replace(microsecond=0).isoformat())
numbers = st.floats(allow_nan=False, allow_infinity=False).map(repr) | st.integers(-(10**18), 10**18).map(str)
columns = st.sampled_from([texts, dates, moments, numbers, texts | numbers | dates, st.sampled_from(sorted(NULLS))])
tables = st.integers(1, 12).flatmap(
    lambda height: st.lists(
        columns.flatmap(lambda cells: st.lists(cells | st.just(""), min_size=height, max_size=height)),
        min_size=1,
        max_size=4,
    )
)


def same(before: str, after: str) -> bool:
    """Whether a cell has the same meaning: equal, the same number or date, or missing."""
    if before == after or {before, after} <= NULLS:
        return True
    numbers = read_number(before), read_number(after)
    if all(type(each) is float for each in numbers):
        return math.isclose(*numbers, rel_tol=1e-15)
    return as_date(before) is not None and as_date(before) == as_date(after)


@pytest.mark.parametrize("chosen", FORMATS, ids=lambda each: each.name)
@settings(deadline=None)
@given(columns=tables)
@example(
    columns=[["=1+1", "#N/A", "_x000D_", "+1", "007", "1e400", "-0.0", "1_0"], ["1899-12-31", *["2024-02-29"] * 7]]
)
@example(columns=[["NA", "", "nan"]])
@example(columns=[["0.0", "1.7976931348623157e+308"], ["0.30000000000000004", "5e-324"]])
@example(columns=[["2024-02-30"], ["\x00\x1f"], ["0001-01-01T00:00"], ["12345678901234567890"]])
def test_any_cells_survive_a_round_trip(
    tmp_path_factory: pytest.TempPathFactory, chosen: Any, columns: list[list[str]]
) -> None:
    """A table that is downloaded and uploaded again has the same meaning for a model."""
    folder = tmp_path_factory.mktemp("round")
    header = ["age", *(f"column {place}" for place, _ in enumerate(columns))]
    rows = [["1", *row] for row in zip(*columns, strict=True)]  # no row is empty
    found, _ = converted(written(folder, chosen, header, rows))
    assert found[0] == header
    for before, after in zip(rows, found[1:], strict=True):
        assert all(same(*pair) for pair in zip(before, after, strict=True)), (before, after)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""), ("", ""), ("42", "42"), (" a", " a"), (7, "7"), (40.0, "40.0"), (0.1, "0.1"), (math.nan, ""),
        (True, "True"), (date(2024, 1, 31), "2024-01-31"), (datetime(2024, 1, 31), "2024-01-31"),
        (datetime(2024, 1, 31, 8, 30), "2024-01-31T08:30:00"), (time(8, 30), "08:30:00"),
        (timedelta(hours=30, minutes=5), "30:05:00"), (Decimal("1.50"), "1.50"), (b"caf\xc3\xa9", "café"),
        ([1, "a"], '[1, "a"]'), ("#N/A", "#N/A"),
    ],
)  # fmt: skip
def test_values_become_cells(value: Any, text: str) -> None:
    assert cell_text(value) == text


def test_cells_of_excel_are_read_by_the_rules_of_cells(tmp_path: Path) -> None:
    """Numbers, numbers as text, dates, empty cells, booleans and errors."""
    columns = {"class": category(" Private", "7"), "age": number(38, nullable=True), "level": category(3, 7)}
    described = schema("m", {**columns, "when": {"type": ["string"], "x-fastmar": {"kind": "date"}}})
    day = datetime(2024, 1, 31)
    rows = [
        ["class", "age", "level", "when", None, "note"],
        ["Private", 38, 3, day, "no name", "x"],
        [None, None, None, None, None, None],
        ["Private", "38.5", "7", "2024-01-31", None, None],
        ["Private", None, 7.0, day.date(), None, None],
        ["Private", "old", 9, "soon", None, None],
        ["Private", "#DIV/0!", True, day, None, None],
    ]
    table, remarks = converted(book_of(tmp_path / "t.xlsx", rows), known=set(columns))
    assert remarks == []
    assert table[:4] == [
        ["class", "age", "level", "when", "note"],  # a column without a name is not read, an empty row neither
        ["Private", "38", "3", "2024-01-31", "x"],
        ["Private", "38.5", "7", "2024-01-31", ""],
        ["Private", "", "7", "2024-01-31", ""],
    ]
    preview = preview_table(tmp_path / "table.csv", described, lambda row: None)
    assert [(each.row, each.column, each.code) for each in preview.problems] == [
        (4, "age", "not_a_number"),
        (4, "level", "unknown_category"),
        (4, "when", "not_a_date"),
        (5, "age", "not_a_number"),
        (5, "level", "unknown_category"),
    ]


def test_the_first_visible_sheet_with_a_column_of_the_model_is_read(tmp_path: Path) -> None:
    path = book_of(tmp_path / "t.xlsx", [["Notes"], ["a"]], [["age"], [1]], [["age"], [2]], [[], [], ["age"], [3]])
    book = openpyxl.load_workbook(path)
    book.worksheets[1].sheet_state = "hidden"
    book.save(path)
    rows, remarks = converted(path)
    assert rows == [["age"], ["2"]]
    assert remarks == ["Read from the sheet “Sheet 3”. Not read: “Sheet 1”, “Sheet 2”, “Sheet 4”."]


def test_a_header_below_empty_rows(tmp_path: Path) -> None:
    assert converted(book_of(tmp_path / "t.xlsx", [[], [None, None], ["age", "class"], [3, "a"]]))[0] == [
        ["age", "class"],
        ["3", "a"],
    ]


def add_value(path: Path, value: str) -> None:
    """Save the value of each formula, as Excel does."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content.replace(b"<v />", f"<v>{value}</v>".encode()).replace(b"<v/>", b"<v>4</v>"))


def test_a_formula_counts_as_its_saved_value(tmp_path: Path) -> None:
    path = book_of(tmp_path / "t.xlsx", [["age", "class"], ["=1+3", "a"], [5, "b"]])
    add_value(path, "4")
    assert converted(path)[0] == [["age", "class"], ["4", "a"], ["5", "b"]]


def test_a_formula_without_a_saved_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestRefused) as caught:
        converted(book_of(tmp_path / "t.xlsx", [["age", "class"], [5, "a"], ["=A2+1", "b"]]))
    assert caught.value.code == "formula_without_value"
    assert "A3" in caught.value.message


def refused(path: Path, **more: Any) -> str:
    with pytest.raises(RequestRefused) as caught:
        converted(path, **more)
    return caught.value.code


def packed(path: Path, parts: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def test_files_that_are_no_workbooks_are_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.xlsx"
    broken.write_bytes(b"PK\x03\x04 and nothing else")
    assert refused(broken) == "damaged_file"
    assert refused(packed(tmp_path / "some.zip", {"a.csv": b"age\n1\n"})) == "not_a_workbook"
    parts = {"[Content_Types].xml": b"<x", "xl/workbook.xml": b"<x"}
    assert refused(packed(tmp_path / "bad.xlsx", parts)) == "damaged_file"
    old = tmp_path / "old.xls"
    old.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100))
    assert refused(old) == "old_or_encrypted_excel"


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = book_of(tmp_path / "t.xlsx", [["age"], [1]])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/image.bin", bytes(60_000_000))
    assert path.stat().st_size < 100_000
    assert refused(path, limit=10_000_000) == "unpacked_too_large"
    path = book_of(tmp_path / "t.xlsx", [["age"], [1]])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", bytes(12_000_000))  # which would be in memory
    assert refused(path, limit=10_000_000) == "unpacked_too_large"


def test_cells_far_away_do_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell in the last row or column makes a sheet large, though the file is small."""
    monkeypatch.setattr(excel, "MAX_CELLS", 100_000)
    monkeypatch.setattr(excel, "MAX_ROWS", 10_000)
    book = openpyxl.Workbook()
    book.active["A1"] = "age"
    book.active["A200000"] = 1
    book.save(tmp_path / "far.xlsx")
    assert refused(tmp_path / "far.xlsx") == "sheet_too_large"
    book = openpyxl.Workbook()
    book.active["A1"] = "age"
    for row in range(2, 12):
        book.active.cell(row, 16_384, 1)
    book.save(tmp_path / "wide.xlsx")
    assert refused(tmp_path / "wide.xlsx") == "sheet_too_large"


def test_a_large_csv_file_from_a_small_parquet_file_is_refused(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"age": ["x" * 1000] * 100_000}), tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < 20_000
    assert refused(tmp_path / "t.parquet", limit=1_000_000) == "table_too_large"


def test_values_of_parquet(tmp_path: Path) -> None:
    table = pa.table(
        {
            "age": pa.array([1, None, 3], pa.int32()),
            "class": pa.array([" a", None, "b"]).dictionary_encode(),
            "when": pa.array([datetime(2024, 1, 31), None, datetime(2024, 1, 31, 8, 30)], pa.timestamp("ms")),
            "share": [0.5, math.nan, None],
            "yes": [True, False, None],
            "many": [[1, 2], [], None],
        }
    )
    parquet.write_table(table, tmp_path / "t.parquet")
    assert converted(tmp_path / "t.parquet")[0] == [
        ["age", "class", "when", "share", "yes", "many"],
        ["1", " a", "2024-01-31", "0.5", "True", "[1, 2]"],
        ["", "", "", "", "False", "[]"],
        ["3", "b", "2024-01-31T08:30:00", "", "", ""],
    ]


@given(st.binary(max_size=300), st.sampled_from([b"PK\x03\x04", b"PAR1", b"\xd0\xcf\x11\xe0"]))
def test_damaged_files_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes, magic: bytes) -> None:
    path = tmp_path_factory.mktemp("damaged") / "t"
    path.write_bytes(magic + content)
    assert refused(path) in ("damaged_file", "old_or_encrypted_excel", "not_a_workbook")


def test_a_damaged_part_of_a_file_is_refused(tmp_path: Path) -> None:
    path = book_of(tmp_path / "t.xlsx", [["age"], *[[n] for n in range(5000)]])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = parts[sheet][:-5000]
    assert refused(packed(path, parts)) == "damaged_file"
    parquet.write_table(pa.table({"age": list(range(100_000))}), tmp_path / "t.parquet")
    data = bytearray((tmp_path / "t.parquet").read_bytes())
    data[1000:50_000] = bytes(49_000)
    (tmp_path / "t.parquet").write_bytes(data)
    assert refused(tmp_path / "t.parquet") == "damaged_file"


def test_an_entity_bomb_is_refused(tmp_path: Path) -> None:
    path = book_of(tmp_path / "t.xlsx", [["age"], [1]])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    entities = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(12))
    bomb = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "ha">{entities}]>'
    sheet = parts["xl/worksheets/sheet1.xml"].decode().replace("<v>1</v>", "<v>&e12;</v>")
    parts["xl/worksheets/sheet1.xml"] = (bomb + sheet.split("?>", 1)[-1]).encode()
    assert refused(packed(path, parts)) == "damaged_file"


def test_a_table_that_excel_can_not_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel, "MAX_ROWS", 10)
    with pytest.raises(RequestRefused) as caught:
        written(tmp_path, EXCEL, ["a"], [["1"]] * 10)
    assert caught.value.code == "too_large_for_excel"
    written(tmp_path, EXCEL, ["a"], [["1"]] * 9)


def test_columns_of_downloads_have_types(tmp_path: Path) -> None:
    header = ["id", "age", "share", "when", "note"]
    rows = [["007", "38", "0.5", "2024-01-31", "=1+1"], ["008", "NA", "1e-3", "", "x"]]
    table = parquet.read_table(written(tmp_path, PARQUET, header, rows))
    assert [str(each) for each in table.schema.types] == ["string", "int64", "double", "date32[day]", "string"]
    sheet = openpyxl.load_workbook(written(tmp_path, EXCEL, header, rows)).active
    assert [cell.value for cell in sheet[2]] == ["007", 38, 0.5, datetime(2024, 1, 31), "=1+1"]
    assert [cell.data_type for cell in sheet[2]] == ["s", "n", "n", "d", "s"]
    assert (sheet.freeze_panes, sheet["A1"].font.bold) == ("A2", True)


@given(st.text())
def test_numbers_are_those_of_the_contract(cell: str) -> None:
    found = number_of(cell)
    assert found is None or found == read_number(cell)


def upload(web: FlaskClient, path: Path) -> str:
    """Upload a file; returns the address of its page when it is checked."""
    response = web.post("/models/people/table", data={"table": (io.BytesIO(path.read_bytes()), path.name)})
    wait_until_idle(web, response.headers["Location"])
    return response.headers["Location"]


@pytest.mark.parametrize("chosen", FORMATS, ids=lambda each: each.name)
def test_a_table_of_any_format_is_scored_and_downloaded_in_all(
    web: FlaskClient, fake: FakeClient, tmp_path: Path, chosen: Any
) -> None:
    header, *rows = csv.reader(table_of(fake, ["38", "old", "40"]).decode().splitlines())
    job = upload(web, written(tmp_path, chosen, header, rows))
    page = scored(web, job)
    assert row_counts(page) == (3, 0, 0)
    assert fake.requests[0]["native-country"] == COUNTRIES[0]
    for other in FORMATS:
        response = web.get(f"{job}/answers.{other.extension}")
        assert f"table-answers.{other.extension}" in response.headers["Content-Disposition"]
        path = tmp_path / f"answers.{other.extension}"
        path.write_bytes(response.data)
        response.close()
        found = converted(path, known={"age"})[0]
        assert found[0] == [*header, "prediction", "probability", "warnings", "error"]
        assert [row[4] for row in found[1:]] == ["38", "old", "40"]
        assert [float(row[8]) for row in found[1:]] == [0.94] * 3
    assert code_of_error(web.get(f"{job}/answers.doc").text) == "unknown_format"


def test_a_file_with_a_problem_is_an_error_on_its_page(web: FlaskClient, tmp_path: Path) -> None:
    job = upload(web, book_of(tmp_path / "t.xlsx", [["age"], ["=1+1"]]))
    page = web.get(job).text
    assert (job_state(page), codes(page)[0]) == ("failed", "formula_without_value")


def test_the_page_names_the_sheet(web: FlaskClient, fake: FakeClient, tmp_path: Path) -> None:
    rows = list(csv.reader(table_of(fake, ["38"]).decode().splitlines()))
    page = web.get(upload(web, book_of(tmp_path / "t.xlsx", [["Read me"]], rows))).text
    assert "Read from the sheet “Sheet 2”." in page
    assert findings(page) == {"no_problems": 0}


@pytest.mark.parametrize("chosen", [EXCEL, PARQUET], ids=lambda each: each.name)
def test_without_the_package_the_message_names_it(
    web: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: Any
) -> None:
    path = written(tmp_path, chosen, ["age"], [["1"]])
    monkeypatch.setattr(type(chosen), "module", "no_such_package")
    page = web.get(upload(web, path)).text
    assert codes(page)[0] == "format_not_installed"
    assert "Save the table as CSV." in page
    assert "operator" not in page
    assert code_of_error(web.get(f"/models/people/sample.{chosen.extension}").text) == "format_not_installed"
    assert f"sample.{chosen.extension}" not in web.get("/models/people/table").text
    assert files.available()[0] is CSV


@pytest.mark.parametrize("chosen", FORMATS, ids=lambda each: each.name)
def test_files_to_start_from(web: FlaskClient, fake: FakeClient, tmp_path: Path, chosen: Any) -> None:
    fake.schemas["people"]["ui"] = {"examples": [{"title": "Old", "record": {"age": 80}}]}
    columns = list(fake.schemas["people"]["record"]["properties"])
    for rows in ("template", "sample"):
        response = web.get(f"/models/people/{rows}.{chosen.extension}")
        assert f"people-{rows}.{chosen.extension}" in response.headers["Content-Disposition"]
        (tmp_path / rows).write_bytes(response.data)
        found = converted(tmp_path / rows, known=columns)[0]
        assert found[0] == columns
        if rows == "template":
            assert len(found) == 1
            continue
        assert len(found) == 12  # the header, the plausible record, one example, nine random ones
        assert found[2][4] == "80"
        preview = preview_table(tmp_path / "table.csv", fake.schemas["people"], lambda row: None)
        assert (preview.missing, preview.problems) == ([], [])
    assert web.get("/models/people/other.csv").status_code == 404
    assert code_of_error(web.get("/models/fruit/sample.csv").text) == "tables_not_supported"


def test_sample_rows_leave_out_what_the_model_computes(web: FlaskClient, fake: FakeClient, tmp_path: Path) -> None:
    when = {"type": ["string"], "default": "2024-01-31", "x-fastmar": {"kind": "date"}}
    rules = {"allOf": [{"anyOf": [{"required": ["sale"]}, {"required": ["saleYear", "saleDay"]}]}]}
    described = schema("people", {"sale": when, "saleYear": number(1), "saleDay": number(1)}, rules=rules)
    described["record"]["required"] = []
    fake.schemas["people"] = described
    (tmp_path / "s").write_bytes(web.get("/models/people/sample.xlsx").data)
    rows = converted(tmp_path / "s", known={"sale"})[0]
    assert rows[:2] == [["sale"], ["2024-01-31"]]
    assert all(as_date(cell) for [cell] in rows[1:])


def test_the_limit_of_a_converted_table_is_that_of_the_settings(
    make_app: Callable[..., Flask], fake: FakeClient, tmp_path: Path
) -> None:
    web = make_app(table_bytes=20_000).test_client()
    header, *rows = csv.reader(table_of(fake, ["38"] * 1000).decode().splitlines())
    path = written(tmp_path, PARQUET, header, rows)
    assert path.stat().st_size < 20_000
    assert codes(web.get(upload(web, path)).text)[0] == "table_too_large"
