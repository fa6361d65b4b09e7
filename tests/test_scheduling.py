"""Groups of tests that run in one process."""

from __future__ import annotations

from types import SimpleNamespace

from tests.engines import ENGINES
from tests.scheduling import scope_of, seconds_by_scope


def test_files_of_a_row_run_in_one_process() -> None:
    assert scope_of("tests/client/test_served.py::test_a[x]") == scope_of("tests/client/test_docs.py::test_b")
    assert scope_of("tests/client/test_served.py::test_a") != scope_of("tests/client/test_fake.py::test_a")


def test_rows_of_engines_are_divided_by_engine() -> None:
    scopes = {scope_of(f"tests/engines/test_http.py::test_a[{engine.name}-/ping]") for engine in ENGINES}
    assert len(scopes) == len(ENGINES)
    assert scope_of("tests/engines/test_cases.py::TestA::test_b[/ping-ray]") in scopes
    assert scope_of("tests/engines/test_cases.py::test_without_engine[x]") not in scopes
    assert scope_of("tests/clients/test_tools.py::test_http_tools[curl-json-ray]") == "tests/clients/test_tools.py[ray]"


def test_pages_run_in_any_process() -> None:
    pages = [f"tests/documents/test_commands.py::test_the_commands_run[{page}]" for page in ("a.md", "b.md")]
    assert len({scope_of(page) for page in pages}) == 2


def test_seconds_are_added_up_by_group() -> None:
    served, docs, fake = (f"tests/client/test_{name}.py::test_a" for name in ("served", "docs", "fake"))
    reports = [SimpleNamespace(nodeid=nodeid, duration=1.5) for nodeid in (fake, served, docs, served)]
    reports.append(SimpleNamespace(nodeid="tests/client/test_broken.py"))
    assert seconds_by_scope(reports) == [(4.5, "tests/client/test_served.py"), (1.5, "tests/client/test_fake.py")]
