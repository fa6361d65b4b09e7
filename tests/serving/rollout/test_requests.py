from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fastmar_client import RecordRefused, ServerFailed, Timeout, Unauthorized
from fastmar_contract.errors import TableUnreadable
from fastmar_contract.files import CSV, JSON, LINES, InputUnreadable
from fastmar_serving.rollout.requests import Request, read_requests, sample, send_request, split

RECORDS = [{"a": 1, "b": "x"}, {"a": 2.5, "b": None}, {"a": -1, "b": 'ü "quoted", with\na line'}]


def test_reads_every_format_of_predict(tmp_path: Path, second: Path) -> None:
    (tmp_path / "many.json").write_text(json.dumps(RECORDS))
    (tmp_path / "one.json").write_text(json.dumps(RECORDS[0]))
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, RECORDS)) + "\n\n")
    (tmp_path / "table.csv").write_text("age,workclass\n1,x\n\n2,\nonly one cell\n")
    (tmp_path / "tabs.tsv").write_text('age\tworkclass\n1\t"a, b"\n')
    Image.new("RGB", (2, 2)).save(tmp_path / "picture.png")
    names = ["many.json", "one.json", "lines.jsonl", "table.csv", "tabs.tsv", "picture.png"]
    requests = list(read_requests([str(tmp_path / name) for name in names], second))
    counts = Counter(each.where.partition(", ")[0] for each in requests)
    assert counts == dict(zip(names, [3, 1, 3, 2, 1, 1], strict=True))
    assert [json.loads(each.body()) for each in requests[:7]] == [*RECORDS, RECORDS[0], *RECORDS]
    assert [each.content_type for each in requests] == [JSON] * 7 + [CSV] * 3 + ["application/octet-stream"]
    assert requests[1].where == "many.json, record 1"
    assert requests[8].body() == b"age,workclass\r\n2,\r\n"
    assert requests[9].body() == b'age,workclass\r\n1,"a, b"\r\n'
    assert requests[10].body() == (tmp_path / "picture.png").read_bytes()


def test_refuses_a_table_without_columns_of_the_model(tmp_path: Path, second: Path) -> None:
    (tmp_path / "table.csv").write_text("colour,size\nred,7\n")
    with pytest.raises(TableUnreadable) as caught:
        list(read_requests([str(tmp_path / "table.csv")], second))
    assert "table.csv" in caught.value.message


def test_names_the_file_with_invalid_json(tmp_path: Path, second: Path) -> None:
    (tmp_path / "rows.json").write_text("{'age': 1}")
    with pytest.raises(InputUnreadable) as caught:
        list(read_requests([str(tmp_path / "rows.json")], second))
    assert "rows.json" in caught.value.message


def test_warns_of_skipped_rows(tmp_path: Path, second: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "table.csv").write_text("age,workclass\n1,x\nonly one cell\n2,y,z\n")
    assert len(list(read_requests([str(tmp_path / "table.csv")], second))) == 1
    warning = capsys.readouterr().err
    assert "table.csv" in warning
    assert "2 unreadable rows" in warning
    assert "1 cells" in warning


@given(st.lists(st.lists(st.text(max_size=8), min_size=2, max_size=2), max_size=6))
def test_split_keeps_the_cells_of_each_row(rows: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["first", "second"], *rows])
    try:
        body = text.getvalue().encode()
    except UnicodeEncodeError:  # a lone surrogate: no file has one
        return
    read = [list(csv.reader(io.StringIO(part.decode(), newline=""))) for part, _ in split(body, CSV, ["first"])]
    assert read == [[["first", "second"], row] for row in rows if any(row)]  # rows without any text are skipped


bodies = st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace"))


@given(st.sampled_from([JSON, LINES, CSV]), bodies)
def test_split_reads_or_refuses_any_content(content_type: str, body: bytes) -> None:
    try:
        for part, kind in split(b"a,b\n" * (content_type == CSV) + body, content_type, ["a"]):
            assert isinstance(part, bytes)
            assert kind in (JSON, CSV)
    except (InputUnreadable, TableUnreadable):
        pass


json_values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@given(st.recursive(json_values, st.lists, max_leaves=8))
def test_split_does_not_change_records(record: Any) -> None:
    [(part, _)] = split(json.dumps([record]).encode(), JSON, [])
    assert json.loads(part) == record


@given(st.integers(0, 50), st.integers(1, 20))
def test_a_sample_is_in_order_and_within_the_limit(count: int, limit: int) -> None:
    chosen = sample(range(count), limit)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(count, limit)
    assert chosen == sample(range(count), limit)


def test_a_sample_is_uniform() -> None:
    seen = Counter(item for seed in range(2000) for item in sample(range(10), 3, seed))
    assert min(seen.values()) > 500  # of 600 expected
    assert max(seen.values()) < 700


def test_refusals_and_failures_become_answers_but_a_wrong_key_raises() -> None:
    class Client:
        def __init__(self, error: Exception) -> None:
            self.error = error

        def predict_body(self, *_: Any) -> Any:
            raise self.error

    for error in (RecordRefused, ServerFailed, Timeout):
        [answer] = send_request(Client(error("no", fix="-")), "m", "1", Request("x", b"{}"))  # type: ignore[arg-type]
        assert answer["error"]["message"] == "no"
    with pytest.raises(Unauthorized):
        send_request(Client(Unauthorized("no", fix="-")), "m", "1", Request("x", b"{}"))  # type: ignore[arg-type]
