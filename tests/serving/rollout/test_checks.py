"""Which versions are refused as the default although they load, and what is accepted by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.archives import changed, golden, member, tiny_archive, with_column_renamed
from tests.serving.rollout.fakes import FakeTorchServe

from fastmar_cli.main import main
from fastmar_client import RecordRefused
from fastmar_serving.rollout import errors
from fastmar_serving.rollout.accepted import BREAKING_CHANGES, NEW_ERRORS
from fastmar_serving.rollout.deploy import Deployed, Wanted, deploy


def renamed_label(path: Path) -> Path:
    """The archive, changed so that it predicts a label that callers do not know: `diff` calls this breaking."""
    spec = json.loads(member(path, "spec.json"))
    key = "vocab" if "vocab" in spec["decode"] else "classes"
    spec["decode"][key][-1] = "another"
    return changed(path, spec=spec)


def run(torchserve: FakeTorchServe, archive: Path, **wanted: Any) -> Deployed:
    deployed = Deployed()
    deploy(torchserve.serve(), Wanted(archive, **wanted), deployed, lambda _: None)
    return deployed


class TestBreakingChanges:
    @pytest.fixture
    def breaking(self, second: Path) -> Path:
        return renamed_label(second)

    def test_it_is_refused_before_anything_is_loaded(self, torchserve: FakeTorchServe, breaking: Path) -> None:
        with pytest.raises(errors.BreakingVersion, match=r"breaks callers of 1\.0: labels: .*another") as caught:
            run(torchserve, breaking)
        assert "--accept breaking-changes" in caught.value.fix
        assert torchserve.calls == []
        assert torchserve.defaults == {"tiny": "1.0"}

    def test_a_column_that_is_demanded_under_another_name(self, torchserve: FakeTorchServe, second: Path) -> None:
        with pytest.raises(errors.BreakingVersion, match="employer: a new"):
            run(torchserve, with_column_renamed(second, "workclass", "employer"))
        assert torchserve.calls == []

    def test_it_is_accepted_by_name(self, torchserve: FakeTorchServe, breaking: Path) -> None:
        deployed = run(torchserve, breaking, accepted=frozenset({BREAKING_CHANGES}))
        assert torchserve.defaults == {"tiny": "2.0"}
        assert deployed.as_dict()["accepted"] == [BREAKING_CHANGES]
        assert {change["where"] for change in deployed.as_dict()["breaking"]} == {"labels"}

    def test_accepting_errors_does_not_accept_it(self, torchserve: FakeTorchServe, breaking: Path) -> None:
        with pytest.raises(errors.BreakingVersion):
            run(torchserve, breaking, accepted=frozenset({NEW_ERRORS}))

    def test_a_canary_is_loaded_and_told_and_refused_when_it_is_to_switch(
        self, torchserve: FakeTorchServe, breaking: Path
    ) -> None:
        assert run(torchserve, breaking, default=False).breaking
        with pytest.raises(errors.BreakingVersion):
            run(torchserve, breaking)
        assert torchserve.defaults == {"tiny": "1.0"}

    def test_an_old_archive_that_is_gone_is_said(
        self, torchserve: FakeTorchServe, breaking: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (torchserve.store / "tiny-1.0.mar").unlink()
        assert run(torchserve, breaking).default
        assert "the archive of tiny 1.0 is not in" in capsys.readouterr().err

    def test_a_spec_that_this_fastmar_does_not_read_is_said(
        self, torchserve: FakeTorchServe, second: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        spec = json.loads(member(second, "spec.json")) | {"protocol": 10_000}
        assert run(torchserve, changed(second, spec=spec)).default
        assert "can't be compared for breaking changes" in capsys.readouterr().err


class TestNewErrors:
    @pytest.fixture
    def rows(self, tmp_path: Path) -> list[str]:
        """100 records that both versions take and 2 that neither takes."""
        (tmp_path / "rows.jsonl").write_text("".join(f'{{"row": {row}}}\n' for row in range(102)))
        return [str(tmp_path / "rows.jsonl")]

    @pytest.fixture(autouse=True)
    def answers(self, torchserve: FakeTorchServe, second: Path) -> None:
        refuse = RecordRefused("no", fix="-", code="unknown_column")
        recorded = {json.dumps(record): answer for record, answer in zip(*golden(second), strict=True)}
        first = golden(second)[1][0]
        torchserve.models["tiny"]["1.0"].answer = lambda record: refuse if record.get("row", 0) >= 100 else first
        torchserve.answers["2.0"] = lambda record: recorded.get(json.dumps(record), refuse)

    def test_every_record_becomes_an_error(self, torchserve: FakeTorchServe, second: Path, rows: list[str]) -> None:
        deployed = Deployed()
        with pytest.raises(errors.NewErrors, match=r"100 of the 100 records that 1\.0 answers are errors in 2\.0"):
            deploy(torchserve.serve(), Wanted(second, requests=rows, sample=102), deployed, lambda _: None)
        assert torchserve.defaults == {"tiny": "1.0"}
        assert set(torchserve.models["tiny"]) == {"1.0"}
        assert "unregister 2.0" in torchserve.calls
        found = deployed.as_dict()["shadow"]
        assert (found["answers"], found["answered_by_both"], found["changed"]) == (102, 0, 0)
        assert found["errors"] == {"before": {"unknown_column": 2}, "after": {"unknown_column": 102}}

    def test_one_of_a_hundred_is_enough(self, torchserve: FakeTorchServe, second: Path, rows: list[str]) -> None:
        refuse = torchserve.answers["2.0"]
        first = golden(second)[1][0]
        torchserve.answers["2.0"] = lambda record: first if record.get("row") not in (7, None) else refuse(record)
        with pytest.raises(errors.NewErrors, match=r"1 of the 100 records"):
            run(torchserve, second, requests=rows, sample=102)

    def test_they_are_accepted_by_name(self, torchserve: FakeTorchServe, second: Path, rows: list[str]) -> None:
        assert run(torchserve, second, requests=rows, accepted=frozenset({NEW_ERRORS})).default
        assert torchserve.defaults == {"tiny": "2.0"}

    def test_accepted_errors_still_count_against_max_changed(
        self, torchserve: FakeTorchServe, second: Path, rows: list[str]
    ) -> None:
        with pytest.raises(errors.AnswersChanged, match=r"100\.0% of the predictions change"):
            run(torchserve, second, requests=rows, accepted=frozenset({NEW_ERRORS}), max_changed=0.5)

    def test_a_canary_with_errors_is_loaded_for_comparison(
        self, torchserve: FakeTorchServe, second: Path, rows: list[str]
    ) -> None:
        deployed = run(torchserve, second, requests=rows, sample=102, default=False)
        assert deployed.shadow is not None
        assert deployed.shadow.broken == 100
        assert torchserve.defaults == {"tiny": "1.0"}

    def test_the_old_golden_records_count_too(self, torchserve: FakeTorchServe, tmp_path: Path) -> None:
        other = tiny_archive(tmp_path, "3.0")
        records, answers = golden(other)
        changed(other, golden__records=records[:1], golden__answers=answers[:1])
        refuse = RecordRefused("no", fix="-", code="missing_field")
        torchserve.answers["3.0"] = lambda record: answers[0] if record == records[0] else refuse
        torchserve.models["tiny"]["1.0"].answer = lambda record: answers[records.index(record)]
        with pytest.raises(errors.NewErrors, match=r"3 of the 4 records .* \(missing_field: 3\)"):
            run(torchserve, other)


def test_an_unknown_check_is_bad_usage(second: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["deploy", str(second), "--accept", "everything"])
    assert "breaking-changes" in capsys.readouterr().err
