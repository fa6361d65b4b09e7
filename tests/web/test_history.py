"""The list of previous answers in the browser tab."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.web.fake import FakeClient

expect: Any = getattr(pytest.importorskip("playwright.sync_api"), "expect")  # noqa: B009 - mypy needs no stubs
STORED = "JSON.parse(sessionStorage.getItem('fastmar:/models/people'))"


@pytest.fixture
def opened(page: Any, address: str) -> Any:
    """The page of a form with 1,000 previous answers."""
    entries = [{"text": f"Answer {n}", "link": f"/models/people?age={n}", "at": 1e12 - n} for n in range(1000)]
    script = f"sessionStorage['fastmar:/models/people'] ??= {json.dumps(json.dumps(entries))};"
    page.add_init_script(script)
    page.goto(f"{address}/models/people")
    return page


def test_rows_are_drawn_on_demand(opened: Any) -> None:
    rows = opened.locator("[data-history] tbody tr")
    expect(rows).to_have_count(20)
    opened.get_by_role("button", name="Show 100 more").click()
    expect(rows).to_have_count(120)
    expect(rows.nth(119)).to_contain_text("Answer 119")
    for _ in range(8):
        opened.get_by_role("button", name="Show 100 more").click()
    opened.get_by_role("button", name="Show 80 more").press("Enter")
    expect(rows).to_have_count(1000)
    expect(opened.get_by_role("button", name="Clear the answers")).to_be_focused()


def test_an_answer_adds_one_row_and_the_oldest_is_dropped(opened: Any, fake: FakeClient) -> None:
    rows = opened.locator("[data-history] tbody tr")
    second = rows.nth(0).element_handle()
    opened.get_by_role("button", name="Predict").click()
    expect(rows.nth(0)).to_contain_text(">=50k")
    expect(rows).to_have_count(20)
    assert second.evaluate("row => row.isConnected && row.rowIndex") == 2, "other rows are not drawn again"
    stored = opened.evaluate(STORED)
    assert len(stored) == 1000
    assert (stored[1]["text"], stored[-1]["text"]) == ("Answer 0", "Answer 998")
    opened.reload()
    expect(rows.nth(0)).to_contain_text(">=50k")
    assert len(fake.requests) == 1
