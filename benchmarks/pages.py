"""The pages of the web app in Chromium: bytes, requests, time to interactive, frames: python -m benchmarks.pages

For each page: requests and bytes of a first visit, all from the web app itself, and the median time from the navigation
until all scripts have run. Then the longest frame while 20 answers arrive, and while the list of answers in the tab is
scrolled: with an empty list and with 1,000 entries side by side, because the numbers alone are those of this machine.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from examples import flights, textures
from examples.screenshots import UI, web_app
from tests.browser import launched

from fastmar_export.exporter import Options, export_learner
from fastmar_serving.testing import running_server

STORE = Path(".build/pages/model_store")
ENTRIES = 1000
ANSWERS = 20
LATE = 33  # milliseconds: two frames of a screen with 60 Hz
VIEWPORT = {"width": 1200, "height": 900}
# Milliseconds from the start of the navigation until the scripts, which are modules, have run.
INTERACTIVE = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
COLLECT = """() => {
    window.frames_ = [];
    let last = 0;
    const next = (now) => {
        if (last) window.frames_.push(now - last);
        last = now;
        window.request_ = requestAnimationFrame(next);
    };
    window.request_ = requestAnimationFrame(next);
}"""
COLLECTED = "() => { cancelAnimationFrame(window.request_); return window.frames_; }"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=int, default=7, help="visits of each page (default: %(default)s)")
    visits = parser.parse_args().visits
    with served() as (address, _), launched() as chromium:
        pages = {
            "models": "/",
            "form": f"/models/{flights.NAME}",
            "CSV file": f"/models/{flights.NAME}/table",
            "pictures": f"/models/{textures.NAME}",
        }
        print(f"{'page':10} {'requests':>8} {'kB':>6} {'without pictures':>16} {'interactive (ms)':>16}")
        for name, path in pages.items():
            visit_page(chromium, name, f"{address}{path}", address, visits)
        print(f"\n{'frames':36} {'empty list':>12} {f'{ENTRIES:,} entries':>14}")
        print_frames(chromium, f"{address}/models/{flights.NAME}")


@contextmanager
def served() -> Iterator[tuple[str, str]]:
    """The web app with the learners of the demo; yields its address and that of the model server."""
    table, pictures = flights.benchmark_model(), textures.benchmark_model()
    export_learner(table.learner, Options(flights.NAME, output=STORE, ui=UI, force=True))
    folder = pictures.pictures[0].parent
    export_learner(pictures.learner, Options(textures.NAME, output=STORE, reference=folder, with_samples=6, force=True))
    with running_server(STORE, "--engine", "asgi") as server, web_app(server.url) as address:
        yield address, server.url


def visit_page(chromium: Any, name: str, url: str, address: str, visits: int) -> None:
    """Print a row about first visits of one page."""
    times, sizes, pictures = [], {}, {}
    for _ in range(visits):
        context = chromium.new_context(viewport=VIEWPORT)
        page = context.new_page()
        found: dict[str, Any] = {}
        page.on("response", lambda response, found=found: found.update({response.url: response}))
        page.goto(url, wait_until="networkidle")
        if foreign := [each for each in found if not each.startswith(address)]:
            raise SystemExit(f"{name} loads from other hosts: {', '.join(foreign)}")
        sizes = {each: len(response.body()) for each, response in list(found.items())}
        pictures = {each for each, response in list(found.items()) if "image/jpeg" in response.headers["content-type"]}
        times.append(page.evaluate(INTERACTIVE))
        context.close()
    total = sum(sizes.values())
    plain = total - sum(sizes[each] for each in pictures)
    print(f"{name:10} {len(sizes):8} {total / 1000:6.1f} {plain / 1000:16.1f} {median(times):16.0f}")


def print_frames(chromium: Any, url: str) -> None:
    """Print the frames of a form with few and with many previous answers, measured in turns."""
    rows: dict[str, dict[int, list[float]]] = {"answers arrive": {}, "the list is scrolled": {}}
    for entries in (0, ENTRIES, 0, ENTRIES):
        page = open_form(chromium, url, entries)
        page.evaluate(COLLECT)
        for number in range(ANSWERS):
            with page.expect_response(lambda response: response.request.method == "POST"):
                page.get_by_label("Hour of departure").fill(str(number))
                page.get_by_role("button", name="Predict").click()
        rows["answers arrive"].setdefault(entries, []).extend(page.evaluate(COLLECTED))
        while (more := page.get_by_role("button", name="more", exact=False).filter(has_text="Show")).count():
            if not more.first.is_visible():
                break
            more.first.click()
        page.evaluate(COLLECT)
        page.mouse.move(300, 450)
        for _ in range(60):
            page.mouse.wheel(0, 400)
            page.wait_for_timeout(16)
        rows["the list is scrolled"].setdefault(entries, []).extend(page.evaluate(COLLECTED))
        page.context.close()
    for what, by_entries in rows.items():
        groups = by_entries.values()
        longest = [f"{max(frames):.0f}" for frames in groups]
        late = [f"{sum(each > LATE for each in frames)} of {len(frames)}" for frames in groups]
        print(f"{what + ': longest (ms)':36} {longest[0]:>12} {longest[1]:>14}")
        print(f"{what + f': over {LATE} ms':36} {late[0]:>12} {late[1]:>14}")


def open_form(chromium: Any, url: str, entries: int) -> Any:
    """A page with a form, with `entries` previous answers."""
    page = chromium.new_context(viewport=VIEWPORT).new_page()
    stored = [{"text": f"Answer {n}", "about": "Hour 7, Month 2", "link": "#", "at": 1e12 + n} for n in range(entries)]
    key = f"fastmar:/models/{flights.NAME}"
    page.add_init_script(f"sessionStorage[{json.dumps(key)}] ??= {json.dumps(json.dumps(stored))};")
    page.goto(url, wait_until="networkidle")
    return page


if __name__ == "__main__":
    main()
