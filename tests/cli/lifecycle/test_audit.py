"""The audit log, and the checks that keep a version from becoming the default."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from tests.archives import tiny_archive, with_column_renamed
from tests.cli.lifecycle.fakes import FakeTorchServe

from fastmar_cli.lifecycle import errors
from fastmar_cli.lifecycle.deploy import Deployed, Wanted, deploy
from fastmar_cli.server.audit import FILE, Follower
from fastmar_client import RecordRefused


@pytest.fixture
def torchserve(tmp_path: Path) -> FakeTorchServe:
    store = tmp_path / "store"
    store.mkdir()
    tiny_archive(store, "1.0")
    fake = FakeTorchServe(store)
    fake.register("tiny-1.0.mar")
    fake.calls.clear()
    return fake


def run(torchserve: FakeTorchServe, archive: Path, *accepted: str) -> Deployed:
    deployed = Deployed()
    wanted = Wanted(archive, accepted=frozenset(accepted))
    deploy(torchserve.serve(), wanted, deployed, lambda _: None)
    return deployed


def audit(torchserve: FakeTorchServe) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (torchserve.store / FILE).read_text().splitlines()]


def refuse(_: Any) -> RecordRefused:
    return RecordRefused("no such column", fix="-", code="missing_column")


def test_a_deployment_is_a_line(torchserve: FakeTorchServe, tmp_path: Path) -> None:
    run(torchserve, tiny_archive(tmp_path, "2.0", flipped=True))
    [line] = audit(torchserve)
    assert (line["action"], line["result"], line["model"]) == ("deploy", "success", "tiny")
    assert (line["from"], line["to"]) == ("1.0", "2.0")
    assert line["time"].endswith("Z")
    assert line["who"].keys() >= {"user", "host", "pid", "folder"}
    assert len(line["sha256"]) == 64


def test_breaking_changes_are_refused_unless_accepted(torchserve: FakeTorchServe, tmp_path: Path) -> None:
    archive = with_column_renamed(tiny_archive(tmp_path, "2.0"), "workclass", "employer")
    with pytest.raises(errors.BreakingVersion, match="employer: a new"):
        run(torchserve, archive)
    assert torchserve.defaults == {"tiny": "1.0"}
    assert torchserve.calls == []  # it was not even loaded
    run(torchserve, archive, "breaking-changes")
    assert torchserve.defaults == {"tiny": "2.0"}
    refused, accepted = audit(torchserve)
    assert (refused["result"], refused["code"]) == ("refused", "breaking_changes")
    assert (accepted["result"], accepted["accepted"]) == ("success", ["breaking-changes"])
    assert accepted["breaking"]


def test_new_errors_are_refused_unless_accepted(torchserve: FakeTorchServe, tmp_path: Path) -> None:
    archive = tiny_archive(tmp_path, "2.0")
    golden: list[int] = []

    def answer(record: Any) -> Any:
        """Its golden records are reproduced when they are replayed, and refused when versions are compared."""
        golden.append(1)
        return recorded[json.dumps(record)] if len(golden) <= len(recorded) else refuse(record)

    from tests.archives import golden as golden_of

    records, answers = golden_of(archive)
    recorded = {json.dumps(record): answer for record, answer in zip(records, answers, strict=True)}
    torchserve.answers["2.0"] = answer
    with pytest.raises(errors.NewErrors, match=r"records that 1\.0 answers are errors in 2\.0 \(missing_column: 4\)"):
        run(torchserve, archive)
    assert torchserve.defaults == {"tiny": "1.0"}
    assert set(torchserve.models["tiny"]) == {"1.0"}
    golden.clear()
    deployed = run(torchserve, archive, "new-errors")
    assert torchserve.defaults == {"tiny": "2.0"}
    assert deployed.shadow is not None
    assert (deployed.shadow.broken, deployed.shadow.answered, deployed.shadow.changed) == (4, 0, 0)
    assert [(line["result"], line["new_errors"]) for line in audit(torchserve)] == [("refused", 4), ("success", 4)]


def test_a_follower_prints_whole_lines_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / FILE
    file.write_text("before\n")
    follower = Follower(file)
    with caplog.at_level(logging.WARNING), file.open("a") as appended:
        for text in ("one\ntw", "o\n", ""):
            appended.write(text)
            appended.flush()
            follower.poll()
    assert [record.getMessage() for record in caplog.records] == ["audit: one", "audit: two"]
