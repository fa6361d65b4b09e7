"""CSV files are split into the cells and errors of `csv_rows`, whichever parser reads them."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastmar_bulk.sources import Reading, csv_files, open_source
from fastmar_client.errors import CsvUnreadable
from fastmar_contract.csv_rows import UTF8, CsvFile
from fastmar_contract.errors import TableUnreadable
from tests.runtime import tiny

NAMES = [field.name for field in tiny.FIELDS]
HEADER = ",".join(NAMES)
CELLS = st.text(st.sampled_from('a1 ,;"\n\r\té\x00'), max_size=5)
ROWS = st.lists(CELLS, min_size=0, max_size=7).map(",".join)
QUOTED = st.lists(st.text(st.sampled_from("a1, ;"), max_size=4).map(lambda cell: f'"{cell}"'), min_size=5, max_size=5)


def expected_rows(data: bytes, encoding: str = UTF8) -> tuple[list[list[str]], dict[int, str]]:
    rows = list(CsvFile(io.BytesIO(data), NAMES, encoding=encoding))
    return [row.cells for row in rows], {at: row.error.code for at, row in enumerate(rows) if row.error is not None}


def read_rows(path: Path, rows: int, encoding: str = UTF8) -> tuple[list[list[str]], dict[int, str]]:
    """Cells and codes of errors of all chunks."""
    source = open_source(str(path), Reading(tiny.spec(), rows, encoding))
    cells: list[list[str]] = []
    codes: dict[int, str] = {}
    for chunk in source.chunks(source.names):
        table = chunk.load()
        assert table.is_text
        codes |= {len(cells) + row: error.code for row, error in table.faults.items()}
        columns = [table.columns[name].to_pylist() for name in source.names]
        cells += [list(row) for row in zip(*columns, strict=True)]
    source.close()
    return cells, codes


def assert_same(folder: Path, data: bytes, name: str = "table.csv", encoding: str = UTF8) -> None:
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    try:
        expected = expected_rows(data, encoding)
    except TableUnreadable:
        with pytest.raises(CsvUnreadable):
            read_rows(path, 3, encoding)
        return
    if not expected[0]:
        return
    for rows in (1, 3, 1000):
        assert read_rows(path, rows, encoding) == expected


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@settings(max_examples=150)
@given(
    lines=st.lists(st.one_of(ROWS, QUOTED.map(",".join)), max_size=8),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.sampled_from(["", "\n"]),
    bom=st.sampled_from(["", "\ufeff"]),
)
@example(lines=["1,2,3,4,5", ",,,,", "1,2"], end="\r\n", last="", bom="\ufeff")
@example(lines=['a","b","c,2,3,4,5'], end="\n", last="", bom="")
@example(lines=['"1",2,3,4,"5"', '1,2,3,4,""', "", '"a,b",2,3,4,5'], end="\n", last="\n", bom="")
def test_cells_and_errors(folder: Path, lines: list[str], end: str, last: str, bom: str) -> None:
    assert_same(folder, (bom + end.join([HEADER, *lines]) + last).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"1,2,3,4,5\n\xff,2,3,4,5\n",
        b"1,2,3,4,5\r1,2,3,4,6\r",
        b'1,2,3,4,"' + b"a" * 1_000_001 + b'"\n1,2,3,4,5\n',
        b"1,2,3,4," + b"a" * 1_000_001 + b"\n1,2,3,4,5\n",
        b"1,2,3,4,5\n\n\n6,7,8,9,0\n,,,,\n1,2,3,4\n1,2,3,4,5,6\n",
    ],
)
def test_unusual_files(folder: Path, data: bytes) -> None:
    assert_same(folder, HEADER.encode() + b"\n" + data)


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252", "utf-8"])
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_encodings_and_compression(folder: Path, encoding: str, name: str) -> None:
    assert_same(folder, f"{HEADER}\né,1,2,3,4\n5,6,7,8,ü\n".encode(encoding), name, encoding)


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_delimiters(folder: Path, delimiter: str) -> None:
    assert_same(folder, (HEADER + "\n" + '1,"2",3,4,a.b\n' * 3).replace(",", delimiter).encode())


def test_ordinary_files_are_parsed_by_arrow(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "ordinary.csv"
    path.write_text(HEADER + "\n" + '1,"2, 3",3,4,5\r\n' * 100 + "é,,,,5\r\n" * 100)
    expected = expected_rows(path.read_bytes())
    source: Any = open_source(str(path), Reading(tiny.spec(), 10, UTF8))
    monkeypatch.setattr(csv_files, "CsvFile", None)
    tables = [chunk.load() for chunk in source.chunks(["age"])]
    found = [cell for table in tables for cell in table.columns["age"].to_pylist()]
    assert found == [cells[3] for cells in expected[0]]
    source.close()
    assert len(tables) > 2
