"""The scripts of the pages in Chromium, with a fake model server."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest

from fastmar_client import RecordRefused
from fastmar_runtime.masks import png
from fastmar_web import backend
from tests.browser import PATIENCE, Chromium
from tests.pictures import picture
from tests.web.conftest import expect_pixel
from tests.web.fake import COUNTRIES, FILMS, HOSTILE, QUOTED, RECOMMENDED, REVIEWS, FakeClient, answer, number, schema

expect: Any = getattr(pytest.importorskip("playwright.sync_api"), "expect")  # noqa: B009 - mypy needs no stubs


def send(page: Any) -> None:
    page.get_by_role("button", name="Predict").click()


def record_posts(page: Any) -> list[Any]:
    """The requests for predictions from now on."""
    posts: list[Any] = []

    def is_prediction(request: Any) -> bool:
        return request.method == "POST" and not request.url.endswith("/code")

    page.on("request", lambda request: posts.append(request) if is_prediction(request) else None)
    return posts


def test_the_form_of_an_unknown_kind(page: Any, address: str, toy: FakeClient) -> None:
    page.goto(f"{address}/models/toy")
    page.get_by_label("Text").fill("so good")
    page.get_by_label("Loud").uncheck()
    page.get_by_label("Spans").fill("[1")
    send(page)
    expect(page.locator(".problem[data-code=not_json]")).to_be_visible()
    assert not toy.requests
    page.get_by_label("Spans").fill('[{"from": 1}]')
    send(page)
    expect(page.locator("#answer .sentence")).to_have_text("Prediction: good")
    expect(page.locator("#answer dd").last).to_have_text("0.1235")
    [record] = toy.requests
    assert (record["text"], record["loud"], record["spans"]) == ("so good", False, [{"from": 1}])
    expect(page.locator("[data-history] tbody tr")).to_contain_text('Spans [{"from": 1}], Loud no, Text so good')


def answer_as_proxy(page: Any, address: str, status: int) -> None:
    """A proxy answers all POST requests with an HTML page."""

    def handle(route: Any) -> None:
        if route.request.method != "POST":
            route.continue_()
        else:
            route.fulfill(status=status, content_type="text/html", body="<h1>A proxy's page</h1>")

    page.route(f"{address}/models/**", handle)


def shorten_timers(page: Any) -> None:
    """Shorten the timers of the page."""
    page.add_init_script("const timer = setTimeout; window.setTimeout = (run, wait) => timer(run, wait / 50);")


def test_an_error_page_reloads_when_the_server_is_back(page: Any, address: str, fake: FakeClient) -> None:
    fake.go_down()
    page.goto(f"{address}/models/people")
    expect(page.locator("[data-code=model_server_unreachable]")).to_be_visible()
    fake.down = None
    page.get_by_label("Work class").wait_for(timeout=PATIENCE)


def test_the_list_is_updated_when_a_model_is_loaded(page: Any, address: str, fake: FakeClient) -> None:
    fake.loading = {"people"}
    page.goto(address)
    expect(page.locator("[data-code=model_not_ready]")).to_be_visible()
    fake.loading = set()
    page.get_by_role("link", name="People", exact=True).wait_for(timeout=PATIENCE)


def test_a_form_is_sent_again_when_the_server_is_back(page: Any, address: str, fake: FakeClient) -> None:
    page.goto(f"{address}/models/people")
    page.get_by_label("Age").fill("77")
    fake.go_down()
    send(page)
    expect(page.locator("#answer [data-code=model_server_unreachable]")).to_be_visible()
    expect(page.locator("#answer .retrying")).to_be_visible()
    expect(page.locator("#answer .failure")).to_contain_text("can't be reached at the moment. Try again in a minute.")
    expect(page.get_by_text("fastmar serve")).to_be_hidden()  # that is for the operator
    page.get_by_text("For the operator").click()
    expect(page.get_by_text("fastmar serve")).to_be_visible()
    fake.down = None
    expect(page.locator("#answer .sentence")).to_have_text("Prediction: >=50k, 94% sure", timeout=PATIENCE)
    assert fake.requests[-1]["age"] == 77


def test_pictures_are_sent_again_when_the_server_is_back(
    page: Any, address: str, fake: FakeClient, pictures: list[Path]
) -> None:
    page.goto(f"{address}/models/fruit")
    fake.go_down()
    page.get_by_label("Choose one picture or many").set_input_files(pictures)
    expect(page.locator(".picture .problem")).to_have_count(3)
    fake.down = None
    expect(page.locator(".picture .sentence")).to_have_count(3, timeout=PATIENCE)


def test_hostile_names_are_not_run(page: Any, address: str, fake: FakeClient, tmp_path: Path) -> None:
    """The fixture `page` fails on dialogs, script errors and violations of the content security policy."""
    fake.schemas["people"]["ui"] = {"title": HOSTILE, "labels": {">=50k": {"name": QUOTED}}}
    values = fake.schemas["people"]["record"]["properties"]["native-country"]["x-fastmar"]["categories"]
    values[:2] = [HOSTILE, QUOTED]
    warning = {"field": "age", "code": "unknown_category", "value": QUOTED, "message": HOSTILE}
    fake.answers["people"] = answer(warnings=[warning, {**warning, "field": HOSTILE}, {**warning, "field": "?"}])
    page.goto(f"{address}/models/people")
    field = page.get_by_label("Native country")
    field.fill("alert")
    page.get_by_role("option", name=re.compile("script")).click()
    expect(field).to_have_value(HOSTILE)
    send(page)
    expect(page.locator("#answer .sentence")).to_contain_text("onerror=alert")
    expect(page.locator("[data-history] tbody tr")).to_contain_text("onerror=alert")
    assert fake.requests[0]["native-country"] == HOSTILE
    page.reload()
    name = tmp_path / "'><img src=x onerror=alert(1)>.png"
    picture("red", 1).save(name)
    fake.answers["fruit"] = answer(label=HOSTILE, other=QUOTED)
    page.goto(f"{address}/models/fruit")
    page.get_by_label("Choose one picture or many").set_input_files(name)
    expect(page.locator(".picture .sentence")).to_contain_text("<script>")
    page.locator(".thumb").click()
    expect(page.locator("#viewer-title")).to_have_text(name.name)
    assert page.locator("main img, main script").count() == 0
    table = tmp_path / "<img src=x onerror=alert(1)>.csv"
    table.write_text(f"age,{QUOTED.replace(chr(34), chr(34) * 2)!r},{HOSTILE}\n{HOSTILE},1,{HOSTILE}\n")
    page.goto(f"{address}/models/people/table")
    page.get_by_label("Choose a table").set_input_files(table)
    expect(page.locator("#job-title")).to_have_text(table.name)


def test_case_charset_that_is_chosen_goes_with_the_table(page: Any, address: str, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_bytes("age,work-class\n1,café\n".encode("cp1252"))
    page.goto(f"{address}/models/people/table")
    page.get_by_label("Encoding of a CSV file").select_option("windows-1252")
    page.get_by_label("Choose a table").set_input_files(table)
    expect(page.get_by_role("cell", name="café").first).to_be_visible()


def test_a_large_picture_is_made_smaller_and_a_large_other_file_is_refused(
    page: Any, address: str, fake: FakeClient, tmp_path: Path
) -> None:
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (2600, 2600, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    exif[0x010F] = "A camera"
    Image.fromarray(noise).save(tmp_path / "photo.jpg", quality=100, subsampling=0, exif=exif)
    (tmp_path / "nonsense.jpg").write_bytes(b"\xff\xd8\xff" + b"\0" * 20_000_000)
    assert (tmp_path / "photo.jpg").stat().st_size > 8_000_000
    page.goto(f"{address}/models/fruit")
    posts = record_posts(page)
    both = [tmp_path / "photo.jpg", tmp_path / "nonsense.jpg"]
    page.get_by_label("Choose one picture or many").set_input_files(both)
    cards = page.locator(".picture")
    smaller, refused = (cards.nth(n).locator("[data-code]") for n in (0, 1))
    expect(smaller).to_have_attribute("data-code", "made_smaller", timeout=PATIENCE)
    expect(refused).to_have_attribute("data-code", "picture_too_large", timeout=PATIENCE)
    expect(refused).to_contain_text("6 MB")
    assert len(posts) == 1  # the other file is not sent
    [body] = fake.requests
    assert len(body) <= 6_000_000
    (tmp_path / "sent.jpg").write_bytes(body)
    with Image.open(tmp_path / "sent.jpg") as image:
        assert image.getexif()[0x0112] == 6  # the EXIF data is kept, and the pixels are not rotated
        assert image.width == image.height


def test_points_are_drawn_at_the_pixels_of_the_file(page: Any, address: str, fake: FakeClient, tmp_path: Path) -> None:
    """Browsers rotate a photo by its EXIF orientation; the model does not."""
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 200), "white").save(tmp_path / "turned.jpg", exif=exif)
    points = [[100.0, 50.0], [500.0, 50.0]]
    fake.answers["fruit"] = {"prediction": points, "points_model": points, "warnings": []}
    page.goto(f"{address}/models/fruit")
    page.get_by_label("Choose one picture or many").set_input_files(tmp_path / "turned.jpg")
    expect(page.locator(".picture .sentence")).to_have_text("2 points")
    canvas = page.locator(".picture canvas")
    expect_pixel(canvas, [0.25, 0.25], [0, 114, 178])
    expect_pixel(canvas, [0.5, 0.5], [255, 255, 255])
    assert canvas.evaluate("canvas => canvas.width / canvas.height") == 2


def test_a_mask_is_drawn_over_its_picture_with_an_opacity(
    page: Any, address: str, fake: FakeClient, tmp_path: Path
) -> None:
    """Two classes side by side, and a column that the model did not see."""
    import numpy as np
    from PIL import Image

    Image.new("RGB", (96, 48), (255, 0, 0)).save(tmp_path / "red.png")
    mask = np.repeat([[255] * 8 + [1] * 40 + [0] * 48], 48, axis=0).astype(np.uint8)
    counts = {255: (None, 8 * 48), 0: ("ground", 48 * 48), 1: ("thing", 40 * 48)}
    classes = [{"index": index, "name": name, "pixels": pixels} for index, (name, pixels) in counts.items()]
    prediction = {"mask": png(mask), "width": 96, "height": 48, "classes": classes}
    fake.answers["streets"] = {"prediction": prediction, "warnings": []}
    page.goto(f"{address}/models/streets")
    page.get_by_label("Choose one picture or many").set_input_files(tmp_path / "red.png")
    expect(page.locator(".picture .sentence")).to_have_text("ground 55%, thing 45%")
    expect(page.locator(".picture .fill").first).to_have_css("fill", "rgb(0, 114, 178)")
    page.get_by_role("button", name="Enlarge red.png").click()
    canvas = page.locator("#viewer canvas")
    page.get_by_role("slider").fill("100")
    expect(page.locator("#viewer [data-note]")).to_contain_text("Dark")
    expect_pixel(canvas, [0.3, 0.5], [230, 159, 0])
    expect_pixel(canvas, [0.7, 0.5], [0, 114, 178])
    expect_pixel(canvas, [0.02, 0.5], [115, 0, 0], tolerance=15)  # dimmed
    page.get_by_role("slider").fill("0")
    expect_pixel(canvas, [0.3, 0.5], [255, 0, 0])


def test_many_pictures_and_stop(page: Any, address: str, fake: FakeClient, tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.png" for index in range(30)]
    for index, path in enumerate(paths):
        picture("red", index, (20, 20)).save(path)

    first, goes_on = iter([True]), threading.Event()

    def answer_the_first(data: bytes) -> Any:
        assert next(first, False) or goes_on.wait(PATIENCE / 1000)
        return answer(label="apple", other="pear")

    fake.answers["fruit"] = answer_the_first
    page.goto(f"{address}/models/fruit")
    page.get_by_label("Choose one picture or many").set_input_files(paths)
    expect(page.locator(".picture")).to_have_count(30)
    expect(page.locator(".picture .sentence").first).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    goes_on.set()
    expect(page.locator(".picture [data-code=not_sent]").first).to_be_visible()
    expect(page.locator("[data-count]")).to_have_text("30 pictures")
    assert 1 <= len(fake.requests) < 30
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.locator(".picture")).to_have_count(0)


def lower_limit_of_pictures(page: Any, limit: int) -> None:
    """The limit is 500, which takes a minute."""

    def handle(route: Any) -> None:
        response = route.fetch()
        text = response.text()
        assert text.count("MAX_PICTURES = 500;") == 1
        route.fulfill(response=response, body=text.replace("= 500;", f"= {limit};"))

    page.route("**/js/pictures.js*", handle)


def test_pictures_over_the_limit_are_reported(page: Any, address: str, fake: FakeClient, pictures: list[Path]) -> None:
    lower_limit_of_pictures(page, 20)
    page.goto(f"{address}/models/fruit")
    choose = page.get_by_label("Choose one picture or many")
    failure = page.locator("[data-failure]")
    picture = {"name": "red.jpg", "mimeType": "image/jpeg", "buffer": pictures[0].read_bytes()}
    choose.set_input_files([picture] * 21)
    expect(failure.locator("[data-code=too_many_pictures]")).to_be_in_viewport()
    expect(failure).to_contain_text("1 picture ")
    expect(failure.get_by_text("fastmar predict")).to_be_visible()
    expect(page.locator("[data-count]")).to_have_text("20 pictures", timeout=PATIENCE)
    expect(failure).to_contain_text("1 picture ")  # still, when all others are answered
    choose.set_input_files([picture] * 3)
    expect(failure).to_contain_text("4 pictures ")
    expect(page.locator("#announcer")).to_contain_text("4 pictures ")
    assert len(fake.requests) == 20
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(failure).to_be_hidden()
    choose.set_input_files(pictures)
    expect(page.locator("[data-count]")).to_have_text("3 pictures")
    expect(failure).to_be_hidden()


def test_100_000_rows_are_checked_and_scored(page: Any, address: str, fake: FakeClient, tmp_path: Path) -> None:
    columns = list(fake.schemas["people"]["record"]["properties"])
    good, bad = f"Private,{COUNTRIES[1]},3,True,40,40,plain\n", f"{HOSTILE},{COUNTRIES[1]},3,True,old,40,plain\n"
    (tmp_path / "rows.csv").write_text(",".join(columns) + "\n" + (good * 999 + bad) * 100)
    refused, goes_on = iter(range(100)), threading.Event()

    def predict(row: dict[str, str]) -> Any:
        if row["age"] != "old":
            return answer()
        assert next(refused) < 50 or goes_on.wait(PATIENCE / 1000)
        return RecordRefused("no.", fix="none.", status=400)

    fake.answers["people"] = predict
    page.goto(f"{address}/models/people/table")
    page.get_by_label("Choose a table").set_input_files(tmp_path / "rows.csv")
    page.get_by_role("button", name="Score 100,000 rows").click(timeout=PATIENCE)
    expect(page.get_by_role("progressbar", name="Rows scored")).to_be_visible()
    expect(page.locator("[data-code=error_rows][data-count='100']")).to_be_visible()
    expect(page.locator(".job-status")).to_contain_text(re.compile(r"[1-9][\d,]* of 100,000"), timeout=PATIENCE)
    goes_on.set()
    expect(page.locator(".job[data-rows='100000'][data-errors='100']")).to_be_visible(timeout=60_000)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the answers").click()
    with Path(download.value.path()).open() as file:
        assert sum(1 for _ in file) == 100_001


def test_files_are_dropped_and_pasted(page: Any, address: str) -> None:
    page.goto(f"{address}/models/fruit")
    make = """kind => {
        const data = new DataTransfer();
        data.items.add(new File(["x"], `${kind}.png`, { type: "image/png" }));
        return data;
    }"""
    data = page.evaluate_handle(make, "dropped")
    page.dispatch_event("form", "dragenter", {"dataTransfer": data})
    expect(page.locator("form.over")).to_have_count(1)
    page.dispatch_event("form", "drop", {"dataTransfer": data})
    expect(page.locator("form.over")).to_have_count(0)
    paste = "data => document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true }))"
    page.evaluate(paste, page.evaluate_handle(make, "pasted"))
    expect(page.locator(".picture .name")).to_have_text(["dropped.png", "pasted.png"])


def test_copying_and_a_number_pad_on_a_phone(chromium: Chromium, address: str) -> None:
    context = chromium.new_context(
        viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True, permissions=["clipboard-read"]
    )
    page = context.new_page()
    page.goto(f"{address}/models/people")
    assert page.get_by_label("Age").get_attribute("inputmode") == "decimal"
    send(page)
    expect(page.locator("#answer .sentence")).to_be_in_viewport()
    page.get_by_role("button", name="Copy the link").click()
    expect(page.get_by_role("button", name="Copied the link")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").startswith(f"{address}/models/people?work-class=Private&")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.goto(f"{address}/models/fruit")
    camera = page.get_by_label("Take a photo")
    assert (camera.get_attribute("capture"), camera.get_attribute("accept")) == ("environment", "image/*")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    context.close()


def test_incomplete_numbers_and_dates_are_not_sent_as_null(page: Any, address: str, fake: FakeClient) -> None:
    """For scripts, an incomplete number or date is an empty text, which would mean null."""
    date = {"type": ["string", "null"], "x-fastmar": {"kind": "date"}}
    fake.schemas["people"] = schema("people", {"hours": number(40, nullable=True), "age": number(38), "sold": date})
    page.goto(f"{address}/models/people")
    posts = record_posts(page)
    hours, sold = page.get_by_label("Hours"), page.get_by_label("Sold")
    hours.fill("")
    hours.press_sequentially("1e")
    sold.press_sequentially("12")
    send(page)
    expect(page.locator("#answer [data-code=invalid_values]")).to_be_visible()
    for field, code in ((hours, "not_a_number"), (sold, "incomplete_date")):
        expect(field).to_have_attribute("aria-invalid", "true")
        place = page.locator(f"[id={field.get_attribute('id')}-messages]")
        expect(place.locator("[data-code]")).to_have_attribute("data-code", code)
        assert place.get_attribute("id") in field.get_attribute("aria-describedby")
    expect(hours).to_be_focused()
    expect(page.locator("#announcer")).not_to_be_empty()
    assert not posts
    hours.fill("")
    sold.fill("2024-01-31")
    send(page)
    expect(page.locator("#answer .sentence")).to_contain_text("sure")
    expect(hours).not_to_have_attribute("aria-invalid", "true")
    assert (fake.requests[0]["hours"], fake.requests[0]["sold"]) == (None, "2024-01-31")


@pytest.mark.parametrize("typed", ["Country-39", " country-39 ", "y-39"])
def test_a_typed_category_is_sent(page: Any, address: str, fake: FakeClient, typed: str) -> None:
    """No option is chosen: a click on the button leaves the field."""
    page.goto(f"{address}/models/people")
    field = page.get_by_label("Native country")
    field.fill(typed)
    send(page)
    expect(page.locator("#answer .sentence")).to_have_text("Prediction: >=50k, 94% sure")
    expect(field).to_have_value("Country-39")
    assert [record["native-country"] for record in fake.requests] == [" Country-39"]


def test_an_exact_match_is_preferred_to_longer_categories(page: Any, address: str, fake: FakeClient) -> None:
    values = fake.schemas["people"]["record"]["properties"]["native-country"]["x-fastmar"]["categories"]
    values[:2] = ["Niger", "niger"]
    page.goto(f"{address}/models/people")
    field = page.get_by_label("Native country")
    for count, (typed, meant) in enumerate([("Country-3", " Country-3"), ("niger", "niger"), ("Niger", "Niger")], 1):
        field.fill(typed)
        send(page)
        expect(page.locator("[data-history] tbody tr")).to_have_count(count)
        assert fake.requests[-1]["native-country"] == meant


@pytest.mark.parametrize("typed", ["Atlantis", "Country-", "nIGER"])
def test_an_unknown_category_is_not_sent(page: Any, address: str, fake: FakeClient, typed: str) -> None:
    values = fake.schemas["people"]["record"]["properties"]["native-country"]["x-fastmar"]["categories"]
    values[:2] = ["Niger", "niger"]
    page.goto(f"{address}/models/people")
    field = page.get_by_label("Native country")
    field.fill(typed)
    send(page)
    expect(page.locator("#answer [data-code=invalid_values]")).to_be_visible()
    expect(field).to_have_value(typed)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    messages = page.locator(f"[id={field.get_attribute('id')}-messages]")
    expect(messages.locator("[data-code=not_a_choice]")).to_be_visible()
    assert messages.get_attribute("id") in field.get_attribute("aria-describedby")
    expect(page.locator("#announcer")).not_to_be_empty()
    assert not fake.requests
    field.fill("Country-7")
    send(page)
    expect(page.locator("#answer .sentence")).to_have_text("Prediction: >=50k, 94% sure")
    expect(field).not_to_have_attribute("aria-invalid", "true")
    expect(messages).to_be_hidden()
    assert [record["native-country"] for record in fake.requests] == [" Country-7"]


def test_an_emptied_or_cancelled_search_keeps_the_chosen_category(page: Any, address: str, fake: FakeClient) -> None:
    page.goto(f"{address}/models/people")
    field = page.get_by_label("Native country")
    field.fill("Country-7")
    field.press("Enter")
    field.fill("Atlantis")
    field.press("Escape")
    expect(field).to_have_value("Country-7")
    field.fill("")
    send(page)
    expect(page.locator("#answer .sentence")).to_have_text("Prediction: >=50k, 94% sure")
    expect(field).to_have_value("Country-7")
    assert [record["native-country"] for record in fake.requests] == [" Country-7"]


def test_a_long_text_is_cut_in_the_history_and_has_no_link(page: Any, address: str, fake: FakeClient) -> None:
    fake.schemas, fake.answers = {"reviews": REVIEWS}, {"reviews": answer(label="positive", other="negative")}
    page.goto(f"{address}/models/reviews")
    for text, about, links in (
        ("good " * 12, "good " * 12, 1),
        ("good " * 12 + "x", "good " * 11 + "go...", 1),
        ("good " * 2000, "good " * 11 + "go...", 0),
    ):
        page.get_by_label("Text").fill(text)
        send(page)
        expect(page.locator("[data-history] tbody tr").first).to_contain_text(f"Text {about.strip()}")
        expect(page.locator("#answer .link")).to_have_count(links)
        expect(page.locator("[data-history] tbody tr").first.locator("a")).to_have_count(links)
    assert [len(record["text"]) for record in fake.requests] == [60, 61, 10_000]


@pytest.mark.parametrize("key", ["Tab", "Enter", None])
def test_an_emptied_item_requests_a_list(page: Any, address: str, fake: FakeClient, key: str | None) -> None:
    fake.schemas, fake.answers = {"films": FILMS}, {"films": RECOMMENDED}
    page.goto(f"{address}/models/films")
    field = page.get_by_label("Title")
    field.fill("Film 7")
    field.press("Enter")
    field.fill("")
    if key:
        field.press(key)
    send(page)
    expect(page.locator("#answer .chart tbody tr")).to_have_count(len(RECOMMENDED["recommendations"]))
    assert fake.requests == [{"user": 1, "recommend": 10}]
    field.fill("Film 7")
    field.press("Enter")
    expect(field).to_have_value("Film 7")


def test_dates_of_examples_and_links_are_shown_and_sent(page: Any, address: str, fake: FakeClient) -> None:
    """A date input stays blank for a time, and a time input for a date; blank would mean null."""
    date = {"type": ["string", "null"], "default": "2004-01-31", "x-fastmar": {"kind": "date"}}
    days = {"day": {**date, "default": "2004-01-31T08:30:00"}}
    moments = {"day": date, "dayYear": number(2004), "dayHour": number(8)}
    rules = {"allOf": [{"anyOf": [{"required": ["day"]}, {"required": ["dayYear", "dayHour"]}]}]}
    for properties, more, default, linked, shown in (
        (days, {}, "2004-01-31", "2011-11-16T08:30:15", "2011-11-16"),
        (moments, {"rules": rules}, "2004-01-31T00:00", "2011-11-16", "2011-11-16T00:00"),
        (moments, {"rules": rules}, "2004-01-31T00:00", "2011-11-16T08:30:15", "2011-11-16T08:30:15"),
    ):
        name = f"dates{len(fake.schemas)}"
        example = {"title": "A day", "record": {"day": linked}}
        fake.schemas[name] = schema(name, properties, ui={"examples": [example]}, **more)
        fake.answers[name] = answer()
        page.goto(f"{address}/models/{name}")
        field = page.get_by_label("Day")
        expect(field).to_have_value(default)
        page.get_by_role("link", name="A day").click()
        expect(field).to_have_value(shown)
        send(page)
        expect(page.locator("#answer .sentence")).to_have_text("Prediction: >=50k, 94% sure")
        assert fake.requests[-1] == {"day": shown}
        page.goto(f"{address}/models/{name}?day={linked}")
        expect(field).to_have_value(shown)


def test_columns_may_have_the_names_of_form_properties(page: Any, address: str, fake: FakeClient) -> None:
    """A control named "action" hides the form's own `action` from scripts."""
    names = ["action", "elements", "method", "submit", "reset", "name", "noValidate", "length", "querySelectorAll"]
    fake.schemas["people"] = schema("people", {name: number(7) for name in names})
    page.goto(f"{address}/models/people")
    page.get_by_label("Action").fill("9")
    send(page)
    expect(page.locator("#answer .sentence")).to_have_text("Prediction: >=50k, 94% sure")
    assert page.url == f"{address}/models/people"
    expect(page.locator("[data-history] tbody tr")).to_contain_text("Action 9")
    assert fake.requests == [{**dict.fromkeys(names, 7), "action": 9}]


