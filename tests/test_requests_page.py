"""docs/requests.md: each test that it names exists, and each test of a case is named."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "requests.md"


def named() -> set[str]:
    return set(re.findall(r"`(tests/[\w/]+\.py::\w+)`", PAGE.read_text("utf-8")))


def defined(pattern: str) -> set[str]:
    return {
        f"{path.relative_to(ROOT).as_posix()}::{name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(rf"^ *def ({pattern})\(", path.read_text("utf-8"), re.MULTILINE)
    }


def test_each_test_of_the_page_exists() -> None:
    assert len(named()) > 50
    assert named() - defined(r"test_\w+") == set()


def test_each_test_of_a_case_is_on_the_page() -> None:
    assert defined(r"test_case_\w+") - named() == set(), f"add them to {PAGE.name}"
