"""What the page of a scored table shows: counts, histograms, filters, and one page of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from fastmar_client.csv_answers import PREDICTION, PROBABILITY
from fastmar_web.presentation import Presentation, format_share
from fastmar_web.tables.histograms import Histogram, histogram
from fastmar_web.tables.result_links import STATE_NAMES, Links, parameters
from fastmar_web.tables.result_rows import Heading, Line, RowTable
from fastmar_web.tables.results import FAILED, WARNED, Choice, Message, Results

JSON = dict[str, Any]

MAX_BARS = 10
MAX_HISTOGRAMS = 4
MAX_ROWS = 50  # of one page
_CELLS = 1200  # of one page: a wide table has fewer rows


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar for rows with the same value; a click on it selects them.

    Attributes:
        key: identifies its link, so that it keeps the focus.
        name: what they have in common.
        count: number of rows.
        share: the share of all rows, as a text.
        length: the length of the bar, from 0 to 100.
        link: the address of the page with these rows, or with all rows if they are chosen.
        chosen: whether only they are shown.
    """

    key: str
    name: str
    count: int
    share: str
    length: float
    link: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class ResultView:
    """The page of a scored table.

    Attributes:
        total: number of rows.
        shown: number of chosen rows.
        warned: number of rows with a warning or a remark.
        bars, more_bars: rows by label; `more_bars` are collapsed.
        left_out: number of labels beyond these.
        histograms: the histogram of the probability, or those of the predicted numbers.
        messages: errors and warnings, by the name of their state.
        more_messages: number of different messages beyond these.
        headings, lines: the table.
        pages: number of pages.
        choice: what is chosen.
        chips: the filters, as name and link that removes it.
        links: addresses of other pages of rows by name: first, previous, next, last; and reset, without a filter.
        hidden: parameters for the form that opens a page by its number.
        columns_left_out: number of columns that are only in the download.
    """

    total: int
    shown: int
    warned: int
    bars: list[Bar]
    more_bars: list[Bar]
    left_out: int
    histograms: list[Histogram]
    messages: dict[str, list[Bar]]
    more_messages: int
    headings: list[Heading]
    lines: list[Line]
    pages: int
    choice: Choice
    chips: list[tuple[str, str]]
    links: dict[str, str]
    hidden: JSON
    columns_left_out: int

    @property
    def sentence(self) -> str:
        """The number of chosen rows, for screen readers."""
        if self.shown == self.total:
            return f"All {self.total:,} rows, page {self.choice.page:,} of {self.pages:,}."
        return f"{self.shown:,} of {self.total:,} rows, page {self.choice.page:,} of {self.pages:,}."


class _Overview:
    """The charts above the rows: labels, numbers, errors and warnings."""

    def __init__(self, results: Results, links: Links, texts: Presentation, table: RowTable) -> None:
        self._results = results
        self._links = links
        self._texts = texts
        self._table = table
        self._numbers = [c for c in results.of_role(PREDICTION) if c.is_number and not results.of_role(PROBABILITY)]

    def labels(self) -> list[Bar]:
        """Rows by predicted label; empty for numbers, and for texts that are all different."""
        results = self._results
        is_listed = results.of_role(PROBABILITY) or results.separator or results.label_count <= MAX_BARS
        if self._numbers or len(results.of_role(PREDICTION)) != 1 or not is_listed:
            return []
        other = {"state": None, "message": None} if self._links.choice.state == FAILED else {}  # has no label
        return [
            self._bar(f"label {place}", self._texts.answer(label), count, results.labels[0][1], {"label": label}, other)
            for place, (label, count) in enumerate(results.labels)
        ]

    def messages(self, state: str) -> list[Bar]:
        """All rows of this state, then those with each message."""
        results = self._results
        total = results.states.get(state, 0)
        messages = [message for message in results.messages if message.state == state]
        other = {"label": None} if state == FAILED else {}
        whole = self._bar(
            state, f"All {STATE_NAMES[state].lower()}", total, total, {"state": state, "message": None}, other
        )
        return [whole] * (len(messages) > 1) + [
            self._bar(
                f"message {message.row}",
                shorten_message(message),
                message.count,
                total,
                {"state": state, "message": message.row},
                other,
            )
            for message in messages
        ]

    def _bar(self, key: str, name: str, count: int, most: int, chosen_by: JSON, other: JSON) -> Bar:
        choice = self._links.choice
        chosen = all(getattr(choice, attribute) == value for attribute, value in chosen_by.items())
        link = self._links.to(**(dict.fromkeys(chosen_by) if chosen else {**other, **chosen_by}))
        return Bar(
            key, name, count, format_share(count / self._results.total), round(100 * count / most, 1), link, chosen
        )

    def histograms(self) -> list[Histogram]:
        """Of the probability of the predicted label, or of predicted numbers."""
        shares = [column for column in self._results.of_role(PROBABILITY) if column.is_number]
        found = []
        for column in (shares or self._numbers)[:MAX_HISTOGRAMS]:
            title = "Probability of the prediction" if shares else self._table.title(column)
            if made := histogram(self._results, self._links.choice, column, title, "" if shares else self._texts.unit):
                found.append(made)
        return found


