"""The log that workers write, of real answers, becomes the figures of these answers."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from fastmar_cli.main import main
from fastmar_contract.request_log import LogOptions
from fastmar_runtime.request_log.entries import EntryWriter, Exchange
from tests.monitor import samples
from tests.monitor.feedback import logs
from tests.monitor.test_report import Tags
from tests.runtime import tiny

REQUESTS, RECORDS = 60, 10


def test_feedback_and_drift_of_a_log(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictor = tiny.predictor()
    records = samples.records(REQUESTS * RECORDS, 1, shift=0.5)
    answers = predictor.predict(records)
    writer = EntryWriter(predictor.spec, None, LogOptions(str(tmp_path)))
    rng = np.random.default_rng(0)
    lines, truths, right = [], [], 0
    for at in range(REQUESTS):
        part = slice(at * RECORDS, (at + 1) * RECORDS)
        time = (logs.START + timedelta(days=at / 5)).isoformat(timespec="milliseconds")
        lines += writer.lines(Exchange(time, f"id{at}", records[part], answers[part], {}))
        for row, answer in enumerate(answers[part]):
            truth = str(rng.choice(logs.LABELS))
            right += truth == answer["prediction"]
            truths.append({"request_id": f"id{at}", "row": row, "salary": truth})
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "worker.jsonl").write_bytes(b"".join(lines))
    report = tmp_path / "report.html"
    table = logs.lines(tmp_path / "truths.jsonl", truths)
    assert main(["feedback", str(archive), str(tmp_path / "log"), table, "--json", "--html", str(report)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["answered"], found["with_truth"]) == (REQUESTS * RECORDS, REQUESTS * RECORDS)
    assert found["measured"]["accuracy"]["value"] == pytest.approx(right / len(truths), abs=1e-6)
    html = report.read_text("utf-8")
    assert Tags(html).open == []
    assert "Confusion" in html
    assert "records of the reference" in html  # the report about drift
