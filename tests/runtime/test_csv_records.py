from __future__ import annotations

import io
from unittest.mock import ANY

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmar_contract.cells import NULLS
from fastmar_contract.csv_rows import NO_HEADER
from fastmar_contract.errors import RecordError, RequestError
from fastmar_contract.values import CATEGORY, DATE, NUMBER
from fastmar_runtime.csv_records import names_columns, read_csv
from fastmar_runtime.spec import Field
from tests.runtime import tiny


def one(text, *fields):
    (record,) = read_csv(text, fields or tiny.FIELDS)
    return record


def category(cell, *categories):
    return one(f"c,n\n{cell},1\n", Field("c", CATEGORY, categories=categories), Field("n", NUMBER))["c"]


def number(cell):
    return one(f"c,n\nx,{cell}\n", Field("c", CATEGORY, categories=("x",)), Field("n", NUMBER))["n"]


class TestLayout:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("bom", ["", "\ufeff"])
    def test_delimiters_and_line_ends(self, delimiter, end, bom):
        lines = [["workclass", "age"], [" Private", "49"], [" State-gov", "20.5"]]
        text = bom.removeprefix("\ufeff") + end.join(delimiter.join(line) for line in lines) + end
        assert read_csv(text, tiny.FIELDS) == [
            {"workclass": " Private", "age": 49.0},
            {"workclass": " State-gov", "age": 20.5},
        ]

    def test_last_line_needs_no_end(self):
        assert one("age,hours\n1,2") == {"age": 1.0, "hours": 2.0}

    def test_one_column(self):
        assert read_csv("age\n1\n2\n", tiny.FIELDS) == [{"age": 1.0}, {"age": 2.0}]

    def test_empty_lines_are_skipped_as_pandas_skips_them(self):
        assert read_csv("\n\r\nage,hours\n\n1,2\n\n\n3,4\n\n", tiny.FIELDS) == [
            {"age": 1.0, "hours": 2.0},
            {"age": 3.0, "hours": 4.0},
        ]

    def test_quotes(self):
        text = 'workclass,age\n"a, ""b""\nc",1\n'
        assert one(text) == {"workclass": 'a, "b"\nc', "age": 1.0}

    def test_the_delimiter_that_finds_most_columns_is_used(self):
        fields = (Field("a,b,c", NUMBER), Field("d", NUMBER))
        assert one('"a,b,c";d\n1;2\n', *fields) == {"a,b,c": 1.0, "d": 2.0}

    def test_delimiters_in_cells_do_not_count(self):
        assert one("workclass,age\na;b;c;d,1\n") == {"workclass": "a;b;c;d", "age": 1.0}

    @pytest.mark.parametrize("row", ["1", "1,2,3", "1,2,"])
    def test_only_the_ragged_row_is_refused(self, row):
        first, bad, last = read_csv(f"age,hours\n1,2\n{row}\n3,4\n", tiny.FIELDS)
        assert (first, last) == ({"age": 1.0, "hours": 2.0}, {"age": 3.0, "hours": 4.0})
        assert isinstance(bad, RecordError)
        assert bad.code == "ragged_row"
        assert f"{row.count(',') + 1} cells" in bad.message

    def test_reading_stops_at_the_maximum_of_records(self):
        table = 'age,hours\n1,2\n\n3\n5,6\n7,"a quote that is never closed\n'
        first, bad, _, last = read_csv(table, tiny.FIELDS)
        assert last.code == "bad_row"
        assert read_csv(table, tiny.FIELDS, 2) == [first, ANY]
        assert (first, bad.code) == ({"age": 1.0, "hours": 2.0}, "ragged_row")

    def test_header_alone(self):
        assert read_csv("age,hours\n", tiny.FIELDS) == []

    def test_columns_of_the_model_and_others(self):
        assert one("extra,age\nx,1\n") == {"extra": "x", "age": 1.0}

    def test_names_must_match_exactly(self):
        assert one("age, hours\n1,2\n") == {"age": 1.0, " hours": "2"}


class TestRefusals:
    @pytest.mark.parametrize("text", ["", "\n", "49, Private\n", "x|y\n1|2\n"])
    def test_no_header(self, text):
        with pytest.raises(RequestError) as caught:
            read_csv(text, tiny.FIELDS)
        assert caught.value.code == NO_HEADER
        assert "workclass,grade,vip" in caught.value.fix

    def test_a_repeated_column(self):
        with pytest.raises(RequestError) as caught:
            read_csv("age,hours,age\n1,2,3\n", tiny.FIELDS)
        assert caught.value.code == "table_unreadable"
        assert "'age'" in caught.value.message

    def test_a_column_repeated_a_million_times(self):
        """A search for each column in the whole header would take hours."""
        with pytest.raises(RequestError) as caught:
            read_csv("age," * 1_000_000, tiny.FIELDS)
        assert "1,000,001" in caught.value.message

    def test_a_long_header_for_a_model_of_many_columns(self):
        """A search for each column among all columns of the model would take minutes."""
        fields = [Field(f"column {number}", NUMBER) for number in range(3000)]
        assert read_csv("column 7," + "x," * 19_000, fields) == []

    def test_a_huge_cell(self):
        damaged, good = read_csv(f"age,workclass\n1,{'x' * 1_000_001}\n2,a\n", tiny.FIELDS)
        assert (damaged.code, good) == ("bad_row", {"age": 2.0, "workclass": "a"})
        assert "line 2 " in damaged.message

    def test_rows_after_an_unclosed_quote_are_read(self):
        damaged, *good = read_csv('age,workclass\n1,"oops\n2,b\n3,c\n', tiny.FIELDS)
        assert (damaged.code, len(good)) == ("bad_row", 2)

    def test_a_long_first_line_is_cut(self):
        with pytest.raises(RequestError) as caught:
            read_csv("x" * 10_000 + "\n1\n", tiny.FIELDS)
        assert len(caught.value.message) < 300


