"""docs/errors.md has all codes of errors, as the source has them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.error_codes import PAGE, with_tables
from tests.test_house import all_errors

TESTS = Path(__file__).parent
INVENTED = {"bad", "bad_image"}  # of servers that tests make up


def codes_on_the_page() -> list[str]:
    return re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)


def test_the_tables_are_current() -> None:
    text = PAGE.read_text("utf-8")
    assert with_tables(text) == text, "run: python -m tests.messages"


def test_each_code_is_on_the_page_once() -> None:
    found = codes_on_the_page()
    assert len(found) == len(set(found))
    assert {error.code for error in all_errors()} <= set(found)  # type: ignore[attr-defined]


def test_all_codes_that_tests_expect_are_on_the_page() -> None:
    """The source makes some codes in ways that the tables would miss."""
    asserted = r"""code["'\]]*\s*==\s*["']([a-z_]+)["']"""
    expected = {code for path in TESTS.rglob("*.py") for code in re.findall(asserted, path.read_text("utf-8"))}
    assert len(expected) > 80
    assert expected - INVENTED <= set(codes_on_the_page())


def test_fixes_of_requests_come_first() -> None:
    (row,) = re.findall(r"^\| `unauthorized` \|.*", PAGE.read_text("utf-8"), re.MULTILINE)
    assert re.search(r"Authorization: Bearer KEY.*token=.*key\\_file=.*Prometheus", row)
