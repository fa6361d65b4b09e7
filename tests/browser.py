"""Chromium for tests of pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = os.environ.get("FASTMAR_CHROMIUM") or next(
    filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None
)
PATIENCE = 20_000  # milliseconds


class NetworkChanged(Exception):
    """Chromium aborted requests because a network interface appeared or disappeared, as when a container starts."""


class Chromium:
    """A running Chromium.

    Attributes:
        aborted: addresses of the requests that a change of the network aborted, also those to the loopback interface.
    """

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self.aborted: list[str] = []

    def new_context(self, **options: Any) -> Any:
        """A browser session of its own; `options` are those of Playwright's `Browser.new_context`."""
        context = self._browser.new_context(**options)
        context.on("requestfailed", self._note)
        return context

    def _note(self, request: Any) -> None:
        if "ERR_NETWORK_CHANGED" in (request.failure or ""):
            self.aborted.append(request.url)


@contextmanager
def launched() -> Iterator[Chromium]:
    """A headless Chromium; skips the test if it is not installed."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium (Debian: apt-get install chromium)")
    api.expect.set_options(timeout=PATIENCE)
    with api.sync_playwright() as playwright:
        options = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield Chromium(browser)
        browser.close()
