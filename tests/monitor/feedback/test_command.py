"""`fastmar feedback`: exit status, output, options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fastmar_cli.main import main
from tests.monitor.feedback import logs


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(logs.bundle(tmp_path_factory.mktemp("feedback") / "tiny"))


@pytest.mark.parametrize(
    ("options", "status", "verdict"),
    [({}, 0, "steady"), ({"worse_after": 21}, 3, "fell"), ({"days": 5}, 4, "not_enough_truths")],
)
def test_the_exit_status_tells_the_verdict(
    archive: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: dict[str, Any],
    status: int,
    verdict: str,
) -> None:
    entries, truths = logs.labelled(1200, **options)
    for row in truths:
        row["income"] = row.pop("salary")
    log, table = logs.lines(tmp_path / "log" / "a.jsonl", entries), logs.lines(tmp_path / "t.jsonl", truths[:1000])
    report = tmp_path / "report.html"
    arguments = ["feedback", archive, log, table]
    column = ["--column", "income"]
    assert main([*arguments, *column, "--json"]) == status
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["answered"], found["with_truth"], found["by"]) == (verdict, 1200, 1000, "week")
    assert main([*arguments, table, *column, "--html", str(report)]) == status
    printed = capsys.readouterr()
    assert f"{found['measured']['accuracy']['value']:.1%}" in printed.out
    assert "about" in printed.out  # the estimate
    assert "2026-03-02" in printed.out
    assert str(report) in printed.out
    assert "1,000 truths are repeated" in printed.err
    assert "<svg" in report.read_text("utf-8")


def test_options(archive: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries, truths = logs.labelled(300)
    log, table = logs.lines(tmp_path / "log" / "a.jsonl", entries), logs.lines(tmp_path / "t.jsonl", truths)
    assert main(["feedback", archive, log, table, "--by", "month", "--since", "2026-03-16", "--json"]) == 4
    found = json.loads(capsys.readouterr().out)
    assert [each["start"] for each in found["periods"]] == ["2026-03-01T00:00:00+00:00"]
    assert found["answered"] < 200
    assert main(["feedback", archive, str(tmp_path / "absent"), table]) == 1
    assert "NoLiveData" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["feedback", archive, log, table, "--by", "hour"])
    assert caught.value.code == 2
