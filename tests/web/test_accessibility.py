"""axe-core finds no serious problem on any page: light on a desktop, dark on a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastmar_client import RecordRefused
from tests.browser import Chromium
from tests.web.conftest import problems, strict_page
from tests.web.fake import COUNTRIES, FILMS, RECOMMENDED, REVIEWS, SIMILAR, TOY, FakeClient, answer

expect: Any = getattr(pytest.importorskip("playwright.sync_api"), "expect")  # noqa: B009 - mypy needs no stubs
DEVICES = [("light", 1200), ("dark", 390)]


@pytest.mark.parametrize(("scheme", "width"), DEVICES)
def test_no_serious_problem(
    chromium: Chromium,
    address: str,
    fake: FakeClient,
    axe: str,
    pictures: list[Path],
    tmp_path: Path,
    scheme: str,
    width: int,
) -> None:
    touch = {"is_mobile": True, "has_touch": True} if width < 500 else {}
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}, **touch)
    found: list[str] = []
    with strict_page(context) as page:

        def check(page_name: str) -> None:
            found.extend(f"{page_name}: {problem}" for problem in problems(page, axe))

        visit(page, address, fake, pictures, tmp_path, check)
    assert not found, "\n".join(found)


def visit(page: Any, address: str, fake: FakeClient, pictures: list[Path], tmp_path: Path, check: Any) -> None:
    """Check each page in each of its states."""
    fake.schemas["people"]["ui"] = {
        "description": "From a census.",
        "groups": [{"title": "Work", "fields": ["work-class", "hours"]}],
        "fields": {"age": {"help": "In full years", "unit": "years", "minimum": 1}},
        "examples": [{"title": "Old", "record": {"age": 80}}],
    }
    fake.versions = ["1.0", "2.0"]
    fake.loading = {"streets"}
    page.goto(address)
    check("the list")
    page.goto(f"{address}/models/people")
    check("the form")
    page.get_by_label("Native country").click()
    check("the options of a searchable field")
    page.keyboard.press("Escape")
    fake.answers["people"] = answer(warnings=[{"field": "age", "code": "odd", "value": 1, "message": "odd."}])
    page.get_by_role("button", name="Predict").click()
    page.locator("#answer .sentence").wait_for()
    page.get_by_role("tab", name="JavaScript").click()
    check("the answer")
    page.get_by_label("Age", exact=False).first.fill("")
    page.get_by_role("button", name="Predict").click()
    page.locator("#answer .failure").wait_for()
    check("a problem")
    fake.schemas["toy"], fake.answers["toy"] = TOY, {"prediction": "good", "reasons": [{"word": "so"}], "warnings": []}
    page.goto(f"{address}/models/toy")
    page.get_by_role("button", name="Predict").click()
    page.locator("#answer .rest").wait_for()
    check("an unknown kind")
    visit_texts(page, address, fake, check)
    visit_recommender(page, address, fake, check)
    page.goto(f"{address}/models/fruit")
    check("the upload of pictures")
    fake.answers["fruit"] = lambda data: (
        RecordRefused("no picture.", fix="send one.", status=400)
        if data == pictures[0].read_bytes()
        else {"prediction": [[10.0, 20.0]], "points_model": [[10.0, 20.0]], "warnings": []}
    )
    page.get_by_label("Choose one picture or many").set_input_files(pictures)
    expect(page.locator(".picture .sentence")).to_have_count(2)
    check("pictures")
    page.locator(".thumb").nth(1).click()
    page.locator("dialog[open]").wait_for()
    check("an enlarged picture")
    page.goto(f"{address}/models/people/table")
    check("the upload of a table")
    columns = ",".join(fake.schemas["people"]["record"]["properties"])
    row = f"Private,{COUNTRIES[1]},3,True,40,40,plain\n"
    (tmp_path / "t.csv").write_text(
        f"{columns},shoe\n" + row.replace("\n", ",41\n") * 3 + "Astronaut,x,3,True,old,40,plain,1\n"
    )
    page.get_by_label("Choose a table").set_input_files(tmp_path / "t.csv")
    page.get_by_role("button", name="Score 4 rows").wait_for()
    check("a table")
    page.get_by_role("button", name="Score 4 rows").click()
    page.get_by_role("link", name="Download the answers").wait_for()
    check("a scored table")
    fake.go_down()
    page.goto(f"{address}/models/people")
    check("the server is unreachable")
    page.goto(f"{address}/nowhere")
    check("not found")


def visit_texts(page: Any, address: str, fake: FakeClient, check: Any) -> None:
    """Check the form of a text model."""
    fake.schemas["reviews"] = REVIEWS
    page.goto(f"{address}/models/reviews")
    check("the form of a text")
    fake.answers["reviews"] = RecordRefused("no text.", fix="send one.", status=400, code="no_text", field="text")
    page.get_by_role("button", name="Predict").click()
    page.locator("#answer .failure").wait_for()
    check("a problem of a text")
    fake.answers["reviews"] = answer(label="positive", other="negative")
    page.get_by_role("link", name="Short").click()
    page.get_by_label("Text").fill(REVIEWS["ui"]["examples"][1]["record"]["text"])
    page.get_by_role("button", name="Predict").click()
    page.locator("#answer .sentence").wait_for()
    check("the answer to a text")


def visit_recommender(page: Any, address: str, fake: FakeClient, check: Any) -> None:
    """Check the form of a recommender, and its lists of items."""
    fake.schemas["films"], fake.answers["films"] = FILMS, {"prediction": 4.0, "warnings": []}
    page.goto(f"{address}/models/films")
    check("the form of a recommender")
    page.get_by_role("button", name="Predict").click()
    page.locator("#answer .sentence").wait_for()
    check("a rating")
    page.get_by_label("Title").click()
    check("the options of items")
    for emptied, items, caption in (("Title", RECOMMENDED, "Prediction"), ("User", SIMILAR, "Similarity")):
        page.goto(f"{address}/models/films")
        fake.answers["films"] = items
        page.get_by_label(emptied).fill("")
        page.keyboard.press("Tab")  # else the options cover the button
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#answer caption")).to_have_text(caption)
        check(f"a list with the column {caption}")
    fake.answers["films"] = RECOMMENDED | {"recommendations": []}
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer .chart")).to_have_count(0)
    check("an empty list")
    fake.answers["films"] = RecordRefused(
        "no such item.", fix="send one.", status=400, code="unknown_item", field="title"
    )
    page.get_by_role("button", name="Predict").click()
    page.locator("#answer .failure").wait_for()
    check("an unknown item")
