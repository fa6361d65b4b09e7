"""Live answers in Chromium: requests, comparisons, sliders, what if, the history, and the size of the page."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest

from fastmar_runtime.schema import describe
from tests.browser import PATIENCE, Chromium
from tests.runtime import tiny
from tests.web.conftest import problems, strict_page
from tests.web.fake import FakeClient

expect: Any = getattr(pytest.importorskip("playwright.sync_api"), "expect")  # noqa: B009 - mypy needs no stubs
MODEL = tiny.predictor()
MAX_BYTES = 150_000
UI = {
    "fields": {"age": {"minimum": 17, "maximum": 90}, "hours": {"unit": "a week"}},
    "examples": [{"title": "Old", "record": {"age": 80, "grade": 11}}],
}


@pytest.fixture
def live(fake: FakeClient) -> FakeClient:
    """The fake server with a model that explains its answers."""
    fake.schemas = {"tiny": describe(tiny.spec(ui=UI))}
    fake.answers = {"tiny": lambda record: MODEL.predict([record])[0]}
    return fake


@pytest.fixture
def opened(page: Any, address: str, live: FakeClient) -> Any:
    """The page of the model, with the answer to the typical record."""
    page.goto(f"{address}/models/tiny")
    expect(page.locator("#answer .sentence")).to_be_visible()
    return page


def sentence(record: dict[str, Any]) -> str:
    [answer] = MODEL.predict([record])
    share = answer["probabilities"][answer["prediction"]]
    text = "over 99%" if share >= 0.995 else f"{share:.0%}"
    return f"Prediction: {answer['prediction']}, {text} sure"


TYPICAL = {field.name: field.default for field in tiny.FIELDS}


def test_the_form_opens_with_the_answer_to_the_typical_record(opened: Any, live: FakeClient) -> None:
    expect(opened.locator("#answer .sentence")).to_have_text(sentence(TYPICAL))
    assert live.requests == [{**TYPICAL, "explain": True}]
    expect(opened.locator("[data-history]")).to_be_hidden()  # only answers that were asked for


def test_the_answer_follows_a_change_and_says_what_it_was(opened: Any, live: FakeClient) -> None:
    before = opened.locator(".headline-share").inner_text()
    opened.get_by_label("Hours").fill("44")
    expect(opened.locator("#answer .sentence")).to_have_text(sentence({**TYPICAL, "hours": 44}))
    expect(opened.locator(".headline .was")).to_have_text(f"was {before}")
    expect(opened.locator(".chart .was").first).to_contain_text("was ")
    expect(opened.locator("#announcer")).to_have_text(sentence({**TYPICAL, "hours": 44}))
    opened.get_by_label("Hours").fill("60")  # the same field: compared with the answer before its first change
    expect(opened.locator("#answer .sentence")).to_have_text(sentence({**TYPICAL, "hours": 60}))
    expect(opened.locator(".headline .was")).to_contain_text(before)
    assert [request["hours"] for request in live.requests] == [38, 44, 60]
    expect(opened.locator("[data-history]")).to_be_hidden()


COUNT_FLYING = """
window.flying = 0;
window.most = 0;
window.cancelled = 0;
window.started = 0;
const original = window.fetch;
window.fetch = async (...request) => {
    if (request[0].endsWith("/code")) return original(...request);
    window.started += 1;
    window.most = Math.max(window.most, ++window.flying);
    try {
        return await original(...request);
    } catch (error) {
        window.cancelled += 1;
        throw error;
    } finally {
        window.flying -= 1;
    }
};
"""


def test_at_most_one_request_is_in_flight_while_typing(page: Any, address: str, live: FakeClient) -> None:
    """The test decides when the pause after a change is over, and when the server answers."""
    answered = threading.Event()

    def wait_for_the_test(record: Any) -> Any:
        assert answered.wait(PATIENCE / 1000)
        return MODEL.predict([record])[0]

    page.add_init_script(COUNT_FLYING)
    page.clock.install()
    page.goto(f"{address}/models/tiny")
    expect(page.locator("#answer .sentence")).to_have_text(sentence(TYPICAL))
    live.answers["tiny"] = wait_for_the_test
    page.clock.pause_at(datetime.now() + timedelta(hours=1))
    field = page.get_by_label("Hours")
    before = page.evaluate("window.started")
    for pauses, hours in enumerate((40, 44, 48)):
        for value in range(hours, hours + 4):
            field.fill(str(value))
            page.wait_for_function("count => window.started === count", arg=before + 1 + pauses)
            page.clock.run_for(200)  # less than the pause
        page.clock.run_for(100)
        page.wait_for_function("count => window.started === count", arg=before + 2 + pauses)
    answered.set()
    page.clock.resume()
    expect(page.locator("#answer .sentence")).to_have_text(sentence({**TYPICAL, "hours": 51}))
    assert page.evaluate("[window.most, window.cancelled]") == [1, 3]
    assert page.evaluate("window.started") == before + 4, "the first change, and one request for each pause"
    assert live.requests[-1]["hours"] == 51


def test_a_change_is_answered_at_once_and_the_last_one_next(page: Any, address: str, live: FakeClient) -> None:
    """Without a pause: the clock of the page stands still."""
    turns = threading.Semaphore(0)

    def wait_for_the_test(record: Any) -> Any:
        assert turns.acquire(timeout=PATIENCE / 1000)
        return MODEL.predict([record])[0]

    page.clock.install()
    page.goto(f"{address}/models/tiny")
    expect(page.locator("#answer .sentence")).to_have_text(sentence(TYPICAL))
    live.answers["tiny"] = wait_for_the_test
    page.clock.pause_at(datetime.now() + timedelta(hours=1))
    before, field = len(live.requests), page.get_by_label("Hours")
    with page.expect_request("**/models/tiny"):
        field.fill("4")
    for text in ("45", "451", "45"):
        field.fill(text)
    turns.release()
    expect(page.locator("#answer .sentence")).to_have_text(sentence({**TYPICAL, "hours": 4}))
    turns.release()
    expect(page.locator("#answer .sentence")).to_have_text(sentence({**TYPICAL, "hours": 45}))
    assert [request["hours"] for request in live.requests[before:]] == [4, 45]
    with page.expect_response("**/models/tiny"):
        page.get_by_label("Age").fill("1")  # the minimum is 17
    expect(page.locator("#answer")).not_to_have_attribute("aria-busy", "true")
    expect(page.locator(".problem")).to_have_count(0)  # the visitor may be typing
    page.clock.run_for(300)
    expect(page.locator(".problem[data-code=below_minimum]")).to_be_visible()
    expect(page.locator("[data-outdated]")).to_be_visible()


def test_no_message_moves_the_button_while_it_is_pressed(opened: Any) -> None:
    opened.clock.install()
    opened.clock.pause_at(datetime.now() + timedelta(hours=1))
    button = opened.get_by_role("button", name="Predict")
    with opened.expect_response("**/models/tiny"):
        opened.get_by_label("Hours").fill("")
    expect(opened.locator("#answer")).not_to_have_attribute("aria-busy", "true")
    button.hover()
    opened.mouse.down()
    opened.clock.run_for(300)
    expect(opened.locator(".problem")).to_have_count(0)
    opened.mouse.up()
    expect(opened.locator("#answer [data-code=invalid_values]")).to_be_visible()
    expect(opened.get_by_label("Hours")).to_be_focused()


def test_a_refused_form_is_not_reported_twice(page: Any, address: str, live: FakeClient) -> None:
    """After "Predict", the answer says that nothing was sent; it is not an older answer that was not updated."""
    page.add_init_script(COUNT_FLYING)
    page.clock.install()
    page.goto(f"{address}/models/tiny")
    expect(page.locator("#answer .sentence")).to_be_visible()
    page.clock.pause_at(datetime.now() + timedelta(hours=1))
    page.get_by_label("Hours").fill("")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer [data-code=invalid_values]")).to_be_visible()
    started = page.evaluate("window.started")
    page.clock.run_for(1000)
    assert page.evaluate("window.started") == started
    expect(page.locator("[data-outdated]")).to_be_hidden()
    with page.expect_response("**/models/tiny"):
        page.get_by_label("Age").fill("1")
    page.clock.run_for(1000)
    expect(page.locator(".problem[data-code=below_minimum]")).to_be_visible()
    expect(page.locator("[data-outdated]")).to_be_hidden()


def test_incomplete_and_invalid_values_keep_the_answer(opened: Any, live: FakeClient) -> None:
    before = opened.locator("#answer .sentence").inner_text()
    opened.get_by_label("Hours").fill("")
    expect(opened.locator(".problem[data-code=value_missing]")).to_be_visible()
    expect(opened.locator("#answer .sentence")).to_have_text(before)
    expect(opened.get_by_label("Hours")).to_be_focused()
    assert len(live.requests) == 1
    opened.get_by_role("button", name="Predict").click()
    expect(opened.locator("#answer [data-code=invalid_values]")).to_be_visible()
    opened.get_by_label("Hours").fill("40")
    expect(opened.locator("#answer .sentence")).to_have_text(sentence({**TYPICAL, "hours": 40}))
    expect(opened.locator(".problem")).to_have_count(0)


def test_a_failure_is_shown_and_the_answer_returns(opened: Any, live: FakeClient) -> None:
    live.go_down()
    opened.get_by_label("Hours").fill("41")
    expect(opened.locator("#answer [data-code=model_server_unreachable]")).to_be_visible()
    expect(opened.locator("[data-what-if]")).to_be_hidden()
    live.down = None
    opened.get_by_label("Hours").fill("42")
    expect(opened.locator("#answer .sentence")).to_have_text(sentence({**TYPICAL, "hours": 42}))


def test_the_slider_and_the_number_are_equal(opened: Any, live: FakeClient) -> None:
    slider, number = opened.locator("[data-slider]"), opened.get_by_label("Age")
    slider.fill("55")
    expect(number).to_have_value("55")
    expect(opened.locator("#answer .sentence")).to_have_text(sentence({**TYPICAL, "age": 55}))
    number.fill("30")
    expect(slider).to_have_value("30")
    number.press("ArrowUp")
    expect(slider).to_have_value("31")
    expect(opened.locator("#answer .sentence")).to_have_text(sentence({**TYPICAL, "age": 31}))
    assert live.requests[-1]["age"] == 31


def test_the_history_names_the_example_and_what_was_changed(opened: Any) -> None:
    opened.get_by_role("link", name="Old").click()
    opened.wait_for_url("**age=80**")
    expect(opened.locator("#answer .sentence")).to_have_text(sentence({**TYPICAL, "age": 80, "grade": 11}))
    opened.get_by_role("button", name="Predict").click()
    row = opened.locator("[data-history] tbody tr")
    expect(row).to_contain_text("Old")
    opened.get_by_label("Hours").fill("2000")
    opened.get_by_role("button", name="Predict").click()
    expect(row).to_have_count(2)
    expect(row.first).to_contain_text("Old, changed: Hours 2,000 a week")
    opened.get_by_role("link", name="Reset").click()
    opened.wait_for_url("**/models/tiny")
    expect(opened.locator("#answer .sentence")).to_have_text(sentence(TYPICAL))
    opened.get_by_role("button", name="Predict").click()
    expect(row).to_have_count(3)
    expect(row.first).to_contain_text("typical values")


def test_a_random_example_is_answered_at_once(opened: Any, live: FakeClient) -> None:
    opened.get_by_role("link", name="Random example").click()
    opened.wait_for_url("**workclass=**")
    expect(opened.locator("#answer .sentence")).to_be_visible()
    assert len(live.requests) == 2
    assert opened.locator(".problem, .remark").count() == 0


def test_what_if_ranks_the_fields_and_leads_to_them(opened: Any) -> None:
    opened.get_by_label("Hours").fill("60")
    expect(opened.locator(".effect-row").first.locator("a")).to_have_text("Hours")
    expect(opened.locator(".effect-row")).to_have_count(5)
    opened.locator(".effect-row a").first.click()
    expect(opened.get_by_label("Hours")).to_be_focused()


def test_with_the_keyboard_alone(opened: Any, live: FakeClient) -> None:
    field = opened.get_by_label("Hours")
    for _ in range(40):
        if field.evaluate("field => field === document.activeElement"):
            break
        opened.keyboard.press("Tab")
    expect(field).to_be_focused()
    opened.keyboard.press("Shift+ArrowUp")
    expect(field).not_to_have_value("38")
    hours = float(field.input_value())
    expect(opened.locator("#answer .sentence")).to_have_text(sentence({**TYPICAL, "hours": hours}))
    expect(field).to_be_focused()
    opened.keyboard.press("Enter")
    expect(opened.locator("[data-history] tbody tr")).to_contain_text(f"Hours {hours:g}")
    opened.keyboard.press("Tab")
    expect(opened.get_by_role("button", name="Predict")).to_be_focused()


def test_the_form_works_without_scripts(chromium: Chromium, address: str, live: FakeClient) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/models/tiny")
    expect(page.locator("[data-slider]")).to_be_hidden()
    page.get_by_label("Hours").fill("60")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer .sentence")).to_have_text(sentence({**TYPICAL, "hours": 60}))
    expect(page.locator(".effect-row")).to_have_count(5)
    context.close()


def test_the_page_is_small_and_from_one_host(page: Any, address: str, live: FakeClient) -> None:
    responses: list[Any] = []

    def note(response: Any) -> None:
        responses.append(response)

    page.on("response", note)
    page.goto(f"{address}/models/tiny")
    expect(page.locator("#answer .sentence")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert all(response.url.startswith(f"{address}/") for response in responses)
    size = sum(len(response.body()) for response in responses)
    assert size < MAX_BYTES, size


def test_open_options_do_not_cover_the_button(page: Any, address: str, fake: FakeClient) -> None:
    fake.schemas["people"]["ui"] = {"fields": {"work-class": {"hidden": True}}}  # so that the field is above the button
    for height in (900, 620, 480):
        page.set_viewport_size({"width": 1200, "height": height})
        page.goto(f"{address}/models/people")
        page.get_by_label("Native country").click()
        expect(page.locator(".combo ul")).to_be_visible()
        options = page.locator(".combo ul").bounding_box()
        button = page.get_by_role("button", name="Predict").bounding_box()
        below, above = options["y"] >= button["y"] + button["height"], options["y"] + options["height"] <= button["y"]
        beside = options["x"] >= button["x"] + button["width"]
        assert below or above or beside, (height, options, button)
        assert options["y"] >= 0


def test_a_phone_shows_the_answer_beside_the_button(chromium: Chromium, address: str, live: FakeClient) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 700}, is_mobile=True, has_touch=True)
    with strict_page(context) as page:
        page.goto(f"{address}/models/tiny")
        brief = page.locator("[data-brief]")
        expect(brief).to_contain_text("%")
        expect(brief).to_be_in_viewport()
        expect(page.get_by_role("button", name="Predict")).to_be_in_viewport()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_no_serious_problem_of_accessibility(
    chromium: Chromium,
    address: str,
    live: FakeClient,
    axe: str,
    scheme: str,
    width: int,
) -> None:
    touch = {"is_mobile": True, "has_touch": True} if width < 500 else {}
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}, **touch)
    with strict_page(context) as page:
        page.goto(f"{address}/models/tiny")
        page.get_by_label("Hours").fill("44")
        expect(page.locator(".headline .was")).not_to_be_empty()
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("[data-history] tbody tr")).to_have_count(1)
        page.wait_for_function("() => document.getAnimations().every((one) => one.playState === 'finished')")
        assert problems(page, axe) == []


@pytest.mark.parametrize(("label", "text"), [("Hours", ""), ("Age", "-5")])
def test_an_invalid_value_dims_the_answer_until_it_is_corrected(opened: Any, label: str, text: str) -> None:
    field = opened.get_by_label(label)
    field.fill(text)
    expect(opened.locator("[data-outdated]")).to_have_text("Not updated: correct the marked field.")
    expect(opened.locator("[data-outdated]")).to_be_visible()
    expect(opened.locator("[data-answer]")).to_have_css("opacity", "0.5")
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill("40")
    expect(opened.locator("[data-outdated]")).to_be_hidden()
    expect(opened.locator("[data-answer]")).to_have_css("opacity", "1")


def test_an_unknown_category_is_marked_when_the_field_is_left(page: Any, address: str, fake: FakeClient) -> None:
    page.goto(f"{address}/models/people")
    field = page.get_by_label("Native country")
    field.fill("chicago")
    field.press("Tab")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator("[data-code=not_a_choice]")).to_contain_text("No matching category")
    expect(page.locator("[data-outdated]")).to_be_visible()
    expect(page.locator("[data-snippets] pre")).to_have_count(0)
    field.fill("Country-7")
    field.press("Tab")
    expect(page.locator("[data-outdated]")).to_be_hidden()
    expect(field).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator("[data-snippets] pre").first).to_contain_text("Country-7")


def test_the_history_names_the_last_changed_value_first_and_no_answer_twice(opened: Any) -> None:
    row = opened.locator("[data-history] tbody tr")
    opened.get_by_label("Hours").fill("44")
    opened.get_by_label("Age").fill("41")
    opened.get_by_role("button", name="Predict").click()
    expect(row).to_contain_text("Age 41, Hours 44")
    opened.get_by_role("button", name="Predict").click()
    opened.get_by_label("Hours").fill("45")
    opened.get_by_role("button", name="Predict").click()
    expect(row.first).to_contain_text("Hours 45 a week, Age 41")
    expect(row).to_have_count(2)


def test_no_box_scrolls_inside_the_page(opened: Any) -> None:
    """An answer that fits stays in the window; a taller one scrolls, and its headline is beside the buttons."""
    side, brief = opened.locator(".side"), opened.locator("[data-brief]")
    assert opened.evaluate("innerHeight") == 900
    opened.set_viewport_size({"width": 1200, "height": 1600})
    expect(side).to_have_css("position", "sticky")
    expect(brief).to_be_hidden()
    opened.set_viewport_size({"width": 1200, "height": 400})
    expect(side).to_have_css("position", "static")
    expect(brief).to_be_in_viewport()
    expect(brief).to_contain_text(opened.locator(".headline-share").inner_text())
    scrolls = "(one) => getComputedStyle(one).overflowY === 'auto' && one.scrollHeight > one.clientHeight + 1"
    assert opened.evaluate(f"[...document.querySelectorAll('main *')].filter({scrolls}).length") == 0
