"""The pages' scripts in real Chromium, in front of a model server that says what a test wants."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from fastmar_client import RecordRefused
from fastmar_runtime.decode_pictures import png
from tests.pictures import picture
from tests.web.conftest import PATIENCE, PIXEL
from tests.web.fake import COUNTRIES, HOSTILE, QUOTED, FakeClient, answer

expect: Any = getattr(pytest.importorskip("playwright.sync_api"), "expect")  # noqa: B009 - mypy needs no stubs


def send(page: Any) -> None:
    page.get_by_role("button", name="Ask the model").click()


def test_a_page_comes_back_once_the_server_does(page: Any, address: str, fake: FakeClient) -> None:
    fake.away()
    page.goto(f"{address}/models/people")
    expect(page.get_by_role("heading", name="The model server is away")).to_be_visible()
    fake.down = None
    page.get_by_label("Work class").wait_for(timeout=PATIENCE)


def test_a_model_appears_once_it_is_loaded(page: Any, address: str, fake: FakeClient) -> None:
    fake.loading = {"people"}
    page.goto(address)
    expect(page.get_by_text("Being loaded.")).to_be_visible()
    fake.loading = set()
    page.get_by_role("link", name="People").wait_for(timeout=PATIENCE)


def test_a_question_is_asked_again_once_the_server_is_back(page: Any, address: str, fake: FakeClient) -> None:
    page.goto(f"{address}/models/people")
    page.get_by_label("Age").fill("77")
    fake.away()
    send(page)
    expect(page.locator("#answer")).to_contain_text("The model server does not answer.")
    expect(page.locator("#answer")).to_contain_text("Trying again by itself")
    fake.down = None
    expect(page.locator("#answer .sentence")).to_have_text("Prediction: >=50k, 94% sure", timeout=PATIENCE)
    assert fake.asked[-1]["age"] == 77


def test_pictures_are_asked_again_once_the_server_is_back(
    page: Any, address: str, fake: FakeClient, pictures: list[Path]
) -> None:
    page.goto(f"{address}/models/fruit")
    fake.away()
    page.get_by_label("Choose one picture or many").set_input_files(pictures)
    expect(page.locator(".picture .problem")).to_have_count(3)
    fake.down = None
    expect(page.locator(".picture .sentence")).to_have_count(3, timeout=PATIENCE)


def test_hostile_names_run_nothing(page: Any, address: str, fake: FakeClient, tmp_path: Path) -> None:
    """The fixture fails on any dialog, script error or hurt policy."""
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
    expect(page.locator("[data-history] li")).to_contain_text("onerror=alert")
    assert fake.asked[0]["native-country"] == HOSTILE
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
    page.get_by_label("Choose a CSV file").set_input_files(table)
    expect(page.locator("#job-title")).to_have_text(table.name)


def test_20_megabytes_of_noise_are_made_smaller_and_20_of_nonsense_refused(
    page: Any, address: str, fake: FakeClient, tmp_path: Path
) -> None:
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (2600, 2600, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by its camera
    exif[0x010F] = "A camera"
    Image.fromarray(noise).save(tmp_path / "photo.jpg", quality=100, subsampling=0, exif=exif)
    (tmp_path / "nonsense.jpg").write_bytes(b"\xff\xd8\xff" + b"\0" * 20_000_000)
    assert (tmp_path / "photo.jpg").stat().st_size > 8_000_000
    page.goto(f"{address}/models/fruit")
    both = [tmp_path / "photo.jpg", tmp_path / "nonsense.jpg"]
    page.get_by_label("Choose one picture or many").set_input_files(both)
    cards = page.locator(".picture")
    expect(cards.nth(0)).to_contain_text("Made smaller before it was sent: it was over 6 MB.", timeout=PATIENCE)
    expect(cards.nth(1)).to_contain_text("The picture is 20 MB large; at most 6 MB are taken.", timeout=PATIENCE)
    [sent] = fake.asked
    assert len(sent) <= 6_000_000
    (tmp_path / "sent.jpg").write_bytes(sent)
    with Image.open(tmp_path / "sent.jpg") as image:
        assert image.getexif()[0x0112] == 6  # what the camera said is still there, and the pixels are not turned
        assert image.width == image.height


def test_points_and_masks_lie_in_the_pixels_of_the_file(
    page: Any, address: str, fake: FakeClient, tmp_path: Path
) -> None:
    """Browsers turn a photo as its camera says; the model did not."""
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
    assert canvas.evaluate("canvas => canvas.width / canvas.height") == 2
    assert canvas.evaluate(PIXEL, [0.25, 0.25])[:3] == pytest.approx([0, 114, 178], abs=3)
    assert canvas.evaluate(PIXEL, [0.5, 0.5])[:3] == pytest.approx([255, 255, 255], abs=3)


def test_a_mask_lies_over_its_picture_and_can_be_made_fainter(
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
    assert page.locator(".picture .fill").first.evaluate("bar => getComputedStyle(bar).fill") == "rgb(0, 114, 178)"
    page.get_by_role("button", name="Look at red.png larger").click()
    canvas = page.locator("#viewer canvas")
    page.get_by_role("slider").fill("100")
    places = ([0.3, 0.5], [0.7, 0.5], [0.02, 0.5])
    expect(page.locator("#viewer .legend")).to_contain_text("not seen by the model")
    thing, ground, unseen = (canvas.evaluate(PIXEL, place)[:3] for place in places)
    assert thing == pytest.approx([230, 159, 0], abs=3)
    assert ground == pytest.approx([0, 114, 178], abs=3)
    assert unseen[0] < 130  # dimmed
    page.get_by_role("slider").fill("0")
    assert canvas.evaluate(PIXEL, [0.3, 0.5])[:3] == pytest.approx([255, 0, 0], abs=3)


def test_many_pictures_and_stop(page: Any, address: str, fake: FakeClient, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(30)]
    for number, path in enumerate(paths):
        picture("red", number, (20, 20)).save(path)

    def slow(data: bytes) -> Any:
        time.sleep(0.1)
        return answer(label="apple", other="pear")

    fake.answers["fruit"] = slow
    page.goto(f"{address}/models/fruit")
    page.get_by_label("Choose one picture or many").set_input_files(paths)
    expect(page.locator(".picture")).to_have_count(30)
    expect(page.locator(".picture .sentence").first).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Not asked.").first).to_be_visible()
    expect(page.locator("[data-count]")).to_have_text("30 pictures")
    assert 1 <= len(fake.asked) < 30
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.locator(".picture")).to_have_count(0)


def test_100_000_rows_are_looked_at_and_scored(page: Any, address: str, fake: FakeClient, tmp_path: Path) -> None:
    columns = list(fake.schemas["people"]["record"]["properties"])
    good, bad = f"Private,{COUNTRIES[1]},3,True,40,40,plain\n", f"{HOSTILE},{COUNTRIES[1]},3,True,old,40,plain\n"
    (tmp_path / "rows.csv").write_text(",".join(columns) + "\n" + (good * 999 + bad) * 100)
    fake.answers["people"] = lambda row: (
        RecordRefused("no.", fix="none.", status=400) if row["age"] == "old" else answer()
    )
    page.goto(f"{address}/models/people/table")
    page.get_by_label("Choose a CSV file").set_input_files(tmp_path / "rows.csv")
    page.get_by_role("button", name="Score 100,000 rows").click(timeout=PATIENCE)
    expect(page.get_by_role("progressbar", name="Rows scored")).to_be_visible()
    expect(page.get_by_text("100 rows can't be scored")).to_be_visible()
    said = page.locator(".job-said")
    expect(said).to_have_text(re.compile(r"[1-9][\d,]* of 100,000 rows scored"), timeout=PATIENCE)
    expect(said).to_have_text("All 100,000 rows are scored.", timeout=60_000)
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


def test_copying_and_a_number_pad_on_a_phone(chromium: Any, address: str) -> None:
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
