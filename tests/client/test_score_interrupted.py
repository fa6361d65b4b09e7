"""Interrupted runs of `score_csv`, and how the next run resumes them."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.client.models import InProcess
from tests.client.scripted import Reply, Scripted, Seen, torchserve
from tests.client.tables import ROWS, Crash, answers_to, lines, parts

from fastmar_client import (
    Client,
    CsvUnreadable,
    CsvUnwritable,
    ResumeRefused,
    Retries,
    Scored,
    ServerFailed,
    ServerUnreachable,
)
from fastmar_runtime.predictor import Predictor

pytestmark = pytest.mark.usefixtures("quick_disk")


def crash_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Crash at the step-th write or sync of the files; returns a function that counts the steps so far."""
    taken = 0

    def tick() -> bool:
        nonlocal taken
        taken += 1
        return taken == step

    class Torn(io.FileIO):
        """Writes half of the data, then crashes."""

        def write(self, data: Any) -> int:
            if tick():
                super().write(bytes(data)[: len(data) // 2])
                raise Crash
            return super().write(data) or 0

    def sync(_: int) -> None:
        if tick():
            raise Crash

    real_open = Path.open

    def opened(path: Path, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        if path.name.endswith((".part", ".journal")):
            return Torn(path, mode.replace("b", ""))
        return real_open(path, mode, *arguments, **named)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "open", opened)
    return lambda: taken


class TestInterruptions:
    def test_resumed_run_gives_the_same_file_after_a_crash_at_any_step(
        self, predictor: Predictor, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Crash at each write and each sync in turn."""
        whole = tmp_path / "whole.csv"
        Client(transport=InProcess(predictor)).score_csv("adult", table, whole, batch_size=40)
        out = tmp_path / "answers.csv"
        for step in range(1, 200):
            with monkeypatch.context() as patched:
                taken = crash_at(step, patched)
                try:
                    Client(transport=InProcess(predictor)).score_csv("adult", table, out, batch_size=40)
                except Crash:
                    assert not out.exists()
                else:
                    assert step > taken()
                    break
            resumed = InProcess(predictor)
            scored = Client(transport=resumed).score_csv("adult", table, out, batch_size=40)
            assert out.read_bytes() == whole.read_bytes(), step
            assert sum(body.count(b"\n") - 1 for body in resumed.bodies) == ROWS - scored.resumed, (
                "no row is sent twice"
            )
            assert parts(out) == ["answers.csv"]
            out.unlink()
        assert step > 20
        assert out.read_bytes() == whole.read_bytes()

    @pytest.mark.parametrize("rows", [0, 40, 120])
    def test_resumes_after_sigkill(
        self, rows: int, scripted: Scripted, table: Path, tmp_path: Path, adult_schema: Any
    ) -> None:
        """The server kills its client during the run."""
        whole, out = tmp_path / "whole.csv", tmp_path / "answers.csv"
        victims: list[int] = []

        def reply(seen: Seen) -> Reply:
            if not seen.body:
                return Reply(body=adult_schema)
            if victims and f'"rows": {rows},' in (tmp_path / "answers.csv.journal").read_text():
                os.kill(victims.pop(), signal.SIGKILL)
            return Reply(body=answers_to(seen))

        scripted.reply = reply
        with Client(scripted.url) as client:
            client.score_csv("adult", table, whole, batch_size=20)
            script = (
                "import sys; from fastmar_client import Client\n"
                "sys.stdin.readline()\n"
                "url, table, out = sys.argv[1:]\n"
                "Client(url).score_csv('adult', table, out, batch_size=20, concurrency=2)"
            )
            command = [sys.executable, "-c", script, scripted.url, str(table), str(out)]
            child = subprocess.Popen(command, stdin=subprocess.PIPE)
            victims.append(child.pid)
            child.communicate(b"\n")
            assert child.returncode == -signal.SIGKILL
            assert not out.exists()
            scored = client.score_csv("adult", table, out, batch_size=20)
        assert rows <= scored.resumed <= rows + 40
        assert out.read_bytes() == whole.read_bytes()

    def test_resumes_after_the_server_was_unreachable(self, predictor: Predictor, table: Path, out: Path) -> None:
        calls = iter(range(100))

        def fail(_: Any) -> None:
            if next(calls) == 3:
                raise ServerUnreachable("gone", fix="f")

        client = Client(transport=InProcess(predictor, before=fail), retries=Retries(attempts=1))
        with pytest.raises(ServerUnreachable):
            client.score_csv("adult", table, out, batch_size=20, concurrency=1)
        assert parts(out) == ["answers.csv.journal", "answers.csv.part"]
        assert client.score_csv("adult", table, out, batch_size=20).resumed == 60

    def test_retries_while_a_worker_restarts(
        self, scripted: Scripted, table: Path, out: Path, adult_schema: Any
    ) -> None:
        failures = [torchserve(500, "InternalServerException", "Worker died."), None, torchserve(503, "x", "no worker")]

        def reply(seen: Seen) -> Reply | None:
            if not seen.body:
                return Reply(body=adult_schema)
            return failures.pop() if failures else Reply(body=answers_to(seen))

        scripted.reply = reply
        with Client(scripted.url, retries=Retries(backoff=0.001)) as client:
            assert client.score_csv("adult", table, out, concurrency=1).errors == 0
        assert failures == []

    def test_status_429_interrupts_the_run_without_bisecting(
        self, scripted: Scripted, table: Path, out: Path, adult_schema: Any
    ) -> None:
        """As sent by a gateway, without Retry-After."""
        sizes: list[int] = []
        busy = True

        def reply(seen: Seen) -> Reply:
            if not seen.body:
                return Reply(body=adult_schema)
            answers = answers_to(seen)
            sizes.append(len(answers))
            return Reply(429, b"too many requests") if busy and len(sizes) > 1 else Reply(body=answers)

        scripted.reply = reply
        with Client(scripted.url, retries=Retries(attempts=3, backoff=0.001)) as client:
            with pytest.raises(ServerFailed) as caught:
                client.score_csv("adult", table, out, batch_size=40, concurrency=1)
            assert caught.value.status == 429
            assert len(sizes) >= 4, "one answer, and three attempts"
            assert set(sizes) == {40}, "not bisected"
            busy = False
            scored = client.score_csv("adult", table, out, batch_size=40)
        assert (scored.rows, scored.errors, scored.resumed) == (ROWS, 0, 40)

    def test_callback_may_interrupt(self, local: Client, table: Path, out: Path) -> None:
        def stop(scored: Scored) -> None:
            if scored.rows == 80:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            local.score_csv("adult", table, out, batch_size=40, progress=stop)
        reports: list[Scored] = []
        scored = local.score_csv("adult", table, out, batch_size=40, progress=reports.append)
        assert (scored.rows, scored.resumed, reports[0].rows) == (ROWS, 80, 80)
        assert 0 < reports[0].share <= 1

    def test_starts_again_without_resume(self, local: Client, in_process: InProcess, table: Path, out: Path) -> None:
        self.interrupt(local, table, out)
        in_process.bodies.clear()
        assert local.score_csv("adult", table, out, resume=False, batch_size=40).resumed == 0
        assert len(in_process.bodies) == 5
        assert len(lines(out)) == ROWS

    def test_refuses_to_resume_another_run_and_keeps_its_rows(
        self, local: Client, predictor: Predictor, table: Path, out: Path
    ) -> None:
        from dataclasses import replace

        self.interrupt(local, table, out)
        other = Predictor.__new__(Predictor)
        other.__dict__ |= predictor.__dict__ | {"spec": replace(predictor.spec, version="2.0")}

        def changed(client: Client = local, **options: Any) -> str:
            """The inputs that changed, from the message."""
            with pytest.raises(ResumeRefused) as caught:
                client.score_csv("adult", table, out, **options)
            assert caught.value.code == "run_changed"
            assert " 40 " in caught.value.message
            assert "--no-resume" in caught.value.fix
            return caught.value.message.rpartition(": ")[2].rstrip(".")

        assert changed(Client(transport=InProcess(other))) == "model"
        assert changed(columns=["prediction"]) == "columns"
        assert changed(encoding="cp1252") == "encoding"
        status = table.stat()
        text = table.read_text()
        os.utime(table, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
        assert changed() == "table"
        table.write_text(text + "1,,,,\n")
        os.utime(table, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert changed() == "table"
        table.write_text(text)
        os.utime(table, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert local.score_csv("adult", table, out, batch_size=40).resumed == 40

    def test_refuses_damaged_files(self, local: Client, table: Path, out: Path) -> None:
        self.interrupt(local, table, out)
        part, journal = out.with_name(out.name + ".part"), out.with_name(out.name + ".journal")
        whole, logged = part.read_bytes(), journal.read_bytes()
        part.write_bytes(whole[:100])
        with pytest.raises(ResumeRefused) as caught:
            local.score_csv("adult", table, out)
        assert caught.value.code == "part_truncated"
        part.write_bytes(whole)
        journal.write_bytes(b"\0" + logged)
        with pytest.raises(ResumeRefused) as caught:
            local.score_csv("adult", table, out)
        assert caught.value.code == "journal_damaged"
        assert part.read_bytes() == whole
        journal.write_bytes(logged + b"\0\0\0\n")
        assert local.score_csv("adult", table, out, batch_size=40).resumed == 40
        self.interrupt(local, table, out)
        part.write_bytes(whole + b"torn" * 100_000)
        assert local.score_csv("adult", table, out, batch_size=40).resumed == 40
        assert b"torn" not in out.read_bytes()
        self.interrupt(local, table, out)
        journal.write_bytes(b"")
        assert local.score_csv("adult", table, out).resumed == 0

    def test_refuses_a_second_run_at_the_same_time(self, local: Client, table: Path, out: Path) -> None:
        def start_another(scored: Scored) -> None:
            with pytest.raises(ResumeRefused) as caught:
                local.score_csv("adult", table, out, resume=False)
            assert caught.value.code == "run_in_progress"

        assert local.score_csv("adult", table, out, progress=start_another).rows == ROWS
        assert len(lines(out)) == ROWS

    def test_refuses_a_table_that_changes_during_the_run(self, local: Client, table: Path, out: Path) -> None:
        def grow(scored: Scored) -> None:
            if scored.rows == ROWS:
                with table.open("a") as file:
                    file.write("1,,,,\n")

        with pytest.raises(CsvUnreadable) as caught:
            local.score_csv("adult", table, out, progress=grow)
        assert caught.value.code == "table_changed"
        assert not out.exists()

    def test_full_disk_keeps_the_written_rows(
        self, local: Client, table: Path, out: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = iter(range(100))

        def full(_: int) -> None:
            if next(calls) == 5:
                raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(CsvUnwritable) as caught:
                local.score_csv("adult", table, out, batch_size=40)
            assert "No space left on device" in caught.value.message
        assert local.score_csv("adult", table, out, batch_size=40).resumed == 40
        assert len(lines(out)) == ROWS

    def interrupt(self, client: Client, table: Path, out: Path) -> None:
        def stop(scored: Scored) -> None:
            if scored.rows == 40:
                raise Crash

        with pytest.raises(Crash):
            client.score_csv("adult", table, out, batch_size=40, progress=stop)
