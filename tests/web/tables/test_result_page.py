"""The page of a scored table: in this process, and in Chromium with the fake server and with a real one."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from fastmar_client import RecordRefused
from fastmar_web.tables.remarks import WarningsWithRemarks
from tests.browser import PATIENCE, Chromium
from tests.web.conftest import problems, strict_page
from tests.web.fake import HOSTILE, FakeClient, answer, number, schema
from tests.web.html import codes
from tests.web.models import PEOPLE, people
from tests.web.test_pages import scored, send_table, table_of, wait_until_idle

MAX_BYTES = 150_000
ROWS = 120


@pytest.fixture
def mixed(fake: FakeClient) -> FakeClient:
    """The fake server with answers that depend on the age: labels, warnings from 100, an error at 7."""
    warning = {"field": "age", "code": "odd", "value": 1, "message": f"is odd {HOSTILE}."}

    def predict(row: Any) -> Any:
        age = float(row["age"])
        if age == 7:
            return RecordRefused("'age' must not be 7.", fix="send 8.", status=400)
        label, other = ("<50k", ">=50k") if age < 60 else (">=50k", "<50k")
        return answer(0.5 + age / 250, label, other, warnings=[warning] if age >= 100 else [])

    fake.answers["people"] = predict
    fake.schemas["people"]["ui"] = {
        "fields": {"age": {"label": "Years of age"}, "work-class": {"choices": {"Private": "A company"}}},
        "labels": {"<50k": {"name": "up to 50,000"}},
    }
    return fake


@pytest.fixture
def job(web: FlaskClient, mixed: FakeClient) -> str:
    """The address of a scored table."""
    address = send_table(web, table_of(mixed, [str(age) for age in range(ROWS)]))
    scored(web, address)
    return address


def numbers(page: str) -> list[int]:
    """The numbers of the rows on a page."""
    return [int(number.replace(",", "")) for number in re.findall(r'<th scope="row" class="number">([\d,]+)<', page)]


def test_the_links_of_the_page_filter_sort_and_page(web: FlaskClient, job: str) -> None:
    def followed(page: str, key: str) -> str:
        [link] = re.findall(rf'href="([^"]*)" data-key="{key}"', page)
        return web.get(unescape(link)).text

    page = web.get(job).text
    assert numbers(page) == list(range(1, 51))
    assert numbers(followed(page, "next")) == list(range(51, 101))
    assert numbers(followed(page, "last")) == list(range(101, 121))
    upper = followed(page, "label 1")  # 59 rows have the first label
    assert (numbers(upper)[:8], 'data-shown="59"' in upper) == ([1, 2, 3, 4, 5, 6, 7, 9], True)
    assert "up to 50,000" in upper
    assert numbers(followed(upper, "label 1")) == list(range(1, 51))  # a second click shows all rows
    up = followed(followed(page, "last"), "column 4")
    assert numbers(up) == list(range(1, 51))
    assert numbers(followed(up, "column 4"))[:3] == [120, 119, 118]
    assert 'aria-sort="descending"' in followed(up, "column 4")
    assert numbers(followed(page, "errors")) == [8]
    assert numbers(followed(upper, "warnings")) == list(range(101, 121))


def test_the_page_has_the_names_of_ui_yaml_and_percentages_alike(web: FlaskClient, job: str) -> None:
    page = web.get(f"{job}?sort=8&order=desc").text
    for text in ("Years of age", "A company", "up to 50,000", HOSTILE.replace("<", "&lt;").replace(">", "&gt;")):
        assert text in page
    cells = re.findall(r'<td class="number">([\d.]+%)</td>', page)
    assert len(cells) == 50
    assert all(re.fullmatch(r"\d+\.\d%", cell) for cell in cells)


@pytest.mark.parametrize(
    "query", ["page=0", "page=999", "sort=99", "sort=-1", "rows=all", "message=x", "label=%00", "page=9" + "9" * 40]
)
def test_any_address_shows_the_page(web: FlaskClient, job: str, query: str) -> None:
    response = web.get(f"{job}?{query}")
    assert response.status_code == 200
    assert "data-result" in response.text


def test_numbers_beyond_the_limits_are_counted_and_shown_by_row(web: FlaskClient, mixed: FakeClient) -> None:
    mixed.schemas["people"]["ui"] = {"fields": {"age": {"maximum": 90}}}
    table = table_of(mixed, ["38", "91", "7", "95", "100", "700"])
    job = send_table(web, table)
    wait_until_idle(web, job)
    assert counts(web.get(job).text, "rows_beyond_limits") == ["4"]
    page = scored(web, job)
    assert counts(page, "rows_beyond_limits") == ["4"]
    assert counts(page, "rows_warned") == ["4"]
    assert counts(page, "rows_failed") == ["1"]
    assert numbers(web.get(f"{job}?rows=warnings").text) == [2, 4, 5, 6]
    assert page.count('<td class="message">age: The maximum is 90.</td>') == 2
    assert page.count("; age: The maximum is 90.</td>") == 2, "after the model's own warning"
    assert page.count('<td class="message">') == 6, "the rows without a remark have an empty cell"


def counts(page: str, code: str) -> list[str]:
    """The number in each finding with this code."""
    return re.findall(rf'data-code="{code}" data-count="(\d+)"', page)


def test_a_range_of_the_form_is_not_repeated_after_a_warning_of_the_model() -> None:
    described = schema("m", {"age": number(38, minimum=17, maximum=90)})
    add = WarningsWithRemarks(described, ["age", "other"])
    assert add(["38", "x"], "") == ""
    assert add(["95", "x"], "") == "age: Outside the reference data: 17 to 90."
    assert add(["95", "x"], "other: is odd.") == "other: is odd.; age: Outside the reference data: 17 to 90."
    assert add(["95", "x"], "age: is odd.") == "age: is odd."


def test_a_script_gets_the_rows_alone(web: FlaskClient, job: str) -> None:
    reply = web.get(f"{job}?rows=errors", headers={"Accept": "application/json"}).get_json()
    assert numbers(reply["html"]) == [8]
    assert reply["sentence"] == "1 of 120 rows, page 1 of 1."


def test_the_page_does_not_need_the_model_server(web: FlaskClient, job: str, mixed: FakeClient) -> None:
    mixed.go_down()
    assert numbers(web.get(job).text) == list(range(1, 51))


def test_answers_that_can_not_be_shown_can_be_downloaded(
    web: FlaskClient, mixed: FakeClient, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("fastmar_web.tables.job_view.write_results", full)
    job = send_table(web, table_of(mixed, ["38"]))
    page = scored(web, job)
    assert "data-result" not in page
    assert codes(page) == ["all_scored"]
    assert "no space left" in capsys.readouterr().err
    download = web.get(f"{job}/answers.csv")
    assert download.status_code == 200
    download.close()


def test_predicted_numbers(web: FlaskClient, fake: FakeClient) -> None:
    properties = fake.schemas["people"]["record"]["properties"]
    fake.schemas["people"] = {
        **schema("people", properties),
        "ui": {"unit": "dollars"},
        "answer": {"properties": {"prediction": {"type": "number"}}},
    }
    fake.answers["people"] = lambda row: {"prediction": 1000 * float(row["age"]) / 3, "warnings": []}
    page = scored(web, send_table(web, table_of(fake, ["3", "38", "99"])))
    assert "Prediction (dollars)" in page
    assert "12,667 dollars" in page  # the median
    assert "labels-title" not in page


expect: Any = getattr(pytest.importorskip("playwright.sync_api"), "expect")  # noqa: B009 - mypy needs no stubs


@pytest.fixture
def opened(page: Any, address: str, mixed: FakeClient, tmp_path: Path) -> Any:
    """The page of a scored table in Chromium."""
    (tmp_path / "rows.csv").write_bytes(table_of(mixed, [str(age) for age in range(ROWS)]))
    open_result(page, address, tmp_path / "rows.csv")
    return page


def open_result(page: Any, address: str, table: Path) -> None:
    page.goto(f"{address}/models/people/table")
    page.locator("input[type=file]").set_input_files(table)
    page.get_by_role("button", name="Score").click()
    page.locator("[data-result]").wait_for()


def first_row(page: Any) -> Any:
    return page.locator(".page-of-rows tbody tr").first.locator("th")


def test_a_click_on_a_bar_shows_its_rows_without_a_reload(opened: Any) -> None:
    opened.evaluate("window.kept = true")
    opened.locator(".bars a", has_text="up to 50,000").click()
    expect(opened.locator("[data-shown='59']")).to_have_text("59 of 120 rows")
    expect(opened.locator(".bars [aria-current=true]")).to_have_count(1)
    expect(opened.locator("#answers-title")).to_be_in_viewport()
    expect(opened.locator("#announcer")).to_have_text("59 of 120 rows, page 1 of 2.")
    opened.get_by_role("link", name="Years of age").click()
    expect(opened.locator("[aria-sort=ascending]")).to_have_text("Years of age")
    opened.get_by_role("link", name="Years of age").click()
    expect(first_row(opened)).to_have_text("60")
    opened.go_back()
    expect(first_row(opened)).to_have_text("1")
    opened.get_by_role("link", name="Remove the filter").click()
    expect(opened.locator("[data-shown='120']")).to_be_visible()
    assert opened.evaluate("window.kept")


def test_the_keyboard_alone_filters_sorts_and_pages(opened: Any) -> None:
    opened.get_by_role("link", name="Next", exact=True).focus()
    opened.keyboard.press("Enter")
    expect(first_row(opened)).to_have_text("51")
    expect(opened.get_by_role("link", name="Next", exact=True)).to_be_focused()
    opened.keyboard.press("Enter")
    expect(first_row(opened)).to_have_text("101")
    expect(opened.locator("#answers-title")).to_be_focused()  # there is no next page, so its link is gone
    number = opened.get_by_label("Page", exact=True)
    number.focus()
    opened.keyboard.press("Control+a")
    opened.keyboard.type("2")
    opened.keyboard.press("Enter")
    expect(first_row(opened)).to_have_text("51")
    expect(number).to_be_focused()
    bar = opened.locator(".bars a").first
    bar.focus()
    opened.keyboard.press("Enter")
    expect(opened.locator(".filter")).to_be_visible()
    expect(bar).to_be_focused()


def test_the_prediction_stays_visible_when_the_table_is_scrolled(opened: Any) -> None:
    opened.set_viewport_size({"width": 390, "height": 800})
    table = opened.locator(".page-of-rows")
    table.evaluate("element => { element.scrollLeft = 400; element.scrollTop = 200; }")
    left = table.bounding_box()["x"]
    assert opened.locator("td.pinned").first.bounding_box()["x"] == pytest.approx(left, abs=3)
    assert opened.locator("th.pinned").bounding_box()["y"] == pytest.approx(table.bounding_box()["y"], abs=3)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 390)])
def test_no_serious_problem_of_accessibility(
    chromium: Chromium, address: str, mixed: FakeClient, axe: str, tmp_path: Path, scheme: str, width: int
) -> None:
    (tmp_path / "rows.csv").write_bytes(table_of(mixed, [str(age) for age in range(ROWS)]))
    touch = {"is_mobile": True, "has_touch": True} if width < 500 else {}
    with strict_page(
        chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}, **touch)
    ) as page:
        open_result(page, address, tmp_path / "rows.csv")
        found = problems(page, axe)
        page.locator(".bars a").first.click()
        page.locator(".filter").wait_for()
        assert found + problems(page, axe) == []


def test_the_page_is_small_and_comes_from_one_host(page: Any, address: str, mixed: FakeClient, tmp_path: Path) -> None:
    """Also for a wide table with long cells."""
    head, *rows = table_of(mixed, [str(age) for age in range(ROWS)]).decode().splitlines()
    more = [f"column number {n}" for n in range(100)]
    lines = [f"{head},{','.join(more)}", *(f"{row},{','.join(['x' * 60] * 100)}" for row in rows)]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    open_result(page, address, tmp_path / "rows.csv")
    responses: list[Any] = []

    def note(response: Any) -> None:  # Playwright sets attributes on it, which list.append does not allow
        responses.append(response)

    page.on("response", note)
    page.reload()
    page.wait_for_load_state("networkidle")
    assert all(response.url.startswith(f"{address}/") for response in responses)
    size = sum(len(response.body()) for response in responses if response.ok)
    assert size < MAX_BYTES, size


def test_the_example_rows_can_be_scored_as_an_excel_file(page: Any, real: str, tmp_path: Path) -> None:
    """Download, upload and download again, with a real server."""
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    page.goto(f"{real}/models/{PEOPLE}/table")
    with page.expect_download() as download:
        page.get_by_role("link", name="Excel file with example rows").click()
    download.value.save_as(tmp_path / "sample.xlsx")
    page.get_by_label("Choose a table").set_input_files(tmp_path / "sample.xlsx")
    page.get_by_role("button", name="Score").click()
    expect(page.locator(".job[data-errors='0'][data-warned='0']")).to_be_visible(timeout=PATIENCE)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the answers").click()
    download.value.save_as(tmp_path / "answers.xlsx")
    header, *rows = openpyxl.load_workbook(tmp_path / "answers.xlsx").active.iter_rows(values_only=True)
    assert header[-4:] == ("prediction", "probability", "warnings", "error")
    assert len(rows) == openpyxl.load_workbook(tmp_path / "sample.xlsx").active.max_row - 1
    assert all(row[-4] in ("<50k", ">=50k") and 0.5 <= row[-3] <= 1 for row in rows)


def test_the_filters_work_without_a_script(chromium: Chromium, real: str, tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    people()[:80].to_csv(table, index=False)
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{real}/models/{PEOPLE}/table")
    page.locator("input[type=file]").set_input_files(table)
    page.get_by_role("button", name="Check the file").click()
    page.get_by_role("button", name="Score 80 rows").click()
    page.locator("[data-result]").wait_for(timeout=PATIENCE)  # the page reloads
    bar = page.locator(".bars a").first
    count = int(bar.locator(".bar-count").inner_text().split()[0])
    bar.click()
    expect(page.locator(f"[data-shown='{count}']")).to_be_visible()
    page.get_by_role("link", name="Education").click()
    expect(page.locator("[aria-sort=ascending]")).to_have_text("Education")
    context.close()
