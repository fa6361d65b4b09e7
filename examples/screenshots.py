"""Pictures of the web app, for the documents and for whoever changes its looks: python -m examples.screenshots

Exports the learners of the demo, serves them, opens the web app in Chromium, and writes docs/images/*.png: each page as
on a desk and as on a phone, light and dark.
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

from examples import flights, textures
from fastmar_export.exporter import Options, export_learner
from fastmar_serving.torchserve.testing import running_server
from fastmar_web import Settings, create_app

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
UI = Path(__file__).with_name("flights-ui.yaml")
STORE = Path(".build/screenshots/model_store")
ROWS = 64
COLOURS = 128  # of a PNG: flat areas need few
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
WAYS = {
    "desktop-light": {"viewport": {"width": 1200, "height": 900}, "color_scheme": "light"},
    "desktop-dark": {"viewport": {"width": 1200, "height": 900}, "color_scheme": "dark"},
    "phone-light": {**PHONE, "color_scheme": "light"},
    "phone-dark": {**PHONE, "color_scheme": "dark"},
}


def main(folder: Path = IMAGES) -> None:
    """Write the pictures into `folder`."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - needed here alone

    chromium = os.environ.get("FASTMAR_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("There is no Chromium: apt-get install chromium, or set FASTMAR_CHROMIUM.")
    folder.mkdir(parents=True, exist_ok=True)
    table, pictures = flights.served(), textures.served()
    export_learner(table.learner, Options(flights.NAME, output=STORE, ui=UI, force=True))
    export_learner(pictures.learner, Options(textures.NAME, output=STORE, force=True))
    rows = _csv(table.records, STORE.parent / "flights.csv")
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with running_server(STORE) as server, listening(server.url) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"] if root else [])
        for way, options in WAYS.items():
            page = browser.new_context(**options).new_page()  # type: ignore[arg-type]
            _visit(
                page, address, rows, pictures.pictures, lambda name, page=page, way=way: _shot(page, folder, name, way)
            )
            page.context.close()
        browser.close()


def _visit(page: Any, address: str, rows: Path, pictures: list[Path], shot: Any) -> None:
    page.goto(address)
    shot("models")
    page.goto(f"{address}/models/{flights.NAME}")
    shot("form")
    page.get_by_role("link", name="A summer evening with thunder").click()
    page.get_by_role("button", name="Ask the model").click()
    page.locator("#answer .sentence").wait_for()
    shot("answer")
    page.goto(f"{address}/models/{textures.NAME}")
    each = len(pictures) // len(textures.TEXTURES)
    page.get_by_label("Choose one picture or many").set_input_files([*pictures[::each], *pictures[1::each]])
    for card in range(2 * len(textures.TEXTURES)):
        page.locator(".picture .sentence").nth(card).wait_for()
    shot("pictures")
    page.goto(f"{address}/models/{flights.NAME}/table")
    page.get_by_label("Choose a CSV file").set_input_files(rows)
    page.get_by_role("button", name=f"Score {ROWS} rows").wait_for()
    shot("csv")
    page.get_by_role("button", name=f"Score {ROWS} rows").click()
    page.get_by_role("link", name="Download the answers").wait_for()
    shot("csv-answers")


def _shot(page: Any, folder: Path, name: str, way: str) -> None:
    """What the window shows, as a small PNG."""
    page.mouse.move(0, 0)
    page.evaluate("scrollTo(0, document.querySelector('main #answer .sentence, main .picture') && innerWidth < 500"
                  " ? document.getElementById('answer').offsetTop - 24 : 0)")  # fmt: skip
    page.wait_for_timeout(400)  # what moves has arrived
    path = folder / f"{name}-{way}.png"
    page.screenshot(path=path)
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(COLOURS)
    small.save(path, optimize=True)
    print(f"{path}  {path.stat().st_size // 1000} kB")


def _csv(records: list[dict[str, Any]], path: Path) -> Path:
    """A table in which two rows have something to look at."""
    some = [dict(record) for record in records[:ROWS]]
    some[2]["dest"], some[5]["temp"] = "XYZ", "warm"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(some[0]))
        writer.writeheader()
        writer.writerows(some)
    return path


@contextmanager
def listening(url: str) -> Iterator[str]:
    """The web app on a free port, until the process ends."""
    app = create_app(Settings(url=url, public_url="http://127.0.0.1:8080"))
    server: Any = waitress.create_server(app, host="127.0.0.1", port=0, threads=16)
    threading.Thread(target=server.run, daemon=True).start()
    yield f"http://127.0.0.1:{server.effective_port}"
    app.extensions["fastmar_jobs"].close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