@pytest.mark.parametrize(
    ("status", "code"), [(413, "body_too_large"), (200, "unexpected_reply"), (403, "unexpected_reply")]
)
def test_a_reply_of_a_proxy_is_shown_and_not_retried(
    page: Any, address: str, pictures: list[Path], status: int, code: str
) -> None:
    shorten_timers(page)
    answer_as_proxy(page, address, status)
    page.goto(f"{address}/models/fruit")
    posts = record_posts(page)
    page.get_by_label("Choose one picture or many").set_input_files(pictures[0])
    card = page.locator(".picture")
    expect(card.locator(f"[data-code={code}]")).to_be_visible()
    expect(page.locator("[data-count]")).to_have_text("1 picture")  # done
    expect(card.locator(".retrying")).to_have_count(0)
    page.goto(f"{address}/models/people")
    send(page)
    expect(page.locator(f"#answer [data-code={code}]")).to_be_visible()
    expect(page.locator("#answer .retrying")).to_have_count(0)
    assert len(posts) == 2


def test_retries_are_limited(page: Any, address: str, pictures: list[Path]) -> None:
    shorten_timers(page)
    answer_as_proxy(page, address, 502)
    page.goto(f"{address}/models/fruit")
    posts = record_posts(page)
    page.get_by_label("Choose one picture or many").set_input_files(pictures[0])
    expect(page.locator("[data-count]")).to_have_text("1 picture")
    expect(page.locator(".picture [data-code=web_app_unavailable]")).to_contain_text("502")
    expect(page.locator(".picture .retrying")).to_have_count(0)
    assert len(posts) == 6
    page.goto(f"{address}/models/people")
    posts.clear()
    with page.expect_response(lambda response: len(posts) == 6 and response.request.method == "POST"):
        send(page)
    expect(page.locator("#answer")).not_to_have_attribute("aria-busy", "true")
    expect(page.locator("#answer [data-code=web_app_unavailable]")).to_contain_text("502")
    assert page.locator("#answer .retrying").count() == 0
    assert len(posts) == 6


