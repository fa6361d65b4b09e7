"""The cards of pictures in Chromium: removing one, and the reason in the download for one that failed."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import problems
from tests.web.pictures.test_page import Files, choose, expect_names, fruit

expect: Any = getattr(pytest.importorskip("playwright.sync_api"), "expect")  # noqa: B009 - mypy needs no stubs
HOLD = """
    window.held = [];
    const sent = fetch;
    window.fetch = (...all) => new Promise((go) => held.push(() => go(sent(...all))));
    null;
"""
__all__ = ["fruit"]


def remove(page: Any, name: str) -> Any:
    return page.get_by_role("button", name=f"Remove {name}", exact=True)


def test_a_picture_is_removed_with_the_keyboard(page: Any, address: str, fruit: Files, axe: str) -> None:
    page.goto(f"{address}/models/fruit")
    choose(page, fruit[:3])
    remove(page, "20.png").focus()
    page.keyboard.press("Enter")
    expect_names(page, "10.png", "30.png")
    expect(page.locator("[data-count]")).to_have_text("2 pictures")
    expect(page.locator("#announcer")).to_have_text("20.png removed.")
    expect(remove(page, "30.png")).to_be_focused()  # the next one
    assert problems(page, axe) == []
    page.keyboard.press("Enter")
    expect(remove(page, "10.png")).to_be_focused()  # the last one was removed
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_be_hidden()
    expect(page.locator("#pictures")).to_be_focused()
    choose(page, fruit[:1])
    expect_names(page, "10.png")


def test_a_picture_is_removed_before_its_answer(page: Any, address: str, fruit: Files) -> None:
    page.goto(f"{address}/models/fruit")
    page.evaluate(HOLD)
    page.get_by_label("Choose one picture or many").set_input_files(fruit[:4])
    remove(page, "10.png").click()  # sent
    remove(page, "40.png").click()  # waiting
    expect(page.locator("[data-count]")).to_have_text("0 of 2")
    page.evaluate("held.forEach((go) => go())")
    expect(page.locator("[data-count]")).to_have_text("2 pictures")
    expect_names(page, "20.png", "30.png")
    expect(page.locator(".picture .sentence")).to_have_count(2)


def test_the_download_has_the_reason_of_a_failure(page: Any, address: str, fruit: Files, tmp_path: Path) -> None:
    page.goto(f"{address}/models/fruit")
    choose(page, [fruit[0], fruit[4]])
    with page.expect_download() as download:
        page.get_by_role("button", name="Download answers").click()
    download.value.save_as(tmp_path / "answers.csv")
    with (tmp_path / "answers.csv").open(encoding="utf-8-sig", newline="") as file:
        answered, failed = csv.DictReader(file)
    assert answered == {"picture": "10.png", "prediction": "apple", "probability": "0.97", "error": ""}
    assert (failed["prediction"], failed["error"]) == ("", "The model can't read this. No.")
