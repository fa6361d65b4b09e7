"""What all tests share: where borrowed data lies, and the differences that parity tests measured."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.browser import launched
from tests.scheduling import LongestFirst, place

# Threads of torch that wait for each other on cores that are busy with other tests take far longer than one alone. The
# learners here are small.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes says something about the machine, and the first one imports torch or pandas. New examples
# are looked for at people's desks; in CI they are always the same, so that it judges the change and not its luck.
settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("house")

MEASURED = "largest difference"

# Left out by `make quick`: files that import fastai or a module of ours that trains with it, and fixtures that train.
TRAINERS = r"pictures|frozen|web\.served|export\.(tables|pictures|networks\.makers|reader\.make_learners)"
TRAINING = re.compile(rf"^\s*(from|import) (fastai\b|tests\.({TRAINERS})|examples\b)", re.MULTILINE)
TRAINED = {"adult", "colours", "learners"}

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


def trains(path: Path) -> bool:
    return bool(TRAINING.search(path.read_text("utf-8")))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`make quick` does not even import files that train: fastai alone takes longer than many of its tests."""
    is_file = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    return True if is_file and "not training" in config.option.markexpr and trains(collection_path) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests with a browser, and tests that train."""
    training = {path: trains(path) for path in {item.path for item in items}}
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if "chromium" in fixtures:
            item.add_marker("browser")
        if training[item.path] or fixtures & TRAINED:
            item.add_marker("training")
    if hasattr(config, "workerinput"):  # a process of pytest-xdist
        items.sort(key=lambda item: place(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    config.option.loadscopereorder = False  # by the number of tests, which says little about their time
    return LongestFirst(config, log)


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
