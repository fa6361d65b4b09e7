"""What matters in a picture: the overlay and its picture in Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fastmar_client import RecordRefused
from fastmar_runtime.schema import describe
from fastmar_web.pictures.occlusion import occlusion_overlay
from fastmar_web.presentation import Presentation
from tests.runtime import tiny_pictures
from tests.web.conftest import expect_pixel, problems
from tests.web.fake import FakeClient

expect: Any = getattr(pytest.importorskip("playwright.sync_api"), "expect")  # noqa: B009 - mypy needs no stubs
SCHEMA = describe(tiny_pictures.spec(ui={"labels": {"red": {"name": "Red thing"}}}))
EXPLANATION = {
    "answer": {"prediction": "red", "probabilities": {"red": 0.9, "green": 0.1, "blue": 0.0}},
    "outcome": "red",
    "value": 0.9,
    "area": [0, 0, 100, 50],
    "grid": [[0.5, 0.0], [0.0, -0.25]],
    "warnings": [],
}


@pytest.fixture
def explained(fake: FakeClient) -> FakeClient:
    """The fake server with a picture model that explains its answers."""
    fake.schemas["colours"] = SCHEMA
    plain = {**EXPLANATION["answer"], "warnings": []}  # type: ignore[dict-item]
    fake.answers["colours"] = lambda record: EXPLANATION if isinstance(record, dict) else plain
    return fake


@pytest.fixture
def white(tmp_path: Path) -> Path:
    Image.new("RGB", (100, 50), "white").save(tmp_path / "white.png")
    return tmp_path / "white.png"


def test_effects_are_relative_to_the_largest_one() -> None:
    overlay = occlusion_overlay(EXPLANATION, SCHEMA, Presentation(SCHEMA))
    assert overlay["grid"] == [[1, 0], [0, -0.5]]
    assert overlay["raw"] is True
    assert "Red thing" in overlay["classes"][0]["name"]
    tiny = {**EXPLANATION, "grid": [[0.001, 0.0]]}
    assert occlusion_overlay(tiny, SCHEMA, Presentation(SCHEMA))["grid"] == [[0.02, 0]], "noise stays pale"


def test_a_model_that_turns_photos_gets_a_turned_preview() -> None:
    opening = {**tiny_pictures.OPENING, "exif_transpose": True}
    schema = describe(tiny_pictures.spec(steps=(opening, tiny_pictures.RESIZE, tiny_pictures.TO_TENSOR)))
    assert occlusion_overlay(EXPLANATION, schema, Presentation(schema))["raw"] is False


def test_what_matters_is_drawn_over_the_picture(
    page: Any, address: str, explained: FakeClient, white: Path, axe: str
) -> None:
    page.goto(f"{address}/models/colours")
    page.get_by_label("Choose one picture or many").set_input_files(white)
    page.get_by_role("button", name="What matters in white.png").click()
    canvas = page.locator("#viewer canvas")
    expect(page.locator("#viewer .legend li")).to_have_count(2)
    page.get_by_role("slider").fill("100")
    expect_pixel(canvas, [0.25, 0.25], [0, 114, 178])  # supports
    expect_pixel(canvas, [0.75, 0.25], [255, 255, 255])
    expect_pixel(canvas, [0.75, 0.75], [242, 207, 127], tolerance=4)  # opposes
    assert [isinstance(request, dict) for request in explained.requests] == [False, True]
    assert problems(page, axe) == []
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="What matters").click()
    expect(canvas).to_be_visible()
    assert len(explained.requests) == 2, "it is asked once"


def test_a_failure_is_shown_at_the_picture(page: Any, address: str, explained: FakeClient, white: Path) -> None:
    page.goto(f"{address}/models/colours")
    page.get_by_label("Choose one picture or many").set_input_files(white)
    button = page.get_by_role("button", name="What matters")
    expect(button).to_be_visible()
    explained.answers["colours"] = RecordRefused("no.", fix="none.", status=400, code="out_of_memory")
    button.click()
    expect(page.locator(".picture [data-code=out_of_memory]")).to_be_visible()


def test_other_models_have_no_button(page: Any, address: str, fake: FakeClient, white: Path) -> None:
    page.goto(f"{address}/models/fruit")
    page.get_by_label("Choose one picture or many").set_input_files(white)
    expect(page.locator(".picture .sentence")).to_be_visible()
    expect(page.locator("[data-matters]").first).to_be_hidden()
