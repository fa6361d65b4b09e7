"""The database of a scored table, its charts, and the addresses of its pages."""

from __future__ import annotations

import csv
import math
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastmar_contract.cells import NULLS, read_number
from fastmar_web.presentation import Presentation, format_alike, format_share
from fastmar_web.tables import progress
from fastmar_web.tables.histograms import BINS, histogram, nice_width
from fastmar_web.tables.progress import Pace, format_duration
from fastmar_web.tables.result_links import choice_of, parameters
from fastmar_web.tables.result_view import MAX_BARS, MAX_ROWS, ResultView, result_view
from fastmar_web.tables.results import FAILED, WARNED, Choice, Results, opened
from fastmar_web.tables.results_writer import MAX_COLUMNS, MAX_MESSAGES, write_results

ANSWER = ["prediction", "probability", "warnings", "error"]
Rows = list[list[str]]


@contextmanager
def results_of(folder: Path, header: list[str], rows: Rows, inputs: int, **more: Any) -> Iterator[Results]:
    """The results of a table whose first `inputs` columns are those of the upload."""
    table, database = folder / "answers.csv", folder / "results.sqlite"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    write_results(table, database, inputs=inputs, delimiter=",", **more)
    with opened(database) as results:
        yield results


def view(results: Results, choice: Choice = Choice(), ui: Any = None, targets: Any = ("y",)) -> ResultView:  # noqa: B008
    texts = Presentation({"ui": ui or {}})
    return result_view(results, choice, {"targets": list(targets)}, texts, lambda **query: repr(query))


PEOPLE: Rows = [
    ["Ann", "38", "late", "0.75", "", ""],
    ["Bob", "7", "on time", "0.999999", "", ""],
    ["Cid", "", "late", "0.5", "age: is missing.", ""],
    ["Dan", "old", "", "", "", "'age' must be a number. Fix: send a number."],
    ["Eve", "100", "late", "1.0", "", ""],
]
HEADER = ["name", "age", *ANSWER]


@pytest.fixture
def people(tmp_path: Path) -> Iterator[Results]:
    with results_of(tmp_path, HEADER, PEOPLE, 2) as results:
        yield results


def test_rows_are_counted_by_label_state_and_message(people: Results) -> None:
    assert people.total == 5
    assert people.labels == [("late", 3), ("on time", 1)]
    assert people.states == {"fine": 3, WARNED: 1, FAILED: 1}
    assert [(each.row, each.state, each.count) for each in people.messages] == [(4, FAILED, 1), (3, WARNED, 1)]


@pytest.mark.parametrize(
    ("choice", "numbers"),
    [
        (Choice(), [1, 2, 3, 4, 5]),
        (Choice(label="late"), [1, 3, 5]),
        (Choice(label="nobody"), []),
        (Choice(state=FAILED), [4]),
        (Choice(state=WARNED, message=3), [3]),
        (Choice(message=4), [4]),
        (Choice(message=99), []),
        (Choice(descending=True), [5, 4, 3, 2, 1]),
        (Choice(sort=1), [2, 1, 5, 3, 4]),  # numbers, then the other cells in the order of the file
        (Choice(sort=3, descending=True), [5, 2, 1, 3, 4]),
        (Choice(sort=0, descending=True, label="late"), [5, 3, 1]),
        (Choice(sort=77), [1, 2, 3, 4, 5]),  # there is no such column
    ],
)
def test_rows_are_filtered_and_sorted(people: Results, choice: Choice, numbers: list[int]) -> None:
    found = [number for number, _, _ in people.rows(choice, 10)]
    assert sorted(found) == sorted(numbers)
    assert people.count(choice) == len(numbers)
    if choice.sort != 1:
        assert found == numbers


def test_a_page_of_rows(people: Results) -> None:
    assert [number for number, _, _ in people.rows(Choice(page=2), 2)] == [3, 4]
    assert people.rows(Choice(page=9), 2) == []


