"""The forms of `fastmar web` and of Gradio for the same models, side by side: python -m benchmarks.gradio_pages FOLDER

Both ask the same server. For each page: requests and bytes of a first visit, requests to other hosts, the time from a
change of a field to another answer, and the kinds of serious problems that axe-core finds. FOLDER gets pictures of both
pages next to each other, on a desktop and on a phone.

Gradio has an environment of its own:

    python3 -m venv .build/gradio && .build/gradio/bin/pip install gradio==6.31.0
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import urlopen

from examples import flights, textures
from examples.screenshots import PHONE
from PIL import Image
from tests.browser import launched
from tests.web.conftest import AXE_FOLDER, SERIOUS

from benchmarks.pages import VIEWPORT, served
from benchmarks.servers.process import free_port

GRADIO = Path(".build/gradio/bin/python")
CHANGES = 10  # of a field
START_TIMEOUT = 60.0  # seconds
GAP = 16  # pixels between two pages
FASTMAR_ANSWER, GRADIO_ANSWER = "#answer", "[data-testid$=confidence-set]"  # selectors


@dataclass(frozen=True, slots=True)
class Page:
    """A page to visit.

    Attributes:
        url: its address.
        answer: selector of the answer.
        change: fills the field of the departure's hour; None for pages without it.
    """

    url: str
    answer: str
    change: Callable[[Any, str], None] | None = None


def main(folder: Path) -> None:
    """Print the table, and write the pictures to `folder`."""
    if not GRADIO.exists():
        raise SystemExit(__doc__)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        web, server = stack.enter_context(served())
        table, pictures = (stack.enter_context(gradio(server, name)) for name in (flights.NAME, textures.NAME))
        chromium = stack.enter_context(launched())
        rows = {
            flights.NAME: (
                Page(f"{web}/models/{flights.NAME}", FASTMAR_ANSWER, _hour),
                Page(table, GRADIO_ANSWER, lambda page, hour: page.get_by_label("hour", exact=True).fill(hour)),
            ),
            textures.NAME: (Page(f"{web}/models/{textures.NAME}", FASTMAR_ANSWER), Page(pictures, GRADIO_ANSWER)),
        }
        print(
            f"{'page':22} {'requests':>8} {'kB':>8} {'other hosts':>11} {'answer after (ms)':>18} {'axe: serious':>12}"
        )
        for name, pages in rows.items():
            for tool, page in zip(("fastmar", "Gradio"), pages, strict=True):
                visit(chromium, f"{tool}, {name}", page)
            for variant, options in {"desktop": {"viewport": VIEWPORT}, "phone": PHONE}.items():
                path = folder / f"{name}-{variant}.png"
                side_by_side(chromium, pages, options, path)
                print(path)


def _hour(page: Any, hour: str) -> None:
    page.get_by_label("Hour of departure").fill(hour)


@contextmanager
def gradio(server: str, name: str) -> Iterator[str]:
    """Gradio's page for a model; yields its address."""
    port = free_port()
    command = [GRADIO, "-m", "benchmarks.servers.gradio_app", server, name, "--port", str(port)]
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                urlopen(f"http://127.0.0.1:{port}").close()
                break
            except OSError as error:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise SystemExit("Gradio did not start.") from error
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def visit(chromium: Any, title: str, visited: Page) -> None:
    """Print a row about a first visit."""
    context = chromium.new_context(viewport=VIEWPORT)
    page = context.new_page()
    sizes: dict[str, int] = {}
    refused: set[str] = set()
    page.on("requestfinished", lambda request: sizes.update({request.url: _size(request)}))
    page.on("requestfailed", lambda request: refused.add(request.url))
    page.goto(visited.url, wait_until="load")
    page.wait_for_timeout(3000)
    origin = "/".join(visited.url.split("/")[:3])
    foreign = {
        each.split("/")[2] for each in {*sizes, *refused} if each.startswith("http") and not each.startswith(origin)
    }
    delay = f"{median(delays(page, visited)):.0f}" if visited.change else "-"
    page.evaluate((AXE_FOLDER / "node_modules/axe-core/axe.min.js").read_text("utf-8"))
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")["violations"]
    serious = [each["id"] for each in found if each["impact"] in SERIOUS]
    total = sum(sizes.values()) / 1000
    print(
        f"{title:22} {len(sizes):8} {total:8.1f} {len(foreign):11} {delay:>18} {len(serious):12}  {' '.join(serious)}"
    )
    context.close()


def _size(request: Any) -> int:
    sizes: dict[str, int] = request.sizes()
    return sizes["responseBodySize"]


def delays(page: Any, visited: Page) -> Iterator[float]:
    """Milliseconds from a change of a field until the text of the answer has changed, for several changes."""
    assert visited.change is not None
    visited.change(page, "12")
    page.wait_for_timeout(2000)
    for number in range(CHANGES):
        before = page.locator(visited.answer).all_inner_texts()
        page.evaluate(
            """([selector, before]) => { window.changed_ = new Promise((resolve) => {
                const start = performance.now();
                const look = () => {
                    const now = [...document.querySelectorAll(selector)].map((each) => each.innerText);
                    if (JSON.stringify(now) === JSON.stringify(before)) requestAnimationFrame(look);
                    else resolve(performance.now() - start);
                };
                look();
                setTimeout(() => resolve(null), 10000);
            }); }""",
            [visited.answer, before],
        )
        visited.change(page, str(6 if number % 2 else 20))
        delay = page.evaluate("window.changed_")
        if delay is None:
            raise SystemExit(f"The answer of {visited.url} does not change with the hour of departure.")
        yield delay
        page.wait_for_timeout(1000)


def side_by_side(chromium: Any, pages: tuple[Page, Page], options: dict[str, Any], path: Path) -> None:
    """Save a picture of both pages next to each other."""
    found = []
    for place, visited in enumerate(pages):
        context = chromium.new_context(**options)
        page = context.new_page()
        page.goto(visited.url, wait_until="load")
        page.wait_for_timeout(2000)
        file = path.with_suffix(f".{place}.png")
        page.screenshot(path=file)
        with Image.open(file) as image:
            found.append(image.convert("RGB"))
        file.unlink()
        context.close()
    width = sum(image.width for image in found) + GAP
    both = Image.new("RGB", (width, max(image.height for image in found)), "grey")
    both.paste(found[0], (0, 0))
    both.paste(found[1], (found[0].width + GAP, 0))
    both.save(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(".build/gradio_pages"))
