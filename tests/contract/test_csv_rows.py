"""Rows of CSV in and out: every cell as it was, whatever a row is spoilt by, and no more than a row in memory."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmar_contract.csv_rows import CsvFile, CsvWriter, Row
from fastmar_contract.errors import RecordError, RequestError, TableUnreadable
from fastmar_runtime.csv_records import read_csv
from tests.runtime import tiny

KNOWN = ["workclass", "grade", "vip", "age", "hours"]


def read(text: str | bytes, known: list[str] = KNOWN, **options: Any) -> list[Row]:
    return list(opened(text, known, **options))


def opened(text: str | bytes, known: list[str] = KNOWN, **options: Any) -> CsvFile:
    return CsvFile(io.BytesIO(text.encode() if isinstance(text, str) else text), known, **options)


def cells(text: str | bytes, **options: Any) -> list[list[str]]:
    rows = read(text, **options)
    assert all(row.error is None for row in rows)
    return [row.cells for row in rows]


class TestLayout:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
    def test_delimiters_line_ends_and_marks(self, delimiter: str, end: str, bom: bytes) -> None:
        lines = [["workclass", "age"], ["a b", "1"], ["é", "2"]]
        rows = opened(bom + end.join(delimiter.join(line) for line in lines).encode())
        assert (rows.header, rows.delimiter, rows.has_bom) == (["workclass", "age"], delimiter, bom != b"")
        assert rows.line_end == ("\r\n" if end == "\r\n" else "\n")
        assert [row.cells for row in rows] == lines[1:]

    def test_quotes_and_line_ends_in_cells(self) -> None:
        assert cells('workclass,age\n"a, ""b""\nc\r\nd",1\nx,2') == [['a, "b"\nc\r\nd', "1"], ["x", "2"]]
        assert cells('"a\nb";age\n1;2\n') == [["1", "2"]]
        assert cells('5" pipe,age\n7" pipe,1\n') == [['7" pipe', "1"]]

    def test_empty_lines_are_no_rows_and_empty_cells_are(self) -> None:
        assert cells('\n\r\nage\n\n1\n""\n\n') == [["1"], [""]]

    def test_other_encodings(self) -> None:
        assert cells("workclass,age\né,1\n".encode("cp1252"), encoding="cp1252") == [["é", "1"]]
        assert cells("workclass,age\né,1\n".encode("utf-16"), encoding="utf-16") == [["é", "1"]]
        assert opened(b"\xef\xbb\xbfage\n1\n", encoding="UTF-8").header == ["age"]

    def test_columns_of_no_interest_may_have_one_name(self) -> None:
        assert opened("x,age,x\n1,2,3\n").header == ["x", "age", "x"]


class TestRefusals:
    @pytest.mark.parametrize("text", ["", "\n\n", "a,b\n1,2\n", "x|age\n", '"age\n1\n2\n'])
    def test_no_header(self, text: str) -> None:
        with pytest.raises(TableUnreadable, match="names no column of the model") as caught:
            opened(text)
        assert "workclass,grade,vip" in caught.value.fix

    def test_a_column_twice(self) -> None:
        with pytest.raises(TableUnreadable, match="'age' twice"):
            opened("age,hours,age\n")

    def test_more_columns_than_any_table_has(self) -> None:
        most = "age" + "," * 19_999
        assert len(opened(most).header) == 20_000
        with pytest.raises(TableUnreadable, match=r"header of the CSV has 20,001 columns") as caught:
            opened(most + ",")
        assert "20,000" in caught.value.fix

    def test_rows_that_are_far_too_short_do_not_fill_a_disk(self) -> None:
        """Each is filled up with empty cells, which could be many thousand times as much as the table itself."""
        rows = opened("age" + "," * 19_999 + "\n" + "1\n" * 100_000)
        handed_out: list[Row] = []
        with pytest.raises(
            TableUnreadable, match=r"far fewer cells than the header of the CSV, .* line \d+\."
        ) as caught:
            handed_out.extend(Row([], row.error) for row in rows)
        assert "a cell for each column" in caught.value.fix
        assert 100 < len(handed_out) < 1_000
        assert all(row.error for row in handed_out)

    def test_short_rows_of_a_usual_table_are_rows(self) -> None:
        rows = opened("age" + "," * 49 + "\n" + "1\n" * 30_000)
        assert sum(row.error is not None for row in rows) == 30_000

    def test_nonsense(self) -> None:
        with pytest.raises(TableUnreadable, match="no encoding 'klingon'"):
            opened("age\n", encoding="klingon")
        with pytest.raises(TableUnreadable, match="header of the CSV is not in UTF-8"):
            opened(b"age,\xe9\n1,2\n")

    def test_a_file_that_is_one_endless_line_does_not_fill_the_memory(self) -> None:
        class Endless(io.RawIOBase):
            read_so_far = 0

            def readable(self) -> bool:
                return True

            def seekable(self) -> bool:
                return True

            def seek(self, offset: int, whence: int = 0) -> int:
                self.read_so_far = offset
                return offset

            def readinto(self, buffer: Any) -> int:
                start = b"age\n" if self.read_so_far == 0 else b""
                buffer[:] = start + b"1" * (len(buffer) - len(start))
                self.read_so_far += len(buffer)
                return len(buffer)

        endless = Endless()
        rows = iter(CsvFile(io.BufferedReader(endless), ["age"]))  # type: ignore[type-var]
        with pytest.raises(TableUnreadable, match="line 2 of the CSV is over"):
            next(rows)
        assert endless.read_so_far < 20_000_000


class TestSpoiltRows:
    @pytest.mark.parametrize(("row", "fitted"), [("1", ["1", ""]), ("1,2,3", ["1", "2,3"]), ("1,2,3,", ["1", "2,3,"])])
    def test_a_ragged_row_keeps_all_that_it_has(self, row: str, fitted: list[str]) -> None:
        first, ragged, last = read(f"age,hours\n1,2\n{row}\n3,4\n")
        assert (first, last) == (Row(["1", "2"]), Row(["3", "4"]))
        assert ragged.cells == fitted
        assert ragged.error
        assert ragged.error.code == "ragged_row"

    def test_an_open_quote_spoils_its_own_line_alone(self) -> None:
        good = "".join(f"{number},x\n" for number in range(20_000))  # more than a cell may hold
        for text, place in (
            (f'age,workclass\n{good}1,"oops\n{good}', 20_000),
            (f'age,workclass\n{good}1,"oops', 20_000),
        ):
            rows = read(text)
            assert [place for place, row in enumerate(rows) if row.error] == [place]
            assert rows[place].cells == ["1", '"oops']
            assert rows[place].error.code == "bad_row"  # type: ignore[union-attr]
            assert f"line {place + 2} of" in rows[place].error.message  # type: ignore[union-attr]
            assert len(rows) == text.count("\n") + (not text.endswith("\n")) - 1

    def test_quotes_that_are_open_on_every_line_do_not_take_for_ever(self) -> None:
        """Each line is a row that goes on to the file's end, and is then read again for the next one."""
        rows = opened("age,workclass\n" + 'a""","""\n' * 4_000)
        handed_out: list[Row] = []
        said = r"too many quotes of the CSV are never closed, one of them in line \d+\."
        with pytest.raises(TableUnreadable, match=said) as caught:
            handed_out.extend(rows)
        assert "close each quote" in caught.value.fix
        assert all(row.error for row in handed_out)
        assert len(handed_out) < 100

    def test_quotes_that_are_open_on_many_lines_spoil_these_alone(self) -> None:
        good = "".join(f"{number},x\n" for number in range(300))
        rows = read("age,workclass\n" + f'1,"oops\n{good}' * 200)
        assert [place for place, row in enumerate(rows) if row.error] == list(range(0, 200 * 301, 301))

    def test_text_behind_a_quote(self) -> None:
        first, spoilt, last = read('age,workclass\n1,a\n2,"b"c\n3,d\n')
        assert (first.cells, last.cells) == (["1", "a"], ["3", "d"])
        assert spoilt.error
        assert spoilt.cells == ["2", '"b"c']

    def test_bytes_that_are_no_utf8(self) -> None:
        first, spoilt, last = read(b"age,workclass\n1,a\n2,caf\xe9\n3,\xc3\xa9\n")
        assert (first.cells, last.cells) == (["1", "a"], ["3", "é"])
        assert spoilt.error
        assert spoilt.error.code == "not_utf8"
        assert spoilt.cells == ["2", "caf\ufffd"]

    def test_a_long_cell_that_the_server_reads(self) -> None:
        program = """if True:
            import io, sys
            from fastmar_contract.csv_rows import CsvFile
            table = "age,workclass\\n1," + "x" * 999_999 + "\\n2," + "x" * 1_000_001 + "\\n3,a\\n"
            print([row.error is None for row in CsvFile(io.BytesIO(table.encode()), ["age"])])
        """
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("[True, False, True]\n", "")

    def test_a_limit_that_a_program_has_raised_stays(self) -> None:
        program = (
            "import csv, io; csv.field_size_limit(5_000_000); from fastmar_contract.csv_rows import CsvRows; "
            "CsvRows(io.StringIO('age'), ['age']); print(csv.field_size_limit())"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout == "5000000\n"

    def test_a_huge_cell(self) -> None:
        limit = csv.field_size_limit()
        first, spoilt, last = read(f"age,workclass\n1,a\n2,{'x' * (limit + 1)}\n3,b\n")
        assert (first.cells, last.cells) == (["1", "a"], ["3", "b"])
        assert spoilt.error


CELLS = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(
    ['"', ",", ";", "\t", "\r", "\n", "\r\n", ""]
)


@given(
    st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=6),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_what_was_written_is_read(rows: list[list[str]], delimiter: str, end: str, bom: bool) -> None:
    writer = CsvWriter(delimiter, end)
    text = writer.text([["age", "workclass", 'a "b" c'], *rows])
    found = opened((b"\xef\xbb\xbf" if bom else b"") + text.encode())
    handed_out = [(row.cells, row.error and row.error.code) for row in found]
    assert handed_out == [(row, None if any(row) else "empty_row") for row in rows]
    assert list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)) == [found.header, *rows]
    assert (found.delimiter, found.line_end, found.has_bom) == (delimiter, end, bom)


@given(st.text(st.sampled_from(list('ab1,;"\r\n\t é')), max_size=60))
def test_any_text_is_read_as_the_server_reads_it_row_for_row(text: str) -> None:
    """And where the server refuses the whole, for a row, only that row is refused here."""
    text = "age,workclass\n" + text
    rows = read(text)
    try:
        records = read_csv(text, tiny.FIELDS)
    except RequestError:
        assert any(row.error for row in rows)
        return
    errors = [isinstance(record, RecordError) for record in records]
    assert [row.error is not None for row in rows] == errors
    for row, record in zip(rows, records, strict=True):
        if row.error is None:
            again = CsvWriter().text([["age", "workclass"], row.cells])
            [reread] = read_csv(again, tiny.FIELDS)
            assert getattr(reread, "code", reread) == getattr(record, "code", record)
