"""What all tests share: where borrowed data lies, and the differences that parity tests measured."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.browser import launched

# How long an example takes says something about the machine, and the first one imports torch or pandas. New examples
# are looked for at people's desks; in CI they are always the same, so that it judges the change and not its luck.
settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("house")

MEASURED = "largest difference"

COOKBOOK = Path(__file__).resolve().parents[2] / "shared" / "data" / "cookbook"


@pytest.fixture(scope="session")
def cookbook() -> Path:
    """The book's own learner, rows and pictures, where they are at hand; they are no part of the project."""
    if not COOKBOOK.is_dir():
        pytest.skip(f"the book's learner is not at {COOKBOOK}")
    return COOKBOOK


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A real browser. It is defined once: Playwright's synchronous API runs only once in a process."""
    with launched() as browser:
        yield browser


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print how far answers were from fastai's."""
    measured = [
        (dict(report.user_properties)[MEASURED], report.nodeid)
        for report in terminalreporter.stats.get("passed", [])
        if MEASURED in dict(report.user_properties)
    ]
    if measured:
        worst, where = max(measured)
        terminalreporter.section("parity")
        terminalreporter.write_line(f"{len(measured)} learners; largest difference {worst:.2g} ({where})")
        if terminalreporter.verbosity > 0:
            for difference, nodeid in sorted(measured, reverse=True):
                terminalreporter.write_line(f"{difference:9.2g}  {nodeid}")
