"""Configuration of all tests: profiles, markers, scheduling, and a summary of parity."""

from __future__ import annotations

import functools
import itertools
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.browser import Chromium, NetworkChanged, launched
from tests.engines import Engine, parameters, skip_unless_able
from tests.scheduling import LongestFirst, row_of, seconds_by_scope

# On cores that are busy with other tests, several torch threads wait for each other and are slower than a single one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No deadline: durations depend on the machine, and the first example imports torch or pandas. In CI, examples are
# always the same, so that results depend only on the change.
settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("house")

MEASURED = "largest difference"  # the property of parity tests
LONG = 60.0  # seconds of a group of tests that the summary names

# Excluded by `make quick`: files that import fastai, or one of our modules that trains, and fixtures that train.
TRAINERS = r"pictures|frozen|web\.served|export\.(tables|pictures|networks\.makers|reader\.make_learners)"
TRAINING = re.compile(rf"^\s*(from|import) (fastai\b|tests\.({TRAINERS})|examples\b)", re.MULTILINE)
TRAINED = {"adult", "colours", "learners"}

COOKBOOK = Path(__file__).resolve().parents[2] / "shared" / "data" / "cookbook"


@pytest.fixture(scope="session")
def cookbook() -> Path:
    """The folder with the learner, rows and pictures of the book, which are not part of the project."""
    if not COOKBOOK.is_dir():
        pytest.skip(f"the book's learner is not in {COOKBOOK}")
    return COOKBOOK


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """A browser. Defined once, because Playwright's synchronous API can be started only once per process."""
    with launched() as browser:
        yield browser


@pytest.fixture(scope="session", params=parameters())
def engine(request: pytest.FixtureRequest) -> Engine:
    """A test with it runs on each installed engine."""
    started: Engine = request.param
    return started


@pytest.fixture(autouse=True)
def exporter_table_built_once() -> None:
    """Keep torch's table of translations to ONNX, since building it takes half of a small export."""
    module = sys.modules.get("torch.onnx._internal.exporter._registration")  # imported by the first export
    if module is not None and isinstance(vars(module.ONNXRegistry)["from_torchlib"], classmethod):
        module.ONNXRegistry.from_torchlib = staticmethod(functools.cache(module.ONNXRegistry.from_torchlib))


def is_training(path: Path) -> bool:
    return bool(TRAINING.search(path.read_text("utf-8")))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip the import of training files in `make quick`, because importing fastai is slow."""
    is_file = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    return True if is_file and "not training" in config.option.markexpr and is_training(collection_path) else None


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Mark browser tests and training tests; sort tests for pytest-xdist."""
    training = {path: is_training(path) for path in {item.path for item in items}}
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if "chromium" in fixtures:
            item.add_marker("browser")
            item.add_marker(pytest.mark.flaky(reruns=3, only_rerun=[NetworkChanged.__name__]))
        if training[item.path] or fixtures & TRAINED:
            item.add_marker("training")
        skip_unless_able(item)
    yield  # pytest brings tests with the same engine together; within a row they stay together
    if hasattr(config, "workerinput"):  # a worker of pytest-xdist
        items.sort(key=lambda item: row_of(item.nodeid))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Repeat a browser test that failed after a change of the network, since tests beside it start containers."""
    browser: Chromium | None = pyfuncitem.funcargs.get("chromium")
    if browser is None:
        return (yield)
    browser.aborted.clear()
    try:
        return (yield)
    except (Exception, pytest.fail.Exception) as error:
        if browser.aborted:
            raise NetworkChanged(f"{browser.aborted} were not loaded: {error}") from error
        raise


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Twice as many processes as cores, because tests of servers and containers often wait."""
    return 2 * (os.cpu_count() or 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    config.option.loadscopereorder = False  # the default order, by number of tests, does not match durations
    return LongestFirst(config, log)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the largest differences from fastai's answers, and groups of tests that took long."""
    reports = itertools.chain.from_iterable(terminalreporter.stats.values())
    if long := [(seconds, scope) for seconds, scope in seconds_by_scope(reports) if seconds > LONG]:
        terminalreporter.section("longest groups of tests, see tests/scheduling.py")
        for seconds, scope in long:
            terminalreporter.write_line(f"{seconds:6.0f} s  {scope}")
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
