"""The checks before a version becomes the default, and how `accepted` waives them."""

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
from fastmar_serving.rollout.check_names import BREAKING_CHANGES, NEW_ERRORS
from fastmar_serving.rollout.deploy import DeployOptions, DeployResult, deploy


def renamed_label(path: Path) -> Path:
    """The archive with another label, which `diff` calls a breaking change."""
    spec = json.loads(member(path, "spec.json"))
    key = "vocab" if "vocab" in spec["decode"] else "classes"
    spec["decode"][key][-1] = "another"
    return changed(path, spec=spec)


def run(torchserve: FakeTorchServe, archive: Path, **options: Any) -> DeployResult:
    result = DeployResult()
    deploy(torchserve.serve(), DeployOptions(archive, **options), result, lambda _: None)
    return result


class TestBreakingChanges:
    @pytest.fixture
    def breaking(self, second: Path) -> Path:
        return renamed_label(second)

    def test_refused_before_loading(self, torchserve: FakeTorchServe, breaking: Path) -> None:
        with pytest.raises(errors.BreakingVersion) as caught:
            run(torchserve, breaking)
        assert "labels" in caught.value.message
        assert "'another'" in caught.value.message
        assert "--accept breaking-changes" in caught.value.fix
        assert torchserve.calls == []
        assert torchserve.defaults == {"tiny": "1.0"}

    def test_renamed_column_is_refused(self, torchserve: FakeTorchServe, second: Path) -> None:
        with pytest.raises(errors.BreakingVersion) as caught:
            run(torchserve, with_column_renamed(second, "workclass", "employer"))
        assert "employer" in caught.value.message
        assert torchserve.calls == []

    def test_accepted_by_name(self, torchserve: FakeTorchServe, breaking: Path) -> None:
        result = run(torchserve, breaking, accepted=frozenset({BREAKING_CHANGES}))
        assert torchserve.defaults == {"tiny": "2.0"}
        assert result.as_dict()["accepted"] == [BREAKING_CHANGES]
        assert {change["where"] for change in result.as_dict()["breaking"]} == {"labels"}

    def test_accepting_new_errors_does_not_accept_breaking_changes(
        self, torchserve: FakeTorchServe, breaking: Path
    ) -> None:
        with pytest.raises(errors.BreakingVersion):
            run(torchserve, breaking, accepted=frozenset({NEW_ERRORS}))

    def test_loaded_as_canary_but_refused_as_default(self, torchserve: FakeTorchServe, breaking: Path) -> None:
        assert run(torchserve, breaking, default=False).breaking
        with pytest.raises(errors.BreakingVersion):
            run(torchserve, breaking)
        assert torchserve.defaults == {"tiny": "1.0"}

    def test_warns_if_the_old_archive_is_missing(
        self, torchserve: FakeTorchServe, breaking: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (torchserve.store / "tiny-1.0.mar").unlink()
        assert run(torchserve, breaking).default
        warning = capsys.readouterr().err
        assert "breaking changes" in warning
        assert str(torchserve.store) in warning

    def test_warns_if_a_spec_has_a_newer_protocol(
        self, torchserve: FakeTorchServe, second: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        spec = json.loads(member(second, "spec.json")) | {"protocol": 10_000}
        assert run(torchserve, changed(second, spec=spec)).default
        warning = capsys.readouterr().err
        assert "breaking changes" in warning
        assert "10000" in warning


class TestNewErrors:
    @pytest.fixture
    def rows(self, tmp_path: Path) -> list[str]:
        """100 records that the old version answers, and 2 that both versions refuse."""
        (tmp_path / "rows.jsonl").write_text("".join(f'{{"row": {row}}}\n' for row in range(102)))
        return [str(tmp_path / "rows.jsonl")]

    @pytest.fixture(autouse=True)
    def answers(self, torchserve: FakeTorchServe, second: Path) -> None:
        refuse = RecordRefused("no", fix="-", code="unknown_column")
        recorded = {json.dumps(record): answer for record, answer in zip(*golden(second), strict=True)}
        first = golden(second)[1][0]
        torchserve.models["tiny"]["1.0"].answer = lambda record: refuse if record.get("row", 0) >= 100 else first
        torchserve.answers["2.0"] = lambda record: recorded.get(json.dumps(record), refuse)

    def test_refused_if_every_record_fails(self, torchserve: FakeTorchServe, second: Path, rows: list[str]) -> None:
        result = DeployResult()
        with pytest.raises(errors.NewErrors):
            deploy(torchserve.serve(), DeployOptions(second, requests=rows, sample=102), result, lambda _: None)
        assert result.shadow is not None
        assert (result.shadow.newly_failing, result.shadow.predicted) == (100, 100)
        assert torchserve.defaults == {"tiny": "1.0"}
        assert set(torchserve.models["tiny"]) == {"1.0"}
        assert "unregister 2.0" in torchserve.calls
        found = result.as_dict()["shadow"]
        assert (found["answers"], found["answered_by_both"], found["changed"]) == (102, 0, 0)
        assert found["errors"] == {"before": {"unknown_column": 2}, "after": {"unknown_column": 102}}

    def test_refused_if_one_of_100_records_fails(
        self, torchserve: FakeTorchServe, second: Path, rows: list[str]
    ) -> None:
        refuse = torchserve.answers["2.0"]
        first = golden(second)[1][0]
        torchserve.answers["2.0"] = lambda record: first if record.get("row") not in (7, None) else refuse(record)
        with pytest.raises(errors.NewErrors) as caught:
            run(torchserve, second, requests=rows, sample=102)
        assert "1 of the 100 records" in caught.value.message

    def test_accepted_by_name(self, torchserve: FakeTorchServe, second: Path, rows: list[str]) -> None:
        assert run(torchserve, second, requests=rows, accepted=frozenset({NEW_ERRORS})).default
        assert torchserve.defaults == {"tiny": "2.0"}

    def test_accepted_errors_still_count_against_max_changed(
        self, torchserve: FakeTorchServe, second: Path, rows: list[str]
    ) -> None:
        with pytest.raises(errors.AnswersChanged) as caught:
            run(torchserve, second, requests=rows, accepted=frozenset({NEW_ERRORS}), max_changed=0.5)
        assert "100.0%" in caught.value.message

    def test_a_canary_with_errors_is_loaded_for_comparison(
        self, torchserve: FakeTorchServe, second: Path, rows: list[str]
    ) -> None:
        result = run(torchserve, second, requests=rows, sample=102, default=False)
        assert result.shadow is not None
        assert result.shadow.newly_failing == 100
        assert torchserve.defaults == {"tiny": "1.0"}

    def test_golden_records_of_the_old_version_are_compared(self, torchserve: FakeTorchServe, tmp_path: Path) -> None:
        other = tiny_archive(tmp_path, "3.0")
        records, answers = golden(other)
        changed(other, golden__records=records[:1], golden__answers=answers[:1])
        refuse = RecordRefused("no", fix="-", code="missing_field")
        torchserve.answers["3.0"] = lambda record: answers[0] if record == records[0] else refuse
        torchserve.models["tiny"]["1.0"].answer = lambda record: answers[records.index(record)]
        with pytest.raises(errors.NewErrors) as caught:
            run(torchserve, other)
        assert "3 of the 4 records" in caught.value.message
        assert "missing_field: 3" in caught.value.message


def test_unknown_check_is_a_usage_error(second: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["deploy", str(second), "--accept", "everything"])
    assert caught.value.code == 2
    assert "breaking-changes" in capsys.readouterr().err
