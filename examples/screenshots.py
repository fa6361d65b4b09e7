"""Writes screenshots of the web app: python -m examples.screenshots [FOLDER]  (default: docs/images)

Exports and serves the learners of the demo, and opens the web app in Chromium: desktop and phone, light and dark.
"""

from __future__ import annotations

import csv
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import waitress
from PIL import Image

from examples import flights, mosaics, textures
from fastmar_export.exporter import Options, export_learner
from fastmar_serving.testing import running_server
from fastmar_web import Settings, create_app

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
UI = Path(__file__).with_name("flights-ui.yaml")
STORE = Path(".build/screenshots/model_store")
ROWS = 64
COLOURS = 128  # of a PNG
PATIENCE = 120_000  # milliseconds
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
VARIANTS = {
    "desktop-light": {"viewport": {"width": 1200, "height": 900}, "color_scheme": "light"},
    "desktop-dark": {"viewport": {"width": 1200, "height": 900}, "color_scheme": "dark"},
    "phone-light": {**PHONE, "color_scheme": "light"},
    "phone-dark": {**PHONE, "color_scheme": "dark"},
}


def main(folder: Path = IMAGES) -> None:
    """Write the screenshots to `folder`."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only used here

    chromium = os.environ.get("FASTMAR_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("Chromium not found: apt-get install chromium, or set FASTMAR_CHROMIUM.")
    folder.mkdir(parents=True, exist_ok=True)
    table, pictures = flights.benchmark_model(), textures.benchmark_model()
    masks, mosaic_pictures = mosaics.cached()
    export_learner(table.learner, Options(flights.NAME, output=STORE, ui=UI, force=True))
    options = Options(textures.NAME, output=STORE, reference=pictures.pictures[0].parent, with_samples=6, force=True)
    export_learner(pictures.learner, options)
    export_learner(masks, Options(mosaics.NAME, output=STORE, force=True))
    rows = _csv(table.records, STORE.parent / "flights.csv")
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with (
        running_server(STORE, "--engine", "asgi") as server,
        web_app(server.url) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"] if root else [])
        for variant, options in VARIANTS.items():
            page = browser.new_context(**options).new_page()  # type: ignore[arg-type]
            page.set_default_timeout(PATIENCE)

            def screenshot(
                name: str, at: str = "", on_phone: str = "", page: Any = page, variant: str = variant
            ) -> None:
                _screenshot(page, folder, name, variant, on_phone if on_phone and "phone" in variant else at)

            page.goto(address)
            screenshot("models")
            _visit_form(page, address, screenshot)
            _visit_pictures(page, address, pictures.pictures, screenshot)
            _visit_masks(page, address, mosaic_pictures, screenshot)
            _visit_table(page, address, rows, screenshot)
            page.context.close()
        browser.close()


def _visit_form(page: Any, address: str, screenshot: Any) -> None:
    page.goto(f"{address}/models/{flights.NAME}")
    screenshot("form")
    page.get_by_role("link", name="A summer evening with thunder").click()
    page.wait_for_url("**?*")
    page.locator("#answer .sentence").wait_for()
    page.get_by_role("button", name="Predict").click()
    page.locator("[data-history] tbody tr").wait_for()
    page.get_by_label("Hour of departure").fill("6")
    page.locator(".was:not(:empty)").first.wait_for()
    screenshot("answer", on_phone="#answer")
    screenshot("what-if", ".what-if")
    page.get_by_role("tab", name="Python").click()
    screenshot("code", ".code-panel")
    page.get_by_role("tab", name="curl").click()
    page.get_by_label("Seats").fill("9000")
    page.get_by_label("Hour of departure").fill("")
    page.get_by_role("button", name="Predict").click()
    page.locator("#answer .failure").wait_for()
    screenshot("error", on_phone=".field:has(.problem)")


def _visit_pictures(page: Any, address: str, pictures: list[Path], screenshot: Any) -> None:
    page.goto(f"{address}/models/{textures.NAME}")
    count = len(pictures) // len(textures.TEXTURES)
    page.get_by_label("Choose one picture or many").set_input_files([*pictures[::count], *pictures[1::count]])
    for card in range(2 * len(textures.TEXTURES)):
        page.locator(".picture .sentence").nth(card).wait_for()
    screenshot("pictures", on_phone="#answer")
    page.get_by_role("button", name="What matters").first.click()
    page.locator("dialog .legend li").first.wait_for()
    screenshot("picture-matters")
    page.get_by_role("button", name="Close").click()


def _visit_masks(page: Any, address: str, pictures: list[Path], screenshot: Any) -> None:
    page.goto(f"{address}/models/{mosaics.NAME}")
    page.get_by_label("Choose one picture or many").set_input_files(pictures)
    for card in range(len(pictures)):
        page.locator(".picture .sentence").nth(card).wait_for()
    page.locator(".thumb").first.click()
    page.locator("dialog .legend li").first.wait_for()
    screenshot("mask")
    page.get_by_role("button", name="Close").click()


def _visit_table(page: Any, address: str, rows: Path, screenshot: Any) -> None:
    page.goto(f"{address}/models/{flights.NAME}/table")
    page.get_by_label("Choose a table").set_input_files(rows)
    page.get_by_role("button", name=f"Score {ROWS} rows").wait_for()
    screenshot("csv")
    page.get_by_role("button", name=f"Score {ROWS} rows").click()
    page.get_by_role("link", name="Download the answers").wait_for()
    screenshot("csv-answers")


def _screenshot(page: Any, folder: Path, name: str, variant: str, at: str) -> None:
    """Save the visible page as a small PNG, from the first element `at` if one is given."""
    page.mouse.move(0, 0)
    page.evaluate("scrollTo(0, 0)")
    if at:
        page.locator(at).first.evaluate("element => scrollTo(0, element.getBoundingClientRect().top - 24)")
    page.wait_for_timeout(400)  # until animations have ended
    path = folder / f"{name}-{variant}.png"
    page.screenshot(path=path)
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(COLOURS)
    small.save(path, optimize=True)
    print(f"{path}  {path.stat().st_size // 1000} kB")


def _csv(records: list[dict[str, Any]], path: Path) -> Path:
    """Write a table in which two rows have warnings or errors."""
    some = [dict(record) for record in records[:ROWS]]
    some[2]["dest"], some[5]["temp"] = "XYZ", "warm"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(some[0]))
        writer.writeheader()
        writer.writerows(some)
    return path


@contextmanager
def web_app(url: str) -> Iterator[str]:
    """Run the web app on a free port, in a thread; yields its address."""
    app = create_app(Settings(url=url, public_url="http://127.0.0.1:8080"))
    server: Any = waitress.create_server(app, host="127.0.0.1", port=0, threads=16)
    threading.Thread(target=server.run, daemon=True).start()
    yield f"http://127.0.0.1:{server.effective_port}"
    app.extensions["fastmar_jobs"].close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
