"""Reading and writing CSV: cells are unchanged, a damaged row affects no other, memory use is bounded."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmar_contract.csv_rows import NO_HEADER, CsvFile, CsvWriter, Row
from fastmar_contract.errors import RecordError, RequestError, TableUnreadable
from fastmar_runtime.csv_records import read_csv
from tests.runtime import tiny

KNOWN = ["workclass", "grade", "vip", "age", "hours"]


def read(text: str | bytes, known: list[str] = KNOWN, **options: Any) -> list[Row]:
    return list(open_csv(text, known, **options))


def open_csv(text: str | bytes, known: list[str] = KNOWN, **options: Any) -> CsvFile:
    return CsvFile(io.BytesIO(text.encode() if isinstance(text, str) else text), known, **options)


def cells(text: str | bytes, **options: Any) -> list[list[str]]:
    rows = read(text, **options)
    assert all(row.error is None for row in rows)
    return [row.cells for row in rows]


class TestLayout:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
    def test_delimiters_line_ends_and_byte_order_marks(self, delimiter: str, end: str, bom: bytes) -> None:
        lines = [["workclass", "age"], ["a b", "1"], ["é", "2"]]
        rows = open_csv(bom + end.join(delimiter.join(line) for line in lines).encode())
        assert (rows.header, rows.delimiter, rows.has_bom) == (["workclass", "age"], delimiter, bom != b"")
        assert rows.line_end == ("\r\n" if end == "\r\n" else "\n")
        assert [row.cells for row in rows] == lines[1:]

    def test_quotes_and_line_ends_in_cells(self) -> None:
        assert cells('workclass,age\n"a, ""b""\nc\r\nd",1\nx,2') == [['a, "b"\nc\r\nd', "1"], ["x", "2"]]
        assert cells('"a\nb";age\n1;2\n') == [["1", "2"]]
        assert cells('5" pipe,age\n7" pipe,1\n') == [['7" pipe', "1"]]

    def test_empty_lines_are_skipped_and_rows_of_one_empty_cell_are_kept(self) -> None:
        assert cells('\n\r\nage\n\n1\n""\n\n') == [["1"], [""]]

    def test_other_encodings(self) -> None:
        assert cells("workclass,age\né,1\n".encode("cp1252"), encoding="cp1252") == [["é", "1"]]
        assert cells("workclass,age\né,1\n".encode("utf-16"), encoding="utf-16") == [["é", "1"]]
        assert open_csv(b"\xef\xbb\xbfage\n1\n", encoding="UTF-8").header == ["age"]

    def test_columns_that_the_model_does_not_use_may_share_a_name(self) -> None:
        assert open_csv("x,age,x\n1,2,3\n").header == ["x", "age", "x"]


class TestRefusals:
    @pytest.mark.parametrize("text", ["", "\n\n", "a,b\n1,2\n", "x|age\n", '"age\n1\n2\n'])
    def test_no_header(self, text: str) -> None:
        with pytest.raises(TableUnreadable) as caught:
            open_csv(text)
        assert caught.value.code == NO_HEADER
        assert "workclass,grade,vip" in caught.value.fix

    def test_a_repeated_column(self) -> None:
        with pytest.raises(TableUnreadable) as caught:
            open_csv("age,hours,age\n")
        assert caught.value.code == "table_unreadable"
        assert "'age'" in caught.value.message

    def test_too_many_columns(self) -> None:
        header = "age" + "," * 19_999
        assert len(open_csv(header).header) == 20_000
        with pytest.raises(TableUnreadable) as caught:
            open_csv(header + ",")
        assert "20,001" in caught.value.message
        assert "20,000" in caught.value.fix

    def test_padding_of_short_rows_is_limited(self) -> None:
        """Without a limit, the empty cells would take many thousand times as much memory as the table."""
        rows = open_csv("age" + "," * 19_999 + "\n" + "1\n" * 100_000)
        yielded: list[Row] = []
        with pytest.raises(TableUnreadable) as caught:
            yielded.extend(Row([], row.error) for row in rows)
        assert f"line {len(yielded) + 2}" in caught.value.message
        assert 100 < len(yielded) < 1_000
        assert all(row.error for row in yielded)

    def test_many_short_rows_below_a_usual_header_are_read(self) -> None:
        rows = open_csv("age" + "," * 49 + "\n" + "1\n" * 30_000)
        assert sum(row.error is not None for row in rows) == 30_000

    def test_an_unknown_encoding(self) -> None:
        with pytest.raises(TableUnreadable) as caught:
            open_csv("age\n", encoding="klingon")
        assert "'klingon'" in caught.value.message

    def test_a_header_that_is_not_utf8(self) -> None:
        with pytest.raises(TableUnreadable) as caught:
            open_csv(b"age,\xe9\n1,2\n")
        assert "UTF-8" in caught.value.message

    def test_an_endless_line_does_not_fill_the_memory(self) -> None:
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
        with pytest.raises(TableUnreadable) as caught:
            next(rows)
        assert "line 2 " in caught.value.message
        assert endless.read_so_far < 20_000_000


class TestDamagedRows:
    @pytest.mark.parametrize(("row", "fitted"), [("1", ["1", ""]), ("1,2,3", ["1", "2,3"]), ("1,2,3,", ["1", "2,3,"])])
    def test_a_ragged_row_keeps_all_its_text(self, row: str, fitted: list[str]) -> None:
        first, ragged, last = read(f"age,hours\n1,2\n{row}\n3,4\n")
        assert (first, last) == (Row(["1", "2"]), Row(["3", "4"]))
        assert ragged.cells == fitted
        assert ragged.error
        assert ragged.error.code == "ragged_row"

    def test_an_unclosed_quote_damages_only_its_line(self) -> None:
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

    def test_unclosed_quotes_on_every_line_are_refused_quickly(self) -> None:
        """Each line starts a row that extends to the end of the file; then the lines after it are read again."""
        rows = open_csv("age,workclass\n" + 'a""","""\n' * 4_000)
        yielded: list[Row] = []
        with pytest.raises(TableUnreadable) as caught:
            yielded.extend(rows)
        assert "quote" in caught.value.message
        assert all(row.error for row in yielded)
        assert len(yielded) < 100

    def test_unclosed_quotes_on_many_lines_damage_only_these_lines(self) -> None:
        good = "".join(f"{number},x\n" for number in range(300))
        rows = read("age,workclass\n" + f'1,"oops\n{good}' * 200)
        assert [place for place, row in enumerate(rows) if row.error] == list(range(0, 200 * 301, 301))

    def test_text_behind_a_quote(self) -> None:
        first, damaged, last = read('age,workclass\n1,a\n2,"b"c\n3,d\n')
        assert (first.cells, last.cells) == (["1", "a"], ["3", "d"])
        assert damaged.error
        assert damaged.cells == ["2", '"b"c']

    def test_bytes_that_are_not_utf8(self) -> None:
        first, damaged, last = read(b"age,workclass\n1,a\n2,caf\xe9\n3,\xc3\xa9\n")
        assert (first.cells, last.cells) == (["1", "a"], ["3", "é"])
        assert damaged.error
        assert damaged.error.code == "not_utf8"
        assert damaged.cells == ["2", "caf\ufffd"]

    def test_cells_up_to_a_million_characters_are_read(self) -> None:
        program = """if True:
            import io, sys
            from fastmar_contract.csv_rows import CsvFile
            table = "age,workclass\\n1," + "x" * 999_999 + "\\n2," + "x" * 1_000_001 + "\\n3,a\\n"
            print([row.error is None for row in CsvFile(io.BytesIO(table.encode()), ["age"])])
        """
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("[True, False, True]\n", "")

    def test_a_raised_field_size_limit_is_kept(self) -> None:
        program = (
            "import csv, io; csv.field_size_limit(5_000_000); from fastmar_contract.csv_rows import CsvRows; "
            "CsvRows(io.StringIO('age'), ['age']); print(csv.field_size_limit())"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout == "5000000\n"

    def test_a_huge_cell(self) -> None:
        limit = csv.field_size_limit()
        first, damaged, last = read(f"age,workclass\n1,a\n2,{'x' * (limit + 1)}\n3,b\n")
        assert (first.cells, last.cells) == (["1", "a"], ["3", "b"])
        assert damaged.error


CELLS = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(
    ['"', ",", ";", "\t", "\r", "\n", "\r\n", ""]
)


@given(
    st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=6),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_written_rows_are_read_back(rows: list[list[str]], delimiter: str, end: str, bom: bool) -> None:
    writer = CsvWriter(delimiter, end)
    text = writer.text([["age", "workclass", 'a "b" c'], *rows])
    found = open_csv((b"\xef\xbb\xbf" if bom else b"") + text.encode())
    yielded = [(row.cells, row.error and row.error.code) for row in found]
    assert yielded == [(row, None if any(row) else "empty_row") for row in rows]
    assert list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)) == [found.header, *rows]
    assert (found.delimiter, found.line_end, found.has_bom) == (delimiter, end, bom)


@given(st.text(st.sampled_from(list('ab1,;"\r\n\t é')), max_size=60))
def test_rows_agree_with_the_records_of_the_server(text: str) -> None:
    """If the server refuses the whole request because of a row, only that row has an error here."""
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