class TestNumbers:
    @pytest.mark.parametrize(
        ("cell", "value"),
        [("39", 39.0), (" 39 ", 39.0), ("-1e3", -1000.0), (".5", 0.5), ("True", True), ("false", False)],
    )
    def test_numbers(self, cell, value):
        assert number(cell) == value

    @pytest.mark.parametrize("cell", sorted(NULLS))
    def test_nulls(self, cell):
        assert number(cell) is None

    @pytest.mark.parametrize("cell", ["abc", "1_000", "1.000.000", "12 kg", "0x10", "$5", " "])
    def test_other_text_is_kept(self, cell):
        assert number(cell) == cell

    def test_a_decimal_comma_is_kept_as_text(self):
        assert one("age;hours\n1,5;2\n") == {"age": "1,5", "hours": 2.0}


class TestCategories:
    def test_strings_keep_their_spaces(self):
        assert category(" a ", " a ", "b") == " a "
        assert category(" never seen", " a ") == " never seen"

    @pytest.mark.parametrize("word", ["NA", "None", "null"])
    def test_a_null_word_may_be_a_category(self, word):
        assert category(word, word, "b") == word
        assert category(word, "a", "b") is None

    def test_numbers_of_string_vocabularies_stay_strings(self):
        assert category("3", "3", "7") == "3"
        assert category("4", "3", "7") == "4"
        assert category("True", "a") == "True"

    @pytest.mark.parametrize(("cell", "value"), [("3", 3), ("3.0", 3), ("x", "x"), ("", None), ("True", "True")])
    def test_number_vocabularies(self, cell, value):
        got = category(cell, 3, 7)
        assert got == value
        assert not isinstance(got, bool)

    def test_large_identifiers_keep_their_last_digit(self):
        assert category("9007199254740993", 9007199254740992, 9007199254740993) == 9007199254740993

    @pytest.mark.parametrize(
        ("cell", "value"),
        [("True", True), ("true", True), ("FALSE", False), ("1", 1), ("0", 0), ("", None), ("yes", "yes")],
    )
    def test_bool_vocabularies(self, cell, value):
        assert category(cell, False, True) == value

    def test_mixed_vocabularies(self):
        assert category("2", 2, "1", "3") == 2
        assert category("3", 2, "1", "3") == "3"

    def test_dates_stay_text(self):
        fields = (Field("d", DATE), Field("n", NUMBER))
        assert one("d,n\n2024-01-31,1\n", *fields)["d"] == "2024-01-31"
        assert one("d,n\n,1\n", *fields)["d"] is None

    def test_aliases_of_a_date(self):
        fields = tiny.date_spec().fields
        assert one("sale,saleYear\nNA,2024\n", *fields) == {"sale": None, "saleYear": 2024.0}
        assert one("saleDate\n2024-01-31\n", *fields) == {"saleDate": "2024-01-31"}


CELLS = st.text(alphabet=st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00\r"), max_size=8)


@given(
    st.lists(
        st.tuples(
            CELLS, st.sampled_from([3, 7, 11]), st.booleans(), st.floats(-1e9, 1e9) | st.integers(-(10**9), 10**9)
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([",", ";", "\t"]),
)
def test_reads_csv_of_pandas_like_pandas(rows, delimiter):
    pandas = pytest.importorskip("pandas")
    names = ["workclass", "grade", "vip", "hours"]
    text = pandas.DataFrame(rows, columns=names).to_csv(index=False, sep=delimiter, lineterminator="\n")
    table = pandas.read_csv(
        io.StringIO(text), sep=delimiter, dtype={"workclass": str, "hours": "float64"}, lineterminator="\n"
    )
    records = read_csv(text, tiny.FIELDS)
    assert len(records) == len(rows)
    for ours, theirs in zip(records, table.to_dict("records"), strict=True):
        for name in names:
            if pandas.isna(theirs[name]):
                # pandas does not know the vocabulary, where "NA" is a category
                assert ours[name] is None or (name == "workclass" and ours[name] == "NA")
            elif name == "hours":  # pandas before 3 may be off by the last bit
                assert ours[name] == pytest.approx(theirs[name], rel=1e-15)
            else:
                assert ours[name] == theirs[name]


def test_a_header_with_repeated_columns_is_recognized():
    assert names_columns("age,age,hours\n1,2,3\n", tiny.FIELDS)
    assert not names_columns('{"age": 3}', tiny.FIELDS)


def test_the_example_header_names_a_date_once():
    date = Field("saledate", DATE, optional=True, aliases=("sale_date", "sale date"))
    with pytest.raises(RequestError) as caught:
        read_csv("x\n1\n", [date, Field("age", NUMBER), Field("job", CATEGORY)])
    assert "saledate,age,job" in caught.value.fix