def test_a_page_beyond_the_last_one_is_the_last_one(tmp_path: Path) -> None:
    rows = [[str(n), "late", "0.9", "", ""] for n in range(MAX_ROWS + 1)]
    with results_of(tmp_path, ["n", *ANSWER], rows, 1) as results:
        found = view(results, Choice(page=10**9))
    assert (found.pages, found.choice.page, [line.number for line in found.lines]) == (2, 2, [MAX_ROWS + 1])
    assert set(found.links) == {"reset", "first", "previous"}


def test_names_of_ui_yaml_are_shown(people: Results) -> None:
    ui = {
        "fields": {"name": {"label": "First name", "choices": {"Ann": "Anna"}}, "age": {"unit": "years"}},
        "labels": {"late": {"name": "Too late"}},
    }
    found = view(people, Choice(label="late"), ui)
    assert [each.title for each in found.headings] == [
        "Row", "Prediction", "Probability", "Errors or warnings", "First name", "Age (years)",
    ]  # fmt: skip
    assert [each.name for each in found.headings][-2:] == ["name", "age"]
    assert [text for text, _ in found.lines[0].cells] == ["Too late", "75.0%", "", "Anna", "38"]
    assert [(bar.name, bar.count, bar.share, bar.chosen) for bar in found.bars] == [
        ("Too late", 3, "60.0%", True),
        ("on time", 1, "20.0%", False),
    ]
    assert [name for name, _ in found.chips] == ["Too late"]


def test_a_page_without_messages_has_no_column_for_them(people: Results) -> None:
    titles = [each.title for each in view(people, Choice(label="on time")).headings]
    assert titles == ["Row", "Prediction", "Probability", "Name", "Age"]


def test_a_chosen_bar_links_to_all_rows_and_an_error_has_no_label(people: Results) -> None:
    bars = {bar.name: bar for bar in view(people, Choice(label="late", sort=1)).bars}
    assert bars["late"].link == repr({"sort": 1})
    assert bars["on time"].link == repr({"label": "on time", "sort": 1})
    found = view(people, Choice(label="late"))
    assert found.messages["Errors"][0].link == repr({"rows": "errors", "message": 4})
    assert found.messages["Warnings"][0].link == repr({"label": "late", "rows": "warnings", "message": 3})
    assert view(people, Choice(state=FAILED)).bars[0].link == repr({"label": "late"})


def test_probabilities_are_in_bins_of_five_percent(people: Results) -> None:
    [found] = view(people).histograms
    assert [(each.text, each.count) for each in found.bins if each.count] == [
        ("50% to 55%", 1),
        ("75% to 80%", 1),
        ("95% to 100%", 2),
    ]
    assert len(found.bins) == 10
    assert found.facts == [("Lowest", "50.0%"), ("Median", "75.0%"), ("Highest", "100.0%")]


def test_predicted_numbers_have_a_histogram_and_no_labels(tmp_path: Path) -> None:
    rows = [[str(n), repr(n / 7), "", ""] for n in range(100)]
    with results_of(tmp_path, ["n", "prediction", "warnings", "error"], rows, 1, has_labels=False) as results:
        found = view(results, ui={"unit": "km"})
    [chart] = found.histograms
    assert not found.bars
    assert sum(each.count for each in chart.bins) == 100
    assert chart.facts == [("Lowest", "0.00 km"), ("Median", "7.00 km"), ("Highest", "14.14 km")]
    assert [line.cells[0][0] for line in found.lines[:3]] == ["0.00", "0.14", "0.29"]  # as many decimals in each row
    assert found.headings[1].title == "Prediction (km)"


def test_several_numbers_have_a_histogram_each(tmp_path: Path) -> None:
    header = ["n", "prediction_height", "prediction_width", "warnings", "error"]
    rows = [["1", "2.5", "7", "", ""], ["2", "", "", "", "no."]]
    with results_of(tmp_path, header, rows, 1, has_labels=False) as results:
        found = view(results, targets=["height", "width"], ui={"fields": {"width": {"label": "How wide"}}})
    assert [each.title for each in found.histograms] == ["Height", "How wide"]
    assert not found.bars


