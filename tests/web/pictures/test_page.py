"""The page of pictures in Chromium, with a fake model server: many answers, overlays, pasted pictures."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image

from fastmar_client import RecordRefused, ServerFailed
from fastmar_runtime.masks import png
from tests.browser import PATIENCE, Chromium
from tests.engines.calls import TIMEOUT, wait_for
from tests.pictures import file_of, picture
from tests.web.conftest import expect_pixel, problems, strict_page
from tests.web.fake import FakeClient, answer

expect: Any = getattr(pytest.importorskip("playwright.sync_api"), "expect")  # noqa: B009 - mypy needs no stubs
Files = list[dict[str, Any]]
# Answers by the red value of a picture.
ANSWERS = {10: ("apple", 0.97), 20: ("pear", 0.6), 30: ("apple", 0.4), 40: ("pear", 0.99)}
MEMORY = "[...document.querySelectorAll('.thumb canvas')].reduce((sum, one) => sum + one.width * one.height * 4, 0)"


def plain(red: int, name: str, size: tuple[int, int] = (24, 16)) -> dict[str, Any]:
    """A file whose pixels have one colour."""
    data = file_of(Image.new("RGB", size, (red, 0, 0)), "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": data}


@pytest.fixture
def fruit(fake: FakeClient) -> Files:
    """Five files; the server answers four of them with two labels."""

    def predict(data: bytes) -> Any:
        with Image.open(io.BytesIO(data)) as image:
            label, share = ANSWERS.get(image.getpixel((0, 0))[0], ("", 0.0))
        if not label:
            return RecordRefused("no.", fix="none.", status=400, code="damaged_picture")
        return answer(share, label=label, other="apple" if label == "pear" else "pear")

    fake.answers["fruit"] = predict
    return [plain(red, f"{red}.png") for red in (10, 20, 30, 40, 50)]


def choose(page: Any, files: Any) -> None:
    page.get_by_label("Choose one picture or many").set_input_files(files)
    expect(page.get_by_role("button", name="Stop")).to_be_hidden(timeout=6 * PATIENCE)


def expect_names(page: Any, *names: str) -> None:
    """Wait until these are the names of the visible cards, in their order."""
    expect(page.locator(".picture:not([hidden]) .name")).to_have_text([*names])


def select(page: Any, label: str, option: str) -> None:
    page.get_by_label(label, exact=True).select_option(label=option)


def test_answers_are_sorted_and_filtered(page: Any, address: str, fruit: Files, axe: str) -> None:
    page.goto(f"{address}/models/fruit")
    expect(page.get_by_label("Order", exact=True)).to_be_hidden()
    choose(page, fruit)
    select(page, "Order", "Least confident first")
    expect_names(page, "30.png", "20.png", "10.png", "40.png", "50.png")
    select(page, "Order", "By label")
    expect_names(page, "10.png", "30.png", "40.png", "20.png", "50.png")
    select(page, "Label", "pear (2)")
    expect_names(page, "40.png", "20.png")
    expect(page.locator("[data-shown]")).to_have_text("2 of 5 shown")
    select(page, "Confidence", "50% to 80%")
    expect_names(page, "20.png")
    assert problems(page, axe) == []
    select(page, "Confidence", "Any")
    select(page, "Label", "Without an answer (1)")
    expect_names(page, "50.png")
    choose(page, plain(10, "new.png"))
    expect_names(page, *(f"{red}.png" for red in (10, 20, 30, 40, 50)), "new.png")  # all, as added


def test_the_viewer_steps_through_the_shown_answers(page: Any, address: str, fruit: Files) -> None:
    page.goto(f"{address}/models/fruit")
    choose(page, fruit)
    select(page, "Order", "Most confident first")
    select(page, "Label", "apple (2)")
    page.get_by_role("button", name="Enlarge 10.png").click()
    title = page.locator("#viewer-title")
    expect(page.locator("[data-position]")).to_have_text("1 of 2")
    expect(page.locator("#viewer .sentence")).to_have_text("apple, 97% sure")
    expect(page.locator("#viewer .chart tr").first).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(title).to_have_text("30.png")
    page.keyboard.press("ArrowRight")  # there is no other
    expect(title).to_have_text("30.png")
    page.get_by_role("button", name="Previous picture").click()
    expect(title).to_have_text("10.png")
    page.keyboard.press("ArrowRight")
    expect(title).to_have_text("30.png")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Enlarge 30.png")).to_be_focused()


def test_the_drop_zone_shrinks_once_there_are_answers(page: Any, address: str, fruit: Files) -> None:
    page.goto(f"{address}/models/fruit")
    zone = page.locator("form.drop")
    before = zone.bounding_box()["height"]
    choose(page, fruit[:1])
    wait_for(lambda: zone.bounding_box()["height"] < before / 2)
    expect(page.get_by_role("button", name="Clear", exact=True)).to_be_visible()
    page.get_by_role("button", name="Clear", exact=True).click()
    wait_for(lambda: zone.bounding_box()["height"] == before)


def test_200_pictures_take_the_memory_of_those_near_the_window(page: Any, address: str, fruit: Files) -> None:
    page.goto(f"{address}/models/fruit")
    large = file_of(Image.new("RGB", (1200, 900), (10, 0, 0)), "PNG")
    choose(page, [{"name": f"{n}.png", "mimeType": "image/png", "buffer": large} for n in range(200)])
    expect(page.locator(".picture .sentence")).to_have_count(200, timeout=60_000)
    expect(page.locator(".picture").first.locator("canvas[width='480']")).to_be_visible()
    assert 0 < page.evaluate(MEMORY) < 200 * 480 * 360 * 4 / 2
    last = page.locator(".picture canvas").last
    expect(last).to_have_attribute("width", "1")
    last.scroll_into_view_if_needed()
    expect(page.locator(".picture").last.locator("canvas[width='480']")).to_be_visible()
    expect(page.locator(".picture").first.locator("canvas[width='1']")).to_have_count(1)


@pytest.mark.parametrize("text", ["data:image/png;base64,{}", " data:image/png;charset=x;base64,{}\n"])
def test_a_pasted_data_url_is_a_picture(page: Any, address: str, fruit: Files, fake: FakeClient, text: str) -> None:
    page.goto(f"{address}/models/fruit")
    paste(page, text.format(base64.b64encode(fruit[0]["buffer"]).decode()))
    expect(page.locator(".picture .sentence")).to_have_text("apple, 97% sure")
    assert fake.requests == [fruit[0]["buffer"]]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("https://example.com/cat.jpg", "link_pasted"),
        ("data:image/png;base64,%%%", "no_picture_pasted"),
        ("data:text/plain;base64,aGVsbG8=", "no_picture_pasted"),
        ("hello", "no_picture_pasted"),
    ],
)
def test_other_texts_are_refused_and_nothing_is_fetched(page: Any, address: str, text: str, code: str) -> None:
    page.goto(f"{address}/models/fruit")
    requests: list[Any] = []
    page.on("request", lambda request: requests.append(request.url))
    paste(page, text)
    expect(page.locator(f"[data-code={code}]")).to_be_visible()
    assert [url for url in requests if not url.startswith(f"{address}/static/")] == []
    expect(page.locator(".picture")).to_have_count(0)


def paste(page: Any, text: str) -> None:
    script = """text => {
        const data = new DataTransfer();
        data.setData("text/plain", text);
        document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
    }"""
    page.evaluate(script, text)


def test_an_empty_file_is_named_so(page: Any, address: str, fruit: Files, fake: FakeClient) -> None:
    page.goto(f"{address}/models/fruit")
    choose(page, [{"name": "empty.png", "mimeType": "image/png", "buffer": b""}])
    expect(page.locator("[data-code=empty_picture]")).to_contain_text("The file is empty.")
    assert not fake.requests


def test_the_button_takes_the_picture_in_the_clipboard(chromium: Chromium, address: str, fake: FakeClient) -> None:
    context = chromium.new_context(permissions=["clipboard-read", "clipboard-write"])
    fake.answers["fruit"] = answer(label="apple", other="pear")
    with strict_page(context) as page:
        page.goto(f"{address}/models/fruit")
        page.evaluate("""async () => {
            const canvas = new OffscreenCanvas(8, 8);
            canvas.getContext("2d").fillRect(0, 0, 8, 8);
            await navigator.clipboard.write([new ClipboardItem({ "image/png": await canvas.convertToBlob() })]);
        }""")
        page.get_by_role("button", name="Paste").click()
        expect(page.locator(".picture .name")).to_have_text("pasted.png")
        expect(page.locator(".picture .sentence")).to_be_visible()
    assert fake.requests[0][:4] == b"\x89PNG"


@pytest.fixture
def street(fake: FakeClient) -> dict[str, Any]:
    """A file; the server answers it with a mask of four vertical stripes."""
    mask = np.repeat([[0, 1, 2, 3]], 16, axis=0).repeat(8, axis=1).astype(np.uint8)
    named = enumerate(["sky", "car", "road", "tree"])
    classes = [{"index": index, "name": name, "pixels": 128} for index, name in named]
    prediction = {"mask": png(mask), "width": 32, "height": 16, "classes": classes}
    fake.answers["streets"] = {"prediction": prediction, "warnings": []}
    fake.schemas["streets"]["ui"] = {"labels": {"road": {"name": "Road surface"}}}
    return {"name": "white.png", "mimeType": "image/png", "buffer": file_of(Image.new("RGB", (32, 16), "white"), "PNG")}


def expect_stripe(page: Any, number: int, colour: list[int]) -> None:
    """Wait until a stripe of the enlarged mask has a colour."""
    expect_pixel(page.locator("#viewer canvas"), [number / 4 + 0.125, 0.5], colour)


def test_classes_of_a_mask_are_hidden_and_shown(page: Any, address: str, street: dict[str, Any], axe: str) -> None:
    page.goto(f"{address}/models/streets")
    choose(page, [street, {**street, "name": "second.png"}])
    page.get_by_role("button", name="Enlarge white.png").click()
    page.get_by_role("slider").fill("100")
    expect_stripe(page, 2, [0, 158, 115])
    road = page.get_by_role("checkbox", name="Road surface 25%")
    road.uncheck()
    expect_stripe(page, 2, [255, 255, 255])
    expect_stripe(page, 1, [230, 159, 0])
    assert problems(page, axe) == []
    page.get_by_role("button", name="Next picture").click()
    expect(page.locator("#viewer-title")).to_have_text("second.png")
    expect(road).not_to_be_checked()
    expect_stripe(page, 2, [255, 255, 255])
    page.get_by_role("button", name="Hide all").click()
    expect_stripe(page, 1, [255, 255, 255])
    page.get_by_role("button", name="Show all").click()
    expect_stripe(page, 2, [0, 158, 115])


SIZES = [(8, 4), (400, 200), (4000, 2000), (1000, 10)]


@pytest.mark.parametrize("size", SIZES)
def test_points_have_names_and_are_at_their_pixels(page: Any, address: str, fake: FakeClient, size: Any) -> None:
    width, height = size
    fake.schemas["fruit"]["ui"] = {"labels": {"1": {"name": "Left eye"}}}
    points = [[width / 4, height / 2], [width * 3 / 4, height / 2]]
    fake.answers["fruit"] = {"prediction": points, "points_model": points, "warnings": []}
    page.goto(f"{address}/models/fruit")
    data = file_of(Image.new("RGB", size, "white"), "PNG")
    choose(page, {"name": "white.png", "mimeType": "image/png", "buffer": data})
    expect(page.locator(".picture .chart tbody th")).to_have_text(["Left eye", "Point 2"])
    page.get_by_role("button", name="Enlarge white.png").click()
    expect(page.get_by_role("checkbox", name="Left eye")).to_be_checked()
    for canvas in (page.locator(".picture canvas"), page.locator("#viewer canvas")):
        expect_pixel(canvas, [0.25, 0.5], [0, 114, 178])
        expect_pixel(canvas, [0.75, 0.5], [230, 159, 0])
    page.get_by_role("checkbox", name="Left eye").uncheck()
    expect_pixel(page.locator("#viewer canvas"), [0.25, 0.5], [255, 255, 255])


# The first picture that the page reads is ready long after the others.
SLOW_FIRST = """
const read = createImageBitmap;
let count = 0;
window.createImageBitmap = async (...args) => {
  count += 1;
  if (count > 1) return read(...args);
  await new Promise((done) => setTimeout(done, 1000));
  setTimeout(() => { window.firstIsDrawn = true; }, 200);
  return read(...args);
};
"""


def test_a_preview_that_is_late_does_not_cover_the_points(page: Any, address: str, fake: FakeClient) -> None:
    points = [[6.0, 8.0], [18.0, 8.0]]
    fake.answers["fruit"] = {"prediction": points, "points_model": points, "warnings": []}
    page.add_init_script(SLOW_FIRST)
    page.goto(f"{address}/models/fruit")
    choose(page, plain(10, "10.png"))
    wait_for(lambda: page.evaluate("window.firstIsDrawn"), TIMEOUT)
    expect_pixel(page.locator(".picture canvas"), [0.25, 0.5], [0, 114, 178])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("transposed", [False, True])
def test_points_of_rotated_photos(page: Any, address: str, fake: FakeClient, kind: str, transposed: bool) -> None:
    """A browser rotates photos by their EXIF orientation; the overlay is drawn over what the model sees."""
    if transposed and kind == "WEBP":
        pytest.skip("Chromium does not rotate WebP")
    fake.schemas["fruit"]["record"]["properties"]["image"]["x-fastmar"]["exif_transpose"] = transposed
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    width, height = (200, 400) if transposed else (400, 200)
    points = [[width / 4, height / 4]]
    fake.answers["fruit"] = {"prediction": points, "points_model": points, "warnings": []}
    data = file_of(Image.new("RGB", (400, 200), "white"), kind, exif=exif)
    page.goto(f"{address}/models/fruit")
    choose(page, {"name": "photo", "mimeType": f"image/{kind.lower()}", "buffer": data})
    expect(page.locator(".picture .sentence")).to_have_text("1 point")
    canvas = page.locator(".picture canvas")
    expect_pixel(canvas, [0.25, 0.25], [0, 114, 178])
    assert canvas.evaluate("canvas => canvas.width / canvas.height") == width / height


def test_the_keyboard_is_enough(page: Any, address: str, street: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "white.png").write_bytes(street["buffer"])
    Image.new("RGB", (32, 16), (255, 0, 0)).save(tmp_path / "red.png")
    page.goto(f"{address}/models/streets")

    def tab_to(place: Any) -> None:
        for _ in range(40):
            if place.evaluate("element => element === document.activeElement"):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not reach {place}")

    tab_to(page.locator("#pictures"))
    # Enter opens the browser's own dialog.
    page.locator("#pictures").set_input_files([tmp_path / "white.png", tmp_path / "red.png"])
    expect(page.locator(".picture .sentence")).to_have_count(2)
    tab_to(page.get_by_label("Order", exact=True))
    page.keyboard.press("ArrowDown")
    tab_to(page.get_by_role("button", name="Enlarge red.png"))
    page.keyboard.press("Enter")
    expect(page.locator("#viewer-title")).to_have_text("red.png")
    tab_to(page.get_by_role("slider"))
    page.keyboard.press("End")
    tab_to(page.get_by_role("checkbox", name="Road surface"))
    page.keyboard.press("Space")
    expect_stripe(page, 1, [230, 159, 0])
    expect_stripe(page, 2, [255, 0, 0])
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#viewer-title")).to_have_text("white.png")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Enlarge white.png")).to_be_focused()
    tab_to(page.get_by_role("button", name="Code", exact=False).or_(page.locator("summary")).first)


def test_the_page_is_small_and_loads_nothing_from_other_hosts(page: Any, address: str, fruit: Files) -> None:
    sizes: dict[str, int] = {}
    page.on("response", lambda response: sizes.update({response.url: len(response.body())}))
    page.goto(f"{address}/models/fruit")
    page.wait_for_load_state("networkidle")
    assert {url for url in sizes if not url.startswith(address)} == set()
    assert sum(sizes.values()) < 150_000
    choose(page, fruit)
    assert [url for url in sizes if not url.startswith((address, "blob:"))] == []


@pytest.fixture
def sampled(fake: FakeClient) -> list[bytes]:
    """Two samples of the model of fruit, and a file that browsers must not get."""
    files = [file_of(picture(colour, 1)) for colour in ("red", "green")]
    fake.sample_pictures["fruit"] = [*files, b"<script>alert(1)</script>"]
    return files


def test_a_click_on_a_sample_sends_it(
    page: Any, address: str, fake: FakeClient, sampled: list[bytes], axe: str
) -> None:
    page.goto(f"{address}/models/fruit")
    expect(page.get_by_role("button", name="Sample")).to_have_count(2)
    assert problems(page, axe) == []
    page.get_by_role("button", name="Sample 2").click()
    expect(page.locator(".picture .name")).to_have_text("Sample 2.jpg")
    expect(page.locator(".picture .sentence")).to_be_visible()
    assert fake.requests == [sampled[1]]
    page.get_by_role("button", name="Sample 1").press("Enter")
    expect(page.locator(".picture .sentence")).to_have_count(2)


def test_a_sample_without_scripts(web: FlaskClient, fake: FakeClient, sampled: list[bytes]) -> None:
    assert web.get("/models/fruit/samples/1").data == sampled[1]
    assert web.get("/models/fruit/samples/1").mimetype == "image/jpeg"
    assert web.get("/models/fruit/samples/2").status_code == 404
    assert web.get("/models/streets/samples/0").status_code == 404
    reply = web.post("/models/fruit", data={"sample": "1"}, content_type="multipart/form-data")
    assert "Sample 2" in reply.text
    assert fake.requests == [sampled[1]]
    assert web.post("/models/fruit", data={"sample": "2"}).status_code == 400


def test_the_page_works_without_its_samples(web: FlaskClient, fake: FakeClient) -> None:
    fake.samples = lambda *_: (_ for _ in ()).throw(ServerFailed("no.", fix="none."))  # type: ignore[method-assign]
    reply = web.get("/models/fruit")
    assert reply.status_code == 200
    assert "Try one of these" not in reply.text
