"""Prints the comparison of two archives by labelled rows."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from fastmar_cli.console import notice, out
from fastmar_contract.display import printable
from fastmar_monitor.feedback.paired import BETTER, NO_DIFFERENCE, WORSE, Comparison
from fastmar_monitor.feedback.wording import FIGURES, figure_text, loss_text, number_text, p_text

MAX_ROWS = 10  # of a table of labels or changes

_VERDICTS = {
    BETTER: "[green]The new archive is better.[/]",
    WORSE: "[red]The new archive is worse.[/]",
    NO_DIFFERENCE: "No significant difference between the archives.",
}


def show_comparison(comparison: Comparison, source: str) -> None:
    """Print the figures of both archives, their differences, and the rows that only one of them answers right."""
    out.print()
    compared = f"{comparison.compared:,} labelled row{'s' * (comparison.compared != 1)}"
    table = _table(f"{compared} of {source}", "", "old", "new", "new - old (95% interval)")
    for name, figure in comparison.figures.items():
        values = (number_text(name, value) for value in (figure.old, figure.new))
        table.add_row(FIGURES[name], *values, figure_text(name, figure.difference, "+"))
    out.print(table)
    outcomes = (f"{name.replace('_', ' ')} {count:,}" for name, count in comparison.outcomes.items())
    out.print(f"Rows: {', '.join(outcomes)}")
    if comparison.labels:
        _show_labels(comparison)
    if comparison.changes:
        _show_changes(comparison)
    for text in comparison.notices():
        notice(text)
    before, after = (loss_text(comparison.loss, value) for value in comparison.losses)
    out.print(
        f"{_VERDICTS[comparison.verdict]} The {comparison.loss} changed from {before} to {after} "
        f"({p_text(comparison.p_value)})."
    )


def _show_labels(comparison: Comparison) -> None:
    table = _table("By label", "label", "rows", *(name.replace("_", " ") for name in comparison.outcomes))
    for row in comparison.labels[:MAX_ROWS]:
        counts = (f"{row[name]:,}" for name in ("rows", *comparison.outcomes))
        table.add_row(_label(row["label"]), *counts)
    _print(table, len(comparison.labels))


def _show_changes(comparison: Comparison) -> None:
    table = _table("Changed answers", "label", "old", "new", "rows")
    for row in comparison.changes[:MAX_ROWS]:
        table.add_row(*(_label(row[name]) for name in ("truth", "old", "new")), f"{row['rows']:,}")
    _print(table, len(comparison.changes))


def _print(table: Table, rows: int) -> None:
    out.print(table)
    if rows > MAX_ROWS:
        out.print(f"{rows - MAX_ROWS:,} more (--json has them)")


def _label(name: Any) -> Text:
    return Text("(unknown)" if name is None else printable(name), overflow="fold")


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=Text(printable(title)), title_justify="left")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table