def test_several_labels_of_a_row_are_counted_each(tmp_path: Path) -> None:
    header = ["n", "prediction", "probability_cat", "probability_dog", "warnings", "error"]
    rows = [["1", "cat;dog", "0.9", "0.8", "", ""], ["2", "dog", "0.1", "0.7", "", ""], ["3", "", "0", "0", "", ""]]
    with results_of(tmp_path, header, rows, 1, splits_labels=True) as results:
        assert results.labels == [("dog", 2), ("cat", 1)]
        found = view(results, Choice(label="dog"), {"labels": {"dog": {"name": "a dog"}}})
        assert results.count(Choice(label="do")) == 0
    assert [line.number for line in found.lines] == [1, 2]
    assert [text for text, _ in found.lines[0].cells] == ["cat, a dog", "90.0%", "80.0%", "1"]


def test_labels_that_look_like_numbers_are_shown_as_they_are(tmp_path: Path) -> None:
    with results_of(tmp_path, ["n", *ANSWER], [["1", "02", "0.9", "", ""], ["2", "3", "0.8", "", ""]], 1) as results:
        found = view(results, Choice(label="02"))
    assert ([bar.name for bar in found.bars], [line.cells[0][0] for line in found.lines]) == (["02", "3"], ["02"])


def test_texts_that_are_all_different_are_not_listed_as_labels(tmp_path: Path) -> None:
    rows = [[str(n), f"text {n}", "", ""] for n in range(MAX_BARS + 1)]
    with results_of(tmp_path, ["n", "prediction", "warnings", "error"], rows, 1) as results:
        assert view(results).bars == []


def test_a_wide_table_is_shown_in_part(tmp_path: Path) -> None:
    header = [f"x{n}" for n in range(3000)]
    with results_of(tmp_path, [*header, *ANSWER], [["1"] * 3000 + ["late", "0.9", "", ""]], 3000) as results:
        found = view(results)
    assert len(found.headings) == MAX_COLUMNS + 3
    assert found.columns_left_out == 3000 - MAX_COLUMNS


def test_the_names_of_answers_may_be_taken(tmp_path: Path) -> None:
    header = ["prediction", "error", "fastmar_prediction", "probability", "warnings", "fastmar_error"]
    with results_of(tmp_path, header, [["mine", "oops", "late", "0.9", "", ""]], 2) as results:
        assert (results.labels, results.states) == ([("late", 1)], {"fine": 1})


def test_many_different_messages_are_listed_in_part(tmp_path: Path) -> None:
    rows = [["1", "", "", "", f"error {n}"] for n in range(500)]
    with results_of(tmp_path, ["n", *ANSWER], rows, 1) as results:
        found = view(results)
    assert (len(found.messages["Errors"]), found.more_messages) == (MAX_MESSAGES + 1, 500 - MAX_MESSAGES)


def test_an_unfinished_database_is_not_left(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), results_of(tmp_path, HEADER, PEOPLE, 2, on_row=stop):
        pass
    assert not (tmp_path / "results.sqlite").exists()
    with results_of(tmp_path, HEADER, PEOPLE, 2) as results, pytest.raises(sqlite3.OperationalError):
        results._database.execute("DELETE FROM rows")  # pages only read


cells = st.one_of(
    st.sampled_from(
        ["", "NA", "nan", "0", "007", "-1", "1e3", "inf", "True", " 7", "1_0", "1" * 17, "0.1", "٣", "x" * 500]
    ),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=8),
)


@given(st.lists(cells, min_size=1, max_size=30), st.booleans())
@example(["2", "10", "1", ""], False)
def test_any_cells_are_kept_and_numbers_are_sorted_as_numbers(
    tmp_path_factory: pytest.TempPathFactory, column: list[str], descending: bool
) -> None:
    rows = [[cell, "late", "0.9", "", ""] for cell in column]
    with results_of(tmp_path_factory.mktemp("cells"), ["x", *ANSWER], rows, 1) as results:
        found = results.rows(Choice(sort=0, descending=descending), 50)
        is_number = results.of_role("input")[0].is_number
    assert sorted(number for number, _, _ in found) == list(range(1, len(column) + 1))
    for number, _, [cell, *_] in found:
        written = column[number - 1]
        assert cell == written[:400] if isinstance(cell, str) else cell == read_number(written)
    if is_number:
        values = [cell for _, _, [cell, *_] in found]
        numbers = [value for value in values if isinstance(value, float)]
        assert numbers == sorted(numbers, reverse=descending)
        assert all(value in NULLS for value in values[len(numbers) :])  # missing ones are last


