"""docs/requests.md names existing tests, and all tests of cases."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "requests.md"


def named_tests() -> set[str]:
    return set(re.findall(r"`(tests/[\w/]+\.py::\w+)`", PAGE.read_text("utf-8")))


def defined_tests(pattern: str) -> set[str]:
    return {
        f"{path.relative_to(ROOT).as_posix()}::{name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(rf"^ *def ({pattern})\(", path.read_text("utf-8"), re.MULTILINE)
    }


def test_all_tests_on_the_page_exist() -> None:
    assert len(named_tests()) > 50
    assert named_tests() - defined_tests(r"test_\w+") == set()


def test_all_tests_of_cases_are_on_the_page() -> None:
    assert defined_tests(r"test_case_\w+") - named_tests() == set(), f"add them to {PAGE.name}"