def result_view(
    results: Results, choice: Choice, schema: JSON, texts: Presentation, address: Callable[..., str]
) -> ResultView:
    """The view of the chosen rows of a scored table; a page beyond the last one is the last one.

    Args:
        results: the table.
        choice: the rows.
        schema: the schema of the model.
        texts: the texts of the model.
        address: a function that makes the URL of the page from its parameters.
    """
    table = RowTable(results, texts, [str(target) for target in schema.get("targets") or ()])
    shown = results.count(choice)
    size = max(1, min(MAX_ROWS, _CELLS // table.width))
    pages = max(1, -(-shown // size))
    choice = replace(choice, page=min(choice.page, pages))
    links = Links(choice, address)
    overview = _Overview(results, links, texts, table)
    bars = overview.labels()
    headings, lines = table.page(links, size)
    return ResultView(
        total=results.total,
        shown=shown,
        warned=results.states.get(WARNED, 0),
        bars=bars[:MAX_BARS],
        more_bars=bars[MAX_BARS:],
        left_out=results.label_count - len(results.labels),
        histograms=overview.histograms(),
        messages={name: overview.messages(state) for state, name in STATE_NAMES.items() if results.states.get(state)},
        more_messages=sum(results.message_counts.values()) - len(results.messages),
        headings=headings,
        lines=lines,
        pages=pages,
        choice=choice,
        chips=_chips(results, links, texts),
        links=_page_links(links, pages),
        hidden={name: value for name, value in parameters(choice).items() if name != "page"},
        columns_left_out=results.left_out,
    )


def _chips(results: Results, links: Links, texts: Presentation) -> list[tuple[str, str]]:
    """The filters: a name for each, and the link that removes it."""
    choice, found = links.choice, []
    if choice.label is not None:
        found.append((texts.answer(choice.label), links.to(label=None)))
    if choice.message is not None:
        message = next((each for each in results.messages if each.row == choice.message), None)
        found.append((shorten_message(message) if message else "one message", links.to(state=None, message=None)))
    elif choice.state is not None:
        found.append((STATE_NAMES[choice.state], links.to(state=None)))
    return found


def _page_links(links: Links, pages: int) -> dict[str, str]:
    page = links.choice.page
    found = {"reset": links.to(label=None, state=None, message=None)}
    if page > 1:
        found |= {"first": links.to(page=1), "previous": links.to(page=page - 1)}
    if page < pages:
        found |= {"next": links.to(page=page + 1), "last": links.to(page=pages)}
    return found


def shorten_message(message: Message) -> str:
    """A message for a list, without its fix."""
    text = message.text.partition(" Fix: ")[0]
    return text if len(text) <= 160 else f"{text[:157]}..."


def has_labels(schema: JSON) -> bool:
    """Whether the prediction of a model is one label."""
    return _prediction(schema).get("type") == "string"


def splits_labels(schema: JSON) -> bool:
    """Whether the prediction of a model is several labels."""
    prediction = _prediction(schema)
    return prediction.get("type") == "array" and (prediction.get("items") or {}).get("type") == "string"


def _prediction(schema: JSON) -> JSON:
    """The JSON Schema of a prediction."""
    properties = (schema.get("answer") or {}).get("properties") or {}
    return properties.get(PREDICTION) or {}
