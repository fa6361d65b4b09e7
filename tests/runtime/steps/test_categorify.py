from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmar_runtime.report import Report
from fastmar_runtime.steps import load_step

VOCABULARIES = {
    "strings": [" a", "3", "True", "b", " b"],
    "ints": [1, 3, 7],
    "bools": [False, True],
    "floats": [1.0, 1.5, 0.10000000149011612],  # the last is 0.1 in float32, as fastai stores it
    "mixed": [1, 2, "1", "3"],
    "timestamps": [{"timestamp": "2024-01-31T00:00:00"}, {"timestamp": "2024-02-01T08:30:00"}],
}

# Value: code in each vocabulary, in the order above; "~" marks a near miss, which gets a warning.
TABLE = [
    (None, 0, 0, 0, 0, 0, 0),
    ("#na#", 0, 0, 0, 0, 0, 0),
    ("", 0, 0, 0, 0, 0, 0),
    (" ", 0, 0, 0, 0, 0, 0),
    ("a", "~1", 0, 0, 0, 0, 0),
    (" a", 1, 0, 0, 0, 0, 0),
    ("a ", "~1", 0, 0, 0, 0, 0),
    ("\ta\n", "~1", 0, 0, 0, 0, 0),
    ("A", 0, 0, 0, 0, 0, 0),
    ("b", 4, 0, 0, 0, 0, 0),
    (" b", 5, 0, 0, 0, 0, 0),
    ("b ", 0, 0, 0, 0, 0, 0),  # matches two categories
    ("3", 2, 0, 0, 0, 4, 0),
    (" 3", "~2", 0, 0, 0, "~4", 0),
    (3, 0, 2, 0, 0, 0, 0),
    (3.0, 0, 2, 0, 0, 0, 0),
    ("3.0", 0, 0, 0, 0, 0, 0),
    (True, 0, 0, 2, 0, 1, 0),
    (False, 0, 0, 1, 0, 0, 0),
    ("True", 3, 0, 0, 0, 0, 0),
    ("true", 0, 0, 0, 0, 0, 0),
    ("False", 0, 0, 0, 0, 0, 0),
    (1, 0, 1, 2, 1, 1, 0),
    (0, 0, 0, 1, 0, 0, 0),
    (1.0, 0, 1, 2, 1, 1, 0),
    (0.0, 0, 0, 1, 0, 0, 0),
    (2, 0, 0, 0, 0, 2, 0),
    ("1", 0, 0, 0, 0, 3, 0),
    (1.5, 0, 0, 0, 2, 0, 0),
    ("1.5", 0, 0, 0, 0, 0, 0),
    (0.1, 0, 0, 0, 0, 0, 0),
    (0.10000000149011612, 0, 0, 0, 3, 0, 0),
    (math.inf, 0, 0, 0, 0, 0, 0),
    (10**30, 0, 0, 0, 0, 0, 0),
    (10**5000, 0, 0, 0, 0, 0, 0),
    ("2024-01-31", 0, 0, 0, 0, 0, 1),
    ("2024-01-31T00:00:00", 0, 0, 0, 0, 0, 1),
    (" 2024-01-31 00:00:00", 0, 0, 0, 0, 0, 1),
    ("2024-02-01", 0, 0, 0, 0, 0, 0),
    ("2024-01-31T00:00:00+00:00", 0, 0, 0, 0, 0, 0),
    ("31.01.2024", 0, 0, 0, 0, 0, 0),
]
CASES = [
    pytest.param(value, kind, expected, id=f"{kind}-{row}")
    for row, (value, *codes) in enumerate(TABLE)
    for kind, expected in zip(VOCABULARIES, codes, strict=True)
]


def encode(vocabulary, *values):
    report = Report(len(values))
    step = load_step({"step": "categorify", "vocabularies": {"c": vocabulary}})
    return step({"c": list(values)}, report)["c"], report.warnings


@pytest.mark.parametrize(("value", "kind", "expected"), CASES)
def test_codes_and_warnings(value, kind, expected):
    near = isinstance(expected, str)
    (code,), (warnings,) = encode(VOCABULARIES[kind], value)
    assert code == int(str(expected).lstrip("~"))
    if near:
        assert [w["code"] for w in warnings] == ["category_whitespace"]
    elif code or value is None:
        assert warnings == []
    else:
        assert [w["code"] for w in warnings] == ["unknown_category"]


