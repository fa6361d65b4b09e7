"""The audit log: one line for each action and its result, and the server's log that copies new lines."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from tests.engines.calls import wait_for
from tests.serving.rollout.fakes import FakeTorchServe
from tests.serving.rollout.test_checks import renamed_label

from fastmar_client.errors import ServerUnreachable
from fastmar_runtime.logs import JsonFormatter
from fastmar_serving import audit
from fastmar_serving.audit import FILE, Follower, follow
from fastmar_serving.errors import ArchiveRefused
from fastmar_serving.rollout import errors
from fastmar_serving.rollout.audit import audit_entry, caller
from fastmar_serving.rollout.deploy import DeployOptions, DeployResult, deploy
from fastmar_serving.rollout.rollback import roll_back
from fastmar_serving.rollout.server import Server
from fastmar_serving.rollout.unloading import unload_named


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def summary(line: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(line.get(key) for key in ("action", "model", "from", "to", "result", "code"))


def run(server: Server, archive: Path, **options: Any) -> None:
    deploy(server, DeployOptions(archive, **options), DeployResult(), lambda _: None)


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastmar_serving.rollout.unloading.IDLE_FOR", 0.02)
    monkeypatch.setattr("fastmar_serving.rollout.unloading.POLL", 0.005)
    monkeypatch.setattr(audit, "POLL", 0.01)


def test_records_success_of_deploy_rollback_and_unload(torchserve: FakeTorchServe, second: Path) -> None:
    server = torchserve.serve()
    run(server, second)
    roll_back(server, "tiny", None, timeout=1, show=lambda _: None)
    unload_named(server, "tiny", "2.0", lambda _: None)
    found = lines(torchserve.store)
    assert [summary(line) for line in found] == [
        ("deploy", "tiny", "1.0", "2.0", "success", None),
        ("rollback", "tiny", "2.0", "1.0", "success", None),
        ("unload", "tiny", "2.0", None, "success", None),
    ]
    assert found[0]["who"]["pid"] == os.getpid()
    assert set(found[0]["who"]) >= {"user", "host", "pid", "folder"}
    assert found[0]["time"].endswith("Z")
    assert (found[0]["archive"], len(found[0]["sha256"])) == (str(second), 64)
    assert (found[0]["compared"], found[0]["changed"], found[0]["accepted"]) == (4, 4, [])


def test_a_lost_connection_is_a_failure(torchserve: FakeTorchServe) -> None:
    with pytest.raises(ServerUnreachable), audit_entry(torchserve.serve(), "deploy"):
        raise ServerUnreachable("the connection broke.", fix="try again.")
    [line] = lines(torchserve.store)
    assert (line["result"], line["code"]) == ("failed", "server_unreachable")


def test_records_refusals(torchserve: FakeTorchServe, second: Path, tmp_path: Path) -> None:
    server = torchserve.serve()
    with pytest.raises(errors.AnswersChanged):
        run(server, second, max_changed=0.1)
    with pytest.raises(errors.BreakingVersion):
        run(server, renamed_label(second))
    (tmp_path / "torn.mar").write_bytes(second.read_bytes()[:-200])
    with pytest.raises(ArchiveRefused):
        run(server, tmp_path / "torn.mar")
    with pytest.raises(errors.NoVersion):
        roll_back(server, "tiny", "7", timeout=1, show=lambda _: None)
    with pytest.raises(errors.VersionInUse):
        unload_named(server, "tiny", "1.0", lambda _: None)
    found = lines(torchserve.store)
    assert [summary(line) for line in found] == [
        ("deploy", "tiny", "1.0", "2.0", "refused", "answers_changed"),
        ("deploy", "tiny", "1.0", "2.0", "refused", "breaking_changes"),
        ("deploy", None, None, None, "refused", "archive_refused"),
        ("rollback", "tiny", "1.0", "7", "refused", "no_version"),
        ("unload", "tiny", "1.0", None, "refused", "version_is_default"),
    ]
    assert found[1]["breaking"] == ["labels"]
    assert "labels" in found[1]["reason"]


def test_records_failures_and_interruptions(torchserve: FakeTorchServe, second: Path) -> None:
    def fails(call: str) -> None:
        if call == "set_default 2.0":
            raise problem

    torchserve.before = fails
    for problem in (errors.ManagementFailed("no answer", fix="-"), KeyboardInterrupt()):
        with pytest.raises(type(problem)):
            run(torchserve.serve(), second)
    assert [summary(line)[3:] for line in lines(torchserve.store)] == [
        ("2.0", "failed", "management_failed"),
        ("2.0", "failed", "interrupted"),
    ]


def test_records_accepted_checks(torchserve: FakeTorchServe, second: Path) -> None:
    run(torchserve.serve(), renamed_label(second), accepted=frozenset({"breaking-changes"}))
    [line] = lines(torchserve.store)
    assert (line["result"], line["accepted"], line["breaking"]) == ("success", ["breaking-changes"], ["labels"])


def test_state_directory_has_the_log_and_the_defaults(torchserve: FakeTorchServe, second: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    server = Server("http://127.0.0.1:8080", torchserve, torchserve, torchserve.store, None, state)  # type: ignore[arg-type]
    run(server, second)
    assert sorted(path.name for path in state.iterdir()) == [FILE, "defaults.json"]
    assert sorted(path.name for path in torchserve.store.iterdir()) == ["tiny-1.0.mar", "tiny-2.0.mar"]
    assert roll_back(server, "tiny", None, timeout=1, show=lambda _: None).version == "1.0"


def test_writes_to_the_run_directory_if_the_store_is_not_writable(
    torchserve: FakeTorchServe, second: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (torchserve.store / FILE).mkdir()  # not even root can write to it
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    run(torchserve.serve(run_dir), second)
    assert [line["result"] for line in lines(run_dir)] == ["success"]
    assert "audit" not in capsys.readouterr().err


def test_warns_if_no_log_is_writable(
    torchserve: FakeTorchServe, second: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (torchserve.store / FILE).mkdir()
    run(torchserve.serve(), second)
    warning = capsys.readouterr().err
    assert "audit log" in warning
    assert FILE in warning
    assert torchserve.defaults == {"tiny": "2.0"}


def test_a_symbolic_link_is_not_followed(
    torchserve: FakeTorchServe, second: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "victim").write_text("keep")
    (torchserve.store / FILE).symlink_to(tmp_path / "victim")
    run(torchserve.serve(), second)
    assert (tmp_path / "victim").read_text() == "keep"
    assert "audit log" in capsys.readouterr().err


def test_caller_names_sudo_user_and_ssh_address() -> None:
    who = caller({"SUDO_USER": "ann", "SSH_CONNECTION": "10.0.0.5 50000 10.0.0.9 22"})
    assert (who["sudo_user"], who["ssh_from"]) == ("ann", "10.0.0.5")
    assert not {"sudo_user", "ssh_from"} & set(caller({}))


class TestServerLog:
    @pytest.fixture
    def file(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Path:
        caplog.set_level(logging.INFO)
        (tmp_path / FILE).write_text("before the start\n")
        return tmp_path / FILE

    def test_new_lines_are_printed_once_and_complete(self, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        follower = Follower(file)
        with file.open("a") as more:
            for text, printed in [("one\ntw", ["one"]), ("o\n", ["one", "two"]), ("", ["one", "two"])]:
                more.write(text)
                more.flush()
                follower.poll()
                assert [record.message for record in caplog.records] == [f"audit: {each}" for each in printed]

    def test_a_rotated_file_is_read_from_its_beginning(self, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        follower = Follower(file)
        file.unlink()
        follower.poll()
        file.write_text("new\n")
        follower.poll()
        assert [record.message for record in caplog.records] == ["audit: new"]

    def test_control_characters_do_not_reach_the_terminal(self, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        follower = Follower(file)
        with file.open("a") as more:
            more.write("a\x1b[2Jb\n")
        follower.poll()
        assert [record.message for record in caplog.records] == ["audit: a?[2Jb"]

    def test_an_entry_is_a_member_of_a_line_in_json(self, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        entry = {"time": "2026-03-01T10:00:00.000Z", "action": "deploy", "result": "success", "model": "tiny"}
        follower = Follower(file)
        with file.open("a") as more:
            more.write(json.dumps(entry) + "\nnot JSON\n[1]\n")
        follower.poll()
        lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
        assert lines[0]["audit"] == entry
        assert [line["message"] for line in lines] == ["audit: deploy tiny: success", "audit: not JSON", "audit: [1]"]
        assert {line["level"] for line in lines} == {"INFO"}

    def test_new_lines_are_printed_while_the_server_runs(self, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        with follow([file, file.with_name("none")]), file.open("a") as more:
            more.write("one\n")
            more.flush()
            wait_for(lambda: caplog.records)
            assert [record.message for record in caplog.records] == ["audit: one"]
