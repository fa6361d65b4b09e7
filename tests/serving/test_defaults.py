from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastmar_serving.defaults import FILE, Default, read_defaults, write_defaults

versions = st.text(min_size=1, max_size=4)
saved_defaults = st.builds(Default, versions, st.lists(versions, unique=True, max_size=4).map(tuple))
in_any_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@in_any_folder
@given(st.dictionaries(st.text(min_size=1), saved_defaults, max_size=3))
def test_reads_what_it_wrote(tmp_path: Path, defaults: dict[str, Default]) -> None:
    try:
        json.dumps([list(defaults), [[d.version, d.before] for d in defaults.values()]], ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a lone surrogate is no name
        return
    write_defaults(tmp_path, defaults)
    assert read_defaults(tmp_path) == defaults
    assert (tmp_path / FILE).exists() == bool(defaults)
    assert [path.name for path in tmp_path.iterdir()] == [FILE] * bool(defaults)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["m", "default", "before"]), inner),
    max_leaves=8,
)


@in_any_folder
@given(st.binary(max_size=40) | json_values.map(lambda value: json.dumps(value).encode()))
def test_warns_of_a_damaged_file_and_ignores_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    warnings: list[Any] = []
    for name, default in read_defaults(tmp_path, lambda *facts: warnings.append(facts)).items():
        assert isinstance(name, str)
        assert isinstance(default.version, str)
        assert all(isinstance(version, str) for version in default.before)
    try:
        is_valid = all(isinstance(entry["default"], str) for entry in json.loads(content).values())
    except (ValueError, TypeError, KeyError, AttributeError):
        is_valid = False
    assert bool(warnings) != is_valid


def test_does_not_warn_of_a_missing_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert read_defaults(tmp_path) == {}
    assert not caplog.records


@given(saved_defaults, st.lists(versions, min_size=1, max_size=6))
def test_deployments_and_rollbacks(start: Default, deployed: list[str]) -> None:
    default = start
    for version in deployed:
        default, before = default.switched(version), default
        assert default.version == version
        assert default.version not in default.before or version == before.version
        assert len(set(default.before)) == len(default.before)
        if version != before.version:
            assert default.before[-1] == before.version
            assert default.rolled_back(before.version).version == before.version


def test_rollback_removes_later_versions_from_the_history() -> None:
    default = Default("1.0").switched("2.0").switched("3.0")
    assert default == Default("3.0", ("1.0", "2.0"))
    assert default.rolled_back("2.0") == Default("2.0", ("1.0",))
    assert default.rolled_back("1.0") == Default("1.0")
    assert default.rolled_back("0.9") == Default("0.9", ("1.0", "2.0"))
