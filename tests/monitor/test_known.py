"""Archives without a profile: only the means of numbers and unknown categories are compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastmar_cli.main import main
from fastmar_contract.members import PROFILE
from fastmar_monitor.drift import measure
from fastmar_monitor.known import NOTICE, compare_known
from fastmar_monitor.verdicts import DRIFT, NONE, NOT_ENOUGH_DATA, WATCH
from fastmar_runtime.profiles.counting import Counter
from fastmar_runtime.profiles.known import known_reference, moments
from fastmar_runtime.profiles.profile import Profile
from fastmar_runtime.profiles.reporting import Reporter, reference_of
from fastmar_runtime.profiles.variables import CATEGORY, FIELD, NUMBER, Variable
from tests.monitor import samples
from tests.monitor.test_command import table
from tests.runtime import tiny


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    path = samples.archive(tmp_path / "bare")
    (path / PROFILE).unlink()
    return path


def live(rows: int, seed: int, **options: float) -> Profile:
    reference = known_reference(tiny.spec())
    assert reference is not None
    counter = Counter(reference.profile.variables)
    counter.answered(tiny.predictor().predict(samples.records(rows, seed, **options), counter.prepared))
    return counter.take()


@pytest.mark.parametrize(
    ("rows", "options", "verdict", "changed"),
    [
        (5000, {}, NONE, []),
        (5000, {"shift": -0.4}, WATCH, ["age"]),
        (5000, {"shift": 0.7}, DRIFT, ["age"]),
        (5000, {"new": 0.08}, DRIFT, ["workclass"]),
        (5000, {"new": 0.005}, NONE, []),
        (100, {"shift": 3.0}, NOT_ENOUGH_DATA, []),
    ],
)
def test_verdicts(rows: int, options: dict[str, float], verdict: str, changed: list[str]) -> None:
    found = compare_known(live(rows, 3, **options))
    assert (found.verdict, found.reference_rows) == (verdict, 0)
    assert [each.variable.name for each in found.fields if each.verdict in (WATCH, DRIFT)] == changed
    assert [each.variable.name for each in found.fields][: len(changed)] == changed


def test_shift_is_that_of_the_means() -> None:
    found = {each.variable.name: each for each in compare_known(live(5000, 3, shift=0.7)).fields}
    ages = [record["age"] for record in samples.records(5000, 3, shift=0.7)]
    assert found["age"].shift == pytest.approx((np.mean(ages) - 40) / 10, abs=0.01)


def test_no_false_alarms_for_any_distribution() -> None:
    """The means of skewed numbers, too, vary less than the verdict allows."""
    rng = np.random.default_rng(0)
    edges = np.linspace(-5, 5, 41)
    variables = [Variable(f"x{at}", FIELD, NUMBER, edges=tuple(edges.tolist())) for at in range(30)]
    for _ in range(100):
        columns = (rng.exponential(1, (30, 500)) - 1).tolist()  # mean 0, deviation 1
        counts = tuple(each.count(values) for each, values in zip(variables, columns, strict=True))
        assert compare_known(Profile(tuple(variables), 500, counts)).verdict == NONE


def test_a_data_file(bare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = table(tmp_path / "data.csv", 2000, shift=0.7)
    assert main(["drift", str(bare), data, "--html", str(tmp_path / "report.html")]) == 3
    printed = capsys.readouterr()
    assert "shift" in printed.out
    assert "PSI" not in printed.out
    assert "no profile of its training data" in " ".join(printed.err.split())
    assert "shift of the mean" in (tmp_path / "report.html").read_text("utf-8")
    assert main(["drift", str(bare), data, "--json"]) == 3
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["notices"] == [NOTICE]
    assert [found["fields"][0][key] for key in ("field", "psi", "missing")] == ["age", None, None]
    assert found["fields"][0]["shift"] > 0.6


def test_workers_count_for_files_only(bare: Path, tmp_path: Path) -> None:
    predictor = tiny.predictor()
    assert reference_of(predictor) is None
    reference = reference_of(predictor, tmp_path)
    assert reference is not None

    class Undeclared(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            raise AssertionError("no metric is reported without a reference")

    reporter = Reporter(reference, ("tiny", "1.0"), Undeclared(), "0", tmp_path / "profiles", 3600.0)
    reporter.answered(predictor.predict(samples.records(600, 1, shift=1.0), reporter.prepared))
    reporter.close()
    found = measure(bare, str(tmp_path / "profiles"))
    assert (found.comparison.verdict, found.comparison.rows) == (DRIFT, 600)


def test_known_variables() -> None:
    reference = known_reference(tiny.spec())
    assert reference is not None
    by_name = {each.name: each for each in reference.profile.variables}
    assert moments(by_name["hours"]) == pytest.approx((38.0, 8.0))
    assert by_name["workclass"].kind == CATEGORY
    assert by_name["workclass"].slots([" Private", "moon", None]).tolist() == [2, 1, 0]
