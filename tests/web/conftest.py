"""Fixtures of the web app's tests: a fake model server, the app in this process, and Chromium."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from fastmar_web import Settings, create_app
from fastmar_web.backend import Backend
from fastmar_web.serving import create_server
from tests.browser import PATIENCE, Chromium
from tests.engines.calls import wait_for
from tests.once import made_once, one_at_a_time
from tests.web.fake import HOSTILE, TOY, FakeClient

AXE = "4.11.1"
AXE_FOLDER = Path(__file__).resolve().parents[2] / ".build" / f"axe-core-{AXE}"
SERIOUS = ("serious", "critical")
PIXEL = "(canvas, [x, y]) => [...canvas.getContext('2d').getImageData(x * canvas.width, y * canvas.height, 1, 1).data]"


@pytest.fixture
def fake() -> FakeClient:
    return FakeClient()


@pytest.fixture
def toy(fake: FakeClient) -> FakeClient:
    """The fake server with one model of a kind that the web app does not know."""
    fake.schemas = {"toy": TOY}
    fake.answers = {"toy": {"prediction": "good", "reasons": [{"word": HOSTILE}], "score": 0.123456, "warnings": []}}
    return fake


@pytest.fixture
def make_app(fake: FakeClient) -> Iterator[Callable[..., Flask]]:
    """Makes the app with the fake server; keyword arguments are settings."""
    apps = []

    def make(**settings: Any) -> Flask:
        chosen = Settings(**{"table_patience": 0.0, **settings})
        app = create_app(chosen, Backend(chosen, fake))  # type: ignore[arg-type]
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.extensions["fastmar_jobs"].close()


@pytest.fixture
def web(make_app: Callable[..., Flask]) -> FlaskClient:
    """A client that sends requests to the app in this process."""
    return make_app().test_client()


@contextmanager
def listening(app: Flask, **settings: Any) -> Iterator[str]:
    """Run the app with waitress, as `fastmar web` does; yields its address."""
    server = create_server(app, Settings(port=0, **settings))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()

    def end() -> None:  # must run in the server's thread
        for channel in list(server.active_channels.values()):
            channel.handle_close()
        server._map.clear()  # which ends its loop

    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        server.trigger.pull_trigger(end)
        thread.join(5)
        server.task_dispatcher.shutdown(cancel_pending=True, timeout=5)
        server.close()


@pytest.fixture
def address(make_app: Callable[..., Flask]) -> Iterator[str]:
    """Address of the app with the fake server."""
    with listening(make_app()) as url:
        yield url


@pytest.fixture
def page(chromium: Chromium) -> Iterator[Any]:
    """A page in a new browser session; see `strict_page`."""
    context = chromium.new_context(viewport={"width": 1200, "height": 900}, color_scheme="light")
    with strict_page(context) as page:
        yield page


@contextmanager
def strict_page(context: Any) -> Iterator[Any]:
    """A page of `context`. Script errors, dialogs and violations of the content security policy fail the test."""
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    violations: list[str] = []
    page.on("pageerror", lambda error: violations.append(str(error)))
    page.on("console", lambda message: violations.append(message.text) if "Content Security" in message.text else None)
    page.on("dialog", lambda dialog: violations.append(dialog.message))
    yield page
    context.close()
    assert not violations


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, installed with npm the first time."""
    script = AXE_FOLDER / "node_modules" / "axe-core" / "axe.min.js"
    with one_at_a_time(AXE_FOLDER.with_name(f"{AXE_FOLDER.name}.lock")):
        if not script.exists():
            npm = shutil.which("npm")
            if npm is None:
                pytest.skip("needs npm, to install axe-core")
            AXE_FOLDER.mkdir(parents=True, exist_ok=True)
            command = [
                npm,
                "install",
                "--prefix",
                str(AXE_FOLDER),
                "--no-save",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
            ]
            done = subprocess.run(
                [*command, f"axe-core@{AXE}"], capture_output=True, text=True, timeout=120, check=False
            )
            if not script.exists():
                pytest.skip(f"npm could not install axe-core: {done.stderr.strip()[-200:]}")
    return script.read_text("utf-8")


def expect_pixel(canvas: Any, place: Sequence[float], colour: Sequence[int], tolerance: int = 3) -> None:
    """Wait until a canvas has a colour at a place: a picture is decoded before it is drawn.

    Args:
        canvas: its locator.
        place: x and y, from 0 to 1.
        colour: red, green and blue, from 0 to 255.
        tolerance: largest difference of each.
    """
    found: list[int] = []

    def is_drawn() -> bool:
        found[:] = canvas.evaluate(PIXEL, place)[:3]
        return found == pytest.approx(colour, abs=tolerance)

    wait_for(is_drawn, PATIENCE / 1000, found)


def problems(page: Any, axe: str) -> list[str]:
    """Serious problems of accessibility that axe-core finds on a page, and whether it is wider than the window."""
    page.evaluate(axe)
    result = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    found = [
        f"{violation['id']} ({violation['impact']}): {violation['nodes'][0]['html'][:200]}"
        for violation in result["violations"]
        if violation["impact"] in SERIOUS
    ]
    is_wide = page.evaluate("document.documentElement.scrollWidth") > page.viewport_size["width"]
    return [*found, "the page is wider than the window"] if is_wide else found


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Three small pictures."""
    from tests.pictures import picture

    paths = [tmp_path / f"{colour}.jpg" for colour in ("red", "green", "blue")]
    for path in paths:
        picture(path.stem, 1).save(path)
    return paths


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model store with a learner of each kind."""
    from tests.web.models import make_store

    return made_once(tmp_path_factory, "web", make_store) / "store"


@pytest.fixture(scope="session")
def real(store: Path) -> Iterator[str]:
    """Address of the app with a real server."""
    from tests.engines import FAST

    with FAST.serve(store) as server:
        settings = Settings(url=server.url)
        app = create_app(settings)
        with listening(app) as url:
            yield url
        app.extensions["fastmar_jobs"].close()
