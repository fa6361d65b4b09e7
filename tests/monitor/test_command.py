"""`fastmar drift`: exit status, output, options."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from fastmar_cli import arguments
from fastmar_cli.main import main
from tests.monitor import samples


def table(path: Path, rows: int, **options: float) -> str:
    pd.DataFrame(samples.records(rows, 1, **options)).to_csv(path, index=False)
    return str(path)


@pytest.fixture
def profiles(tmp_path: Path) -> str:
    lines = [
        samples.profile_line(300, 1, "2026-03-01T10:00:00+00:00"),
        samples.profile_line(300, 2, "2026-03-02T10:00:00+00:00", new=0.2),
    ]
    path = tmp_path / "profiles.jsonl"
    path.write_bytes(b"".join(lines) + b"{")
    return str(path)


@pytest.mark.parametrize(
    ("rows", "options", "status", "verdict"),
    [
        (5000, {}, 0, "none"),
        (5000, {"shift": 0.28}, 0, "watch"),
        (5000, {"shift": 0.5, "new": 0.05}, 3, "drift"),
        (100, {"shift": 3.0}, 4, "not_enough_data"),
    ],
)
def test_the_exit_status_tells_the_verdict(
    archive: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    rows: int,
    options: dict[str, float],
    status: int,
    verdict: str,
) -> None:
    arguments = ["drift", str(archive), table(tmp_path / "data.csv", rows, **options)]
    assert main([*arguments, "--json"]) == status
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["rows"], found["model"]) == (verdict, rows, "tiny")
    assert main(arguments) == status
    printed = capsys.readouterr().out
    assert all(each["field"] in printed for each in found["fields"])
    assert verdict.replace("_", " ") in printed


def test_errors_have_status_1(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = table(tmp_path / "data.csv", 10)
    bare = samples.picture_archive(tmp_path / "bare")
    assert main(["drift", str(bare), data]) == 1
    printed = capsys.readouterr()
    assert "NoProfile" in printed.err
    assert "--reference" in printed.err
    assert main(["drift", str(archive), str(tmp_path / "absent.csv")]) == 1
    assert main(["drift", str(archive), data, "--by", "day"]) == 1
    assert main(["drift", str(archive), data, "--html", str(tmp_path / "absent" / "report.html")]) == 1


def test_periods_notices_and_report(
    archive: Path, tmp_path: Path, profiles: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.html"
    assert main(["drift", str(archive), profiles, "--by", "day", "--html", str(report)]) == 3
    printed = capsys.readouterr()
    assert "2026-03-02 00:00" in printed.out
    assert str(report) in printed.out
    assert "1 line can't be read" in printed.err
    assert "<svg" in report.read_text("utf-8")
    assert main(["drift", str(archive), profiles, "--since", "2026-03-02", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["rows"] == 300


def test_many_refused_records_are_reported(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for refused, is_reported in ((10, False), (20, True)):
        records = [*samples.records(300, 1), *[{"age": 40}] * refused]
        (tmp_path / "data.json").write_text(json.dumps(records))
        assert main(["drift", str(archive), str(tmp_path / "data.json")]) == 0
        assert (f"refused {refused} of {300 + refused} records" in capsys.readouterr().err) == is_reported


def test_few_records_have_no_figures(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drift", str(archive), table(tmp_path / "data.csv", 49)]) == 4
    printed = capsys.readouterr().out
    assert "too few records (49 of 200)" in printed
    assert "PSI" not in printed


def test_times() -> None:
    parse = arguments.time
    assert parse("2026-01-31") == datetime(2026, 1, 31, tzinfo=UTC)
    assert parse("2026-01-31T12:00+02:00") == datetime(2026, 1, 31, 10, tzinfo=UTC)
    for text, span in (("7d", timedelta(days=7)), ("12h", timedelta(hours=12))):
        before = parse(text) + span
        assert timedelta() <= datetime.now(UTC) - before < timedelta(minutes=1)
    with pytest.raises(SystemExit) as caught:
        main(["drift", "a.mar", "b.csv", "--since", "soon"])
    assert caught.value.code == 2
