"""DataFrames as records: duck-typed, streamed, and missing values as null."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.models import InProcess, people
from tests.client.scripted import Scripted, echo

from fastmar_client import Client
from fastmar_client.encoding import encode
from fastmar_client.frames import records_of


def sent(frame: pd.DataFrame) -> list[Any]:
    return [json.loads(encode(record)) for record in records_of(frame)]


def test_values_become_types_of_json() -> None:
    frame = pd.DataFrame(
        {
            "int": np.array([1, 2], dtype=np.int64),
            "float": [0.5, np.nan],
            "small": np.array([0.5, np.nan], dtype=np.float32),
            "nullable": pd.array([1, None], dtype="Int64"),
            "bool": [True, False],
            "text": ["a", None],
            "category": pd.Categorical(["x", None]),
            "when": pd.to_datetime(["2024-01-31 08:30", None]),
            "zoned": pd.to_datetime(["2024-01-31 08:30", None], utc=True),
            "object": [np.float64(1.5), pd.NA],
        }
    )
    assert sent(frame) == [
        {
            "int": 1,
            "float": 0.5,
            "small": 0.5,
            "nullable": 1,
            "bool": True,
            "text": "a",
            "category": "x",
            "when": "2024-01-31T08:30:00",
            "zoned": "2024-01-31T08:30:00+00:00",
            "object": 1.5,
        },
        {name: {"int": 2, "bool": False}.get(name) for name in frame.columns},
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (pd.NaT, None),
        (pd.NA, None),
        (np.datetime64("NaT"), None),
        (np.datetime64("2024-01-31T08:30:00", "ns"), "2024-01-31T08:30:00"),
        (np.datetime64("2024-01-31"), "2024-01-31T00:00:00"),
        (np.array(["2024-01-31", "NaT"], dtype="datetime64[ns]"), ["2024-01-31T00:00:00", None]),
        (np.str_("a"), "a"),
    ],
)
def test_single_values(value: Any, expected: Any) -> None:
    assert json.loads(encode({"x": value})) == {"x": expected}


@pytest.mark.parametrize("value", [np.timedelta64(1, "ns"), pd.Timedelta(1), pd.Interval(0, 1), pd.Period("2024")])
def test_refuses_types_without_a_json_equivalent(value: Any) -> None:
    with Client(transport=None) as client:
        [answer] = client.predict_many("m", [{"x": value}])
    assert answer["error"]["code"] == "not_json"


def test_frame_gets_the_answers_of_its_records(local: Client) -> None:
    frame = people(120).drop(columns="salary")
    answers = local.predict("adult", frame)
    as_records = [{k: None if v != v else v for k, v in row.items()} for row in frame.to_dict("records")]
    assert answers == [local.predict("adult", record) for record in as_records]
    assert answers == local.predict("adult", as_records)
    assert answers == list(local.predict_many("adult", frame, batch_size=7, concurrency=3))
    odd = frame.set_index(pd.Index(range(200, 320), name="age of the index"))
    assert local.predict("adult", odd) == answers
    assert local.predict("adult", frame.head(0)) == []


def test_rows_are_streamed(scripted: Scripted) -> None:
    class Counting(pd.DataFrame):
        read = 0

        def itertuples(self, *arguments: Any, **named: Any) -> Any:
            for row in super().itertuples(*arguments, **named):
                Counting.read += 1
                yield row

    scripted.reply = echo
    with Client(scripted.url) as client:
        answers = client.predict_many("m", Counting({"x": range(1000)}), batch_size=10, concurrency=2)
        assert next(answers) == {"prediction": {"x": 0}}
        assert 10 <= Counting.read <= 10 * 3
        assert len(list(answers)) == 999


@pytest.mark.parametrize("value", [None, 3, 2.5, object()])
def test_values_that_are_no_records(scripted: Scripted, value: Any) -> None:
    with Client(scripted.url) as client, pytest.raises(TypeError, match="Fix: "):
        client.predict("m", value)
    assert scripted.seen == []


def test_column_names() -> None:
    assert sent(pd.DataFrame({0: [1], "a b": [2]})) == [{"0": 1, "a b": 2}]
    with pytest.raises(TypeError) as caught:
        records_of(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    assert "'a'" in str(caught.value)
    with pytest.raises(TypeError) as caught:
        records_of(pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])))
    assert "('a', 'b')" in str(caught.value)


def test_frames_are_duck_typed(in_process: InProcess, local: Client) -> None:
    class Rows:
        columns = ("age", "hours-per-week", "workclass", "education")

        def itertuples(self, index: bool, name: str | None) -> Any:
            assert (index, name) == (False, None)
            return iter([(40, 40, " Private", " Masters")])

    [answer] = local.predict("adult", Rows())
    assert answer["warnings"] == []


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "f": st.floats(allow_infinity=False) | st.none(),
                "s": st.text() | st.none(),
                "b": st.booleans(),
                "i": st.integers(-(2**63), 2**63 - 1),
            }
        ),
        min_size=1,
        max_size=5,
    )
)
def test_frame_of_records_has_the_same_records(records: list[dict[str, Any]]) -> None:
    frame = pd.DataFrame(records, dtype=object)
    assert sent(frame) == [{k: None if v != v else v for k, v in record.items()} for record in records]