OF_PANDAS = [c for c in CASES if "timestamps" not in c.id and not isinstance(c.values[2], str)]  # without near misses


@pytest.mark.parametrize(("value", "kind", "expected"), OF_PANDAS)
def test_codes_agree_with_pandas(value, kind, expected):
    """fastai computes ``pd.Categorical(column, categories=vocab).codes + 1``."""
    pandas = pytest.importorskip("pandas")
    row = pandas.Series([value], dtype=object)
    known = pandas.Index(VOCABULARIES[kind], dtype=object if kind in ("strings", "mixed") else None)
    numbers = kind in ("ints", "floats")
    if row.isna().all() or (numbers and isinstance(value, int) and value.bit_length() > 64):
        assert expected == 0  # pandas can't look up such integers
    else:
        found = -1 if numbers and isinstance(value, bool) else known.get_indexer(row)[0]
        assert found + 1 == expected


def test_warnings_name_field_value_and_category():
    _, (near, unknown, other_type) = encode([" a", 3], "a", "X", "3")
    assert [(w["field"], w["code"], w["value"]) for w in near] == [("c", "category_whitespace", "a")]
    assert "' a'" in near[0]["message"]
    assert (unknown[0]["field"], unknown[0]["value"]) == ("c", "X")
    assert "'X'" in unknown[0]["message"]
    assert "the number 3?" in other_type[0]["message"]


@pytest.mark.parametrize(
    ("vocabulary", "value", "hint"),
    [
        (["3"], 3, "the text '3'?"),
        ([False, True], "True", "the boolean true?"),
        (["True"], True, "the text 'True'?"),
        ([1.5], "1.5", "the number 1.5?"),
    ],
)
def test_a_warning_names_the_category_of_another_type(vocabulary, value, hint):
    _, (warnings,) = encode(vocabulary, value)
    assert hint in warnings[0]["message"]


def test_many_unknown_values_of_a_large_vocabulary_are_fast():
    step = load_step({"step": "categorify", "vocabularies": {"c": list(range(10_000))}})
    values = {"c": ["never seen"] * 2_000}
    report = Report(2_000)
    # A search through 10,000 categories for each of these takes several seconds.
    import time

    start = time.process_time()
    step(values, report)
    assert time.process_time() - start < 1


def test_columns_are_not_changed_in_place():
    column = ["x"]
    report = Report(1)
    batch = {"c": column, "other": [1]}
    step = load_step({"step": "categorify", "vocabularies": {"c": ["x"]}})
    assert step(batch, report) == {"c": [1], "other": [1]}
    assert column == ["x"]


def test_the_first_of_equal_categories_wins():
    assert encode([1, "x", 1.0], 1)[0] == [1]


SCALARS = st.text(max_size=4) | st.integers(-20, 20) | st.booleans() | st.floats(allow_nan=False)


@given(st.lists(st.text(max_size=4), unique=True, min_size=1) | st.lists(st.integers(), unique=True, min_size=1))
def test_a_known_category_always_gets_its_code(vocabulary):
    codes, warnings = encode(vocabulary, *vocabulary)
    assert codes == list(range(1, len(vocabulary) + 1))
    assert warnings == [[] for _ in vocabulary]


@given(st.lists(SCALARS, unique=True, max_size=6), SCALARS)
def test_anything_else_is_unknown_or_a_near_miss(vocabulary, value):
    (code,), (warnings,) = encode(vocabulary, value)
    numbers = all(type(x) in (int, float) for x in vocabulary)
    known = value in vocabulary and not (type(value) is bool and numbers)
    same = [x for x in vocabulary if isinstance(x, str) and isinstance(value, str) and x.strip() == value.strip()]
    if known:
        assert (code, warnings) == (vocabulary.index(value) + 1, [])
    elif len(same) == 1:
        assert vocabulary[code - 1] == same[0]
        assert warnings[0]["code"] == "category_whitespace"
    else:
        assert code == 0
        assert warnings[0]["code"] == "unknown_category"
