"""The rows of a scored table as its page shows them: columns, headings and cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastmar_client.csv_answers import ERROR, INPUT, PREDICTION, PROBABILITY
from fastmar_web.presentation import Presentation, choice_labels, format_alike, format_share, plain_number
from fastmar_web.tables.preview import shorten
from fastmar_web.tables.result_links import STATE_NAMES, Links
from fastmar_web.tables.results import FINE, OTHER, Column, Results

_PROBABILITY_OF = f"{PROBABILITY}_"  # begins the name of the column with the probability of one label


@dataclass(frozen=True, slots=True)
class Heading:
    """The heading of a column: its name in the file, its title, the link that sorts by it, and the present order."""

    key: str
    name: str
    title: str
    link: str
    order: str
    css: str


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table: its number, state and cells, each with its CSS class."""

    number: int
    state: str
    cells: list[tuple[str, str]]


class RowTable:
    """The table of rows."""

    def __init__(self, results: Results, texts: Presentation, targets: Sequence[str]) -> None:
        self._results = results
        self._texts = texts
        self._targets = targets
        self._shares = {column.place for column in results.columns if _is_share(column, results)}
        self._answers = [column for role in (PREDICTION, PROBABILITY, OTHER) for column in results.of_role(role)]
        self._pinned = next(iter(results.of_role(PREDICTION)), None)  # stays visible when the table is scrolled

    @property
    def width(self) -> int:
        """Largest number of columns."""
        return len(self._results.columns)

    def page(self, links: Links, size: int) -> tuple[list[Heading], list[Line]]:
        """The headings and the rows of one page. Errors and warnings have a column if the page has one of them."""
        rows = self._results.rows(links.choice, size)
        messages = self._results.of_role(ERROR) if any(state != FINE for _, state, _ in rows) else []
        columns = [*self._answers, *messages, *self._results.of_role(INPUT)]
        headings = [
            _sorting(links, "row", "", "Row", None, "number"),
            *(self._heading(links, each) for each in columns),
        ]
        return headings, [self._line(columns, *row) for row in rows]

    def title(self, column: Column) -> str:
        """The title of a column."""
        if column.role == INPUT:
            return self._texts.title_of(column.name)
        if column.role == ERROR:
            states = [name for state, name in STATE_NAMES.items() if self._results.states.get(state)]
            return " or ".join(states).capitalize()
        if column.name.startswith(_PROBABILITY_OF):
            return f"{self._texts.answer(column.name.removeprefix(_PROBABILITY_OF))}, probability"
        unit = f" ({self._texts.unit})" if self._texts.unit and column.is_number and column.role == PREDICTION else ""
        target = next((each for each in self._targets if column.name == f"{PREDICTION}_{each}"), None)
        return (self._texts.label(target) if target else column.role.capitalize()) + unit

    def _heading(self, links: Links, column: Column) -> Heading:
        name = column.name if column.role == INPUT else ""
        return _sorting(links, f"column {column.place}", name, self.title(column), column.place, self._css(column))

    def _css(self, column: Column) -> str:
        if column.role == ERROR:
            return "message"
        is_number = column.is_number and not choice_labels(self._texts.field(column.name))
        return " ".join(["number"] * is_number + ["pinned"] * (column == self._pinned))

    def _line(self, columns: list[Column], number: int, state: str, cells: list[str | float]) -> Line:
        texts = {column.place: cell for column, cell in zip(self._results.columns, cells, strict=True)}
        shown = [(self._cell(column, texts[column.place]), self._css(column)) for column in columns]
        return Line(number, state, shown)

    def _cell(self, column: Column, cell: str | float) -> str:
        if column.role == INPUT:
            text = plain_number(cell) if isinstance(cell, float) else cell
            return shorten(self._texts.category(column.name, text))
        if isinstance(cell, float):
            if column.place in self._shares:
                return format_share(cell)
            return format_alike(cell, max(map(abs, self._results.range_of(column)))) if column.is_number else str(cell)
        if column.role == PREDICTION:
            separator = self._results.separator
            labels = cell.split(separator) if separator else [cell]
            return shorten(", ".join(map(self._texts.answer, labels)))
        return cell if column.role == ERROR else shorten(cell)


def _sorting(links: Links, key: str, name: str, title: str, place: int | None, css: str) -> Heading:
    """A heading whose link sorts by its column: first up, then down."""
    choice = links.choice
    is_sorted = choice.sort == place
    link = links.to(sort=place, descending=is_sorted and not choice.descending)
    order = ("descending" if choice.descending else "ascending") if is_sorted else ""
    return Heading(key, name, title, link, order, css)


def _is_share(column: Column, results: Results) -> bool:
    """Whether a column has probabilities."""
    if not column.is_number or not (column.role == PROBABILITY or column.name.startswith(_PROBABILITY_OF)):
        return False
    low, high = results.range_of(column)
    return column.role != INPUT and 0 <= low <= high <= 1
