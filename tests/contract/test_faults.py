"""Errors for missing columns, with the column of the record that explains them."""

from __future__ import annotations

from fastmar_contract.faults import MissingColumn, combine, suggest_names


def missing(*names: str) -> list[MissingColumn]:
    return [MissingColumn(name, nullable=False) for name in names]


def sources(names: tuple[str, ...], unused: list[str]) -> list[str | None]:
    return [fault.source for fault in suggest_names(missing(*names), unused) if isinstance(fault, MissingColumn)]


def test_a_date_is_not_a_misspelling_of_its_parts() -> None:
    found = suggest_names(missing("orderDay", "orderMonth", "channel"), ["orderdate", "Channel"])
    assert [(fault.near, fault.date) for fault in found if isinstance(fault, MissingColumn)] == [
        (None, "orderdate"), (None, "orderdate"), ("Channel", None),
    ]  # fmt: skip
    fix = combine(found).fix
    assert "rename 'orderdate'" not in fix
    assert fix.count("add_datepart(table, 'orderdate')") == 1


def test_a_part_is_a_misspelling_of_the_same_part() -> None:
    assert sources(("orderDay", "orderMonth"), ["orderday", "order_month"]) == ["orderday", "order_month"]


def test_of_several_dates_each_part_gets_its_own() -> None:
    assert sources(("orderDay", "shipDay", "Day"), ["shipDate", "orderdate", "Date"]) == [
        "orderdate", "shipDate", "Date",
    ]  # fmt: skip