@given(st.lists(st.floats(-1e12, 1e12) | st.integers(-5, 5).map(float), min_size=1, max_size=40))
@example([0.15] * 3)
@example([0.0])
@example([1e-300, 0.0])
def test_a_histogram_counts_each_number_once(tmp_path_factory: pytest.TempPathFactory, numbers: list[float]) -> None:
    rows = [["1", repr(number), "", ""] for number in numbers]
    folder = tmp_path_factory.mktemp("numbers")
    with results_of(folder, ["n", "prediction", "warnings", "error"], rows, 1, has_labels=False) as results:
        [column] = results.of_role("prediction")
        made = histogram(results, Choice(), column, "")
    assert made is not None
    assert sum(each.count for each in made.bins) == len(numbers)
    assert len(made.bins) <= BINS + 2
    assert max(each.length for each in made.bins) == 100


@given(st.floats(1e-300, 1e300))
def test_a_nice_width_is_a_little_larger(width: float) -> None:
    assert width * (1 - 1e-6) <= nice_width(width) <= width * 2.5 * (1 + 1e-6)


choices = st.builds(
    Choice,
    label=st.none() | st.text(),
    state=st.none() | st.sampled_from([FAILED, WARNED]),
    message=st.none() | st.integers(0, 10**9),
    sort=st.none() | st.integers(0, 10**9),
    descending=st.booleans(),
    page=st.integers(1, 10**9),
)


@given(choices)
def test_an_address_keeps_the_choice(choice: Choice) -> None:
    assert choice_of({name: str(value) for name, value in parameters(choice).items()}) == choice


@given(st.dictionaries(st.sampled_from(["label", "rows", "message", "sort", "order", "page"]), st.text()))
def test_any_address_is_a_choice(query: dict[str, str]) -> None:
    choice = choice_of(query)
    assert choice.page >= 1
    assert choice.state in (None, FAILED, WARNED)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0.0%"), (1e-9, "0.1%"), (0.5, "50.0%"), (0.93333, "93.3%"), (0.99999, "99.9%"), (1.0, "100.0%")],
)
def test_shares_have_one_decimal(share: float, text: str) -> None:
    assert format_share(share) == text


@pytest.mark.parametrize(
    ("value", "largest", "text"),
    [
        (1.5, 9.99, "1.500"), (1.5, 12345.6, "2"), (12345.6, 12345.6, "12,346"), (0, 0, "0"),
        (0.25, 0.5, "0.2500"), (-0.001, 99, "-0.00"), (1e-9, 1e-9, "1.000e-09"), (math.inf, math.inf, "inf"),
    ],
)  # fmt: skip
def test_numbers_of_a_column_have_the_same_decimals(value: float, largest: float, text: str) -> None:
    assert format_alike(value, largest) == text


def test_the_pace_says_the_rate_and_the_time_left() -> None:
    now = 100.0
    pace = Pace(lambda: now)
    assert pace.text(0, 10) == ""
    for done in range(0, 50_000, 1000):
        pace.report(done)
        now += 0.1
    assert pace.rate == pytest.approx(10_000, rel=0.1)
    assert pace.text(49_000, 149_000) == f"{pace.rate:,.0f} rows a second, 10 seconds left"
    now += progress.WINDOW  # without a report
    assert pace.rate is not None
    assert pace.rate < 3000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 second"), (7.4, "7 seconds"), (43, "45 seconds"), (150, "2 minutes"), (9000, "2.5 hours")],
)
def test_durations_are_rounded(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
