"""What all tests share: where borrowed data lies, and the differences that parity tests measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

MEASURED = "largest difference"
_LONG = ("docker", "serving")  # folders

COOKBOOK = Path(__file__).resolve().parents[2] / "shared" / "data" / "cookbook"


@pytest.fixture(scope="session")
def cookbook() -> Path:
    """The book's own learner, rows and pictures, where they are at hand; they are no part of the project."""
    if not COOKBOOK.is_dir():
        pytest.skip(f"the book's learner is not at {COOKBOOK}")
    return COOKBOOK


@pytest.hookimpl(tryfirst=True)  # before xdist looks for the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests stay in one process where several run, and begin with those that take longest.

    A file's tests share its fixtures, those of `serving` a server, those with Docker names of images and containers.
    """
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=lambda item: not item.get_closest_marker("docker") and _folder(item) not in _LONG)


def _group(item: pytest.Item) -> str:
    if item.get_closest_marker("docker") or _folder(item) == "docker":
        return "docker"
    return _folder(item) if _folder(item) == "serving" else str(item.path)


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(Path(__file__).parent).parts[0]


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
