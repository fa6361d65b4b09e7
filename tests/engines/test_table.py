"""The table of capabilities in docs/engines.md agrees with the tests."""

from __future__ import annotations

import pytest

from tests.engines import CAPABILITIES, END, ENGINES, PAGE, START, Engine, marked, with_table


def test_table_is_current() -> None:
    text = PAGE.read_text("utf-8")
    assert START in text
    assert END in text
    assert with_table(text) == text, "run: python -m tests.engines"


def test_every_capability_has_a_test_and_an_engine_without_it() -> None:
    assert [name for name, tests in marked().items() if not tests] == []
    assert {name for engine in ENGINES for name in engine.cannot} == set(CAPABILITIES)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_engine_is_installed(engine: Engine) -> None:
    if not engine.is_installed:
        pytest.skip(f"{engine.name}: the package {engine.package} is not installed")
