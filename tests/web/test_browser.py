"""The pages in Chromium, with a real server."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from fastmar_runtime.predictor import Predictor
from fastmar_runtime.record_schemas import example
from tests.browser import PATIENCE, Chromium
from tests.runtime.explanations import check_equal_to_asking_one_at_a_time
from tests.web.models import ADULT, COLOURS, PEOPLE, SAMPLES, people

pytestmark = pytest.mark.asgi
expect: Any = getattr(pytest.importorskip("playwright.sync_api"), "expect")  # noqa: B009 - mypy needs no stubs


def ask(page: Any) -> str:
    """Send the form; returns the sentence of the answer."""
    with page.expect_response(lambda response: response.request.method == "POST"):
        page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer")).not_to_have_attribute("aria-busy", "true")
    return str(page.locator("#answer .sentence").inner_text())


def choose(page: Any, label: str, value: str) -> None:
    """Choose an option of a select box, also of one with a search."""
    field = page.get_by_label(label, exact=True)
    if field.get_attribute("role") != "combobox":
        field.select_option(value)
        return
    field.fill(value)
    page.get_by_role("option", name=value).first.click()


@pytest.mark.parametrize(
    ("model", "education", "occupation"), [(PEOPLE, "Doctorate", "Executive"), (ADULT, "Masters", "Exec-managerial")]
)
def test_other_values_get_another_answer(
    page: Any, real: str, request: pytest.FixtureRequest, model: str, education: str, occupation: str
) -> None:
    if model == ADULT:
        request.getfixturevalue("cookbook")
    page.goto(real)
    page.get_by_role("link", name=model.capitalize(), exact=True).click()
    page.wait_for_url(f"**/models/{model}")  # the scripts load with it
    first = ask(page)
    assert first.startswith("Prediction: ")
    assert first.endswith("% sure")
    choose(page, "Education", education)
    choose(page, "Occupation", occupation)
    second = ask(page)
    assert second.startswith("Prediction: ")
    assert second != first
    expect(page.locator("#announcer")).to_have_text(second)  # for screen readers
    rows = page.locator("[data-history] tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text(f"Occupation {occupation}, Education {education}")


def test_the_chart_the_code_example_and_the_link(page: Any, real: str) -> None:
    page.goto(f"{real}/models/{PEOPLE}")
    choose(page, "Native country", "Finland")
    page.get_by_label("Age", exact=True).fill("")  # the model fills a missing age
    sentence = ask(page)
    rows = page.locator("#answer .chart tbody tr")
    expect(rows).to_have_count(2)
    widths = [float(rect.get_attribute("width")) for rect in page.locator(".chart .fill").all()]
    assert sum(widths) == pytest.approx(100, abs=0.1)
    code = page.get_by_role("tabpanel", name="curl").locator("code")
    expect(code).to_contain_text('"native-country": " Finland"')
    expect(code).to_contain_text('"age": null')
    page.get_by_role("link", name="Link to this form").click()
    expect(page.get_by_label("Native country")).to_have_value("Finland")
    expect(page.get_by_label("Age", exact=True)).to_have_value("")
    assert ask(page) == sentence


def test_a_number_outside_the_reference_range_gets_a_remark(page: Any, real: str) -> None:
    page.goto(f"{real}/models/{PEOPLE}")
    page.get_by_label("Age", exact=True).fill("400")
    ask(page)
    field = page.get_by_label("Age", exact=True)
    place = page.locator(f"[id={field.get_attribute('id')}-messages]")
    expect(place.locator("[data-code=far_outside_range]")).to_contain_text("17 to")
    page.get_by_label("Hours per week").fill("")
    page.get_by_role("button", name="Predict").click()
    expect(page.get_by_label("Hours per week")).to_be_focused()
    expect(page.get_by_label("Hours per week")).to_have_attribute("aria-invalid", "true")


def test_the_form_works_with_the_keyboard(page: Any, real: str) -> None:
    page.goto(f"{real}/models/{PEOPLE}")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    field = page.get_by_label("Native country")
    while not field.evaluate("field => field === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.type("ice")
    expect(field).to_have_attribute("aria-expanded", "true")
    active = page.locator(f"[id='{field.get_attribute('aria-activedescendant')}']")
    expect(active).to_have_text("Iceland")
    page.keyboard.press("Enter")
    expect(field).to_have_value("Iceland")
    page.keyboard.type("nowhere at all")
    page.keyboard.press("Escape")
    expect(field).to_have_value("Iceland")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Age", exact=True)).to_be_focused()
    before = float(page.get_by_label("Age", exact=True).input_value())
    page.keyboard.press("ArrowUp")
    expect(page.get_by_label("Age", exact=True)).to_have_value(f"{before + 1:g}")
    page.keyboard.press("Enter")
    expect(page.locator("#answer .sentence")).to_contain_text("sure")


def test_a_hostile_category_of_a_real_model_is_text(page: Any, real: str) -> None:
    page.goto(f"{real}/models/{PEOPLE}")
    page.get_by_label("Occupation").select_option(index=5)
    assert "onerror" in page.get_by_label("Occupation").input_value()
    ask(page)
    expect(page.locator("[data-history] tbody tr")).to_contain_text("onerror=alert")
    page.get_by_role("link", name="Link to this form").click()
    assert "onerror" in page.get_by_label("Occupation").input_value()
    assert page.locator("img").count() == 0


def test_the_history_belongs_to_one_tab(page: Any, real: str) -> None:
    page.goto(f"{real}/models/{PEOPLE}")
    ask(page)
    page.reload()
    expect(page.locator("[data-history] tbody tr")).to_have_count(1)
    other = page.context.new_page()
    other.goto(f"{real}/models/{PEOPLE}")
    expect(other.locator("[data-history]")).to_be_hidden()
    page.get_by_role("button", name="Clear the answers").click()
    page.reload()
    expect(page.locator("[data-history]")).to_be_hidden()


def test_three_pictures_get_three_answers(
    page: Any, real: str, pictures: list[Path], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    page.goto(f"{real}/models/{COLOURS}")
    page.get_by_label("Choose one picture or many").set_input_files(pictures)
    cards = page.locator(".picture")
    expect(cards.locator(".sentence")).to_have_count(3, timeout=PATIENCE)
    for card, path in zip(cards.all(), pictures, strict=True):
        expect(card.locator(".name")).to_have_text(path.name)
        expect(card.locator(".sentence")).to_contain_text(path.stem)  # the picture's colour
    expect(page.locator("#announcer")).to_have_text("3 of 3 pictures answered.")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download answers").click()
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["picture"], row["prediction"]) for row in rows] == [(path.name, path.stem) for path in pictures]
    page.get_by_role("button", name="Enlarge red.jpg").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="Enlarge red.jpg")).to_be_focused()


def test_samples_of_the_archive_are_answered(page: Any, real: str) -> None:
    page.goto(f"{real}/models/{COLOURS}")
    samples = page.get_by_role("button", name="Sample")
    expect(samples).to_have_count(SAMPLES)
    for sample in samples.all():
        sample.click()
    expect(page.locator(".picture .sentence")).to_have_count(SAMPLES, timeout=PATIENCE)


def test_the_fruit_of_the_cookbook(page: Any, real: str, cookbook: Path) -> None:
    page.goto(f"{real}/models/{COLOURS}")
    fruit = [cookbook / name for name in ("26_100.jpg", "4_100.jpg", "5_100.jpg")]
    page.get_by_label("Choose one picture or many").set_input_files(fruit)
    expect(page.locator(".picture .sentence")).to_have_count(3, timeout=PATIENCE)


def test_a_bad_picture_fails_alone(page: Any, real: str, pictures: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "<img src=x onerror=alert(1)>.jpg"
    bad.write_bytes(b"no picture")
    page.goto(f"{real}/models/{COLOURS}")
    page.get_by_label("Choose one picture or many").set_input_files([bad, pictures[0]])
    expect(page.locator(".picture .sentence")).to_have_count(1, timeout=PATIENCE)
    expect(page.locator(".picture").first.locator(".problem[data-code]")).to_be_visible()
    expect(page.locator(".picture").first.locator(".name")).to_have_text(bad.name)
    expect(page.locator("#announcer")).to_have_text("1 of 2 pictures answered.")


def test_64_rows_of_csv_download_64_answers(page: Any, real: str, tmp_path: Path) -> None:
    table = tmp_path / "64 people.csv"
    people().drop(columns="income")[:64].to_csv(table, index=False)
    page.goto(f"{real}/models/{PEOPLE}")
    page.get_by_role("link", name="Table").click()
    page.get_by_label("Choose a table").set_input_files(table)
    page.get_by_role("button", name="Score 64 rows").click()
    expect(page.locator(".job[data-rows='64'][data-errors='0']")).to_be_visible(timeout=PATIENCE)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the answers").click()
    assert download.value.suggested_filename == "64 people-answers.csv"
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 64
    assert {row["prediction"] for row in rows} == {"<50k", ">=50k"}
    assert not any(row["error"] for row in rows)
    page.get_by_role("button", name="Remove").click()
    page.get_by_label("Choose a table").wait_for(state="attached")


def test_files_chosen_before_the_script_has_loaded_are_sent(
    page: Any, real: str, pictures: list[Path], tmp_path: Path
) -> None:
    held: list[Any] | None = []

    def hold(route: Any) -> None:
        if held is None:
            route.continue_()
        else:
            held.append(route)

    page.route("**/js/page.js", hold)

    def choose(path: str, label: str, files: Any) -> None:
        nonlocal held
        routes = held = []
        page.goto(f"{real}{path}", wait_until="commit")
        page.get_by_label(label).set_input_files(files)
        page.wait_for_function("() => document.querySelector('input[type=file]').files.length")
        held = None
        for route in routes:
            route.continue_()

    table = tmp_path / "people.csv"
    people().drop(columns="income")[:3].to_csv(table, index=False)
    choose(f"/models/{PEOPLE}/table", "Choose a table", table)
    expect(page.get_by_role("button", name="Score 3 rows")).to_be_visible(timeout=PATIENCE)
    choose(f"/models/{COLOURS}", "Choose one picture or many", pictures[:2])
    expect(page.locator("[data-grid] .name")).to_have_count(2, timeout=PATIENCE)


def test_64_rows_of_the_cookbook(page: Any, real: str, cookbook: Path) -> None:
    page.goto(f"{real}/models/{ADULT}/table")
    page.get_by_label("Choose a table").set_input_files(cookbook / "adult_sample_test.csv")
    expect(page.locator("[data-code=warning_rows]")).to_have_attribute("data-count", "2")
    expect(page.locator("[data-code=far_from_typical]")).to_have_count(2)  # a gain of 99999, a weight of 1268339
    page.get_by_role("button", name="Score 64 rows").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the answers").click()
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
        assert len(list(csv.DictReader(file))) == 64


def test_all_pages_work_without_scripts(chromium: Chromium, real: str, pictures: list[Path], tmp_path: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{real}/models/{PEOPLE}")
    page.get_by_label("Education").select_option("Doctorate")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer .sentence")).to_contain_text("% sure")
    expect(page.get_by_label("Education")).to_have_value("Doctorate")
    page.goto(f"{real}/models/{COLOURS}")
    page.get_by_label("Choose one picture or many").set_input_files(pictures)
    page.get_by_role("button", name="Predict").click()
    expect(page.locator(".picture .sentence")).to_have_count(3, timeout=PATIENCE)
    table = tmp_path / "people.csv"
    people()[:5].to_csv(table, index=False)
    page.goto(f"{real}/models/{PEOPLE}/table")
    page.get_by_label("Choose a table").set_input_files(table)
    page.get_by_role("button", name="Check the file").click()
    page.get_by_role("button", name="Score 5 rows").click()
    page.get_by_role("link", name="Download the answers").wait_for(timeout=PATIENCE)  # the page reloads
    context.close()


@pytest.mark.parametrize("model", [PEOPLE, ADULT])
def test_explanations_are_equal_to_asking_one_at_a_time(
    store: Path, request: pytest.FixtureRequest, model: str
) -> None:
    if model == ADULT:
        request.getfixturevalue("cookbook")
    predictor = Predictor.open(store / f"{model}.mar")
    record = example(predictor.spec)
    check_equal_to_asking_one_at_a_time(predictor, record)
    check_equal_to_asking_one_at_a_time(predictor, {**record, "education": " Masters", "age": 49})


def test_the_answer_and_the_effects_follow_a_change(page: Any, real: str) -> None:
    page.goto(f"{real}/models/{PEOPLE}")
    expect(page.locator(".effect-row")).to_have_count(5)
    first = page.locator("#answer .sentence").inner_text()
    choose(page, "Education", "10th" if ">=50k" in first else "Doctorate")
    expect(page.locator("#answer .sentence")).not_to_have_text(first)
    expect(page.locator(".effect-row a").first).to_have_text("Education")


def test_what_matters_in_a_picture(page: Any, real: str, pictures: list[Path]) -> None:
    page.goto(f"{real}/models/{COLOURS}")
    page.get_by_label("Choose one picture or many").set_input_files(pictures[0])
    page.get_by_role("button", name="What matters in red.jpg").click()
    expect(page.locator("#viewer .legend li")).to_have_count(2)