def test_a_refused_table_is_not_retried(
    page: Any, address: str, fake: FakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "SCHEMA_SECONDS", 0.0)  # so that the upload calls the server
    (tmp_path / "rows.csv").write_text("age\n1\n")
    page.goto(f"{address}/models/people/table")
    fake.go_down()
    page.get_by_label("Choose a table").set_input_files(tmp_path / "rows.csv")
    expect(page.locator("[data-failure] [data-code=model_server_unreachable]")).to_be_visible()
    expect(page.locator("[data-failure] .retrying")).to_have_count(0)
    answer_as_proxy(page, address, 413)
    page.get_by_label("Choose a table").set_input_files(tmp_path / "rows.csv")
    expect(page.locator("[data-failure] [data-code=body_too_large]")).to_be_visible()


@pytest.mark.parametrize(
    ("step", "value", "key", "after"),
    [
        (0.25, "0", "ArrowUp", "0.25"),
        (0.25, "0.25", "Shift+ArrowUp", "2.75"),
        (1, "37.5", "ArrowUp", "38.5"),
        (0.1, "0.2", "ArrowUp", "0.3"),
        (10, "-0.125", "ArrowDown", "-10.125"),
        (0.25, "1e-7", "ArrowUp", "0.2500001"),
        (0.25, "1e-200", "ArrowUp", "0.25"),
    ],
)
def test_arrow_keys_change_a_number_by_its_step(
    page: Any, address: str, fake: FakeClient, step: float, value: str, key: str, after: str
) -> None:
    fake.schemas["people"]["ui"] = {"fields": {"age": {"step": step}}}
    page.goto(f"{address}/models/people")
    field = page.get_by_label("Age")
    field.fill(value)
    field.press(key)
    expect(field).to_have_value(after)
