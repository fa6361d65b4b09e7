"""The browser of the tests."""

from __future__ import annotations

import pytest

from tests.browser import Chromium

ATTEMPTS: list[int] = []


def test_a_test_is_repeated_after_a_change_of_the_network(chromium: Chromium) -> None:
    ATTEMPTS.append(1)
    if len(ATTEMPTS) == 1:
        chromium.aborted.append("http://127.0.0.1/main.js")
        pytest.fail("the page has no script")
