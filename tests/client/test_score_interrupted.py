"""Runs of `score_csv` that are interrupted, and what the next run makes of what they left."""

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
    """Crash before or in the middle of the step-th write or sync of the files; the value counts the steps taken."""
    taken = 0

    def tick() -> bool:
        nonlocal taken
        taken += 1
        return taken == step

    class Torn(io.FileIO):
        """Lets half of what is written reach the file, and crashes then."""

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
    def test_wherever_it_ends_it_goes_on_to_the_same_file(
        self, predictor: Predictor, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each step of each write is the last one in turn."""
        whole = tmp_path / "whole.csv"
        Client(sender=InProcess(predictor)).score_csv("adult", table, whole, batch_size=40)
        out = tmp_path / "answers.csv"
        for step in range(1, 200):
            with monkeypatch.context() as patched:
                taken = crash_at(step, patched)
                try:
                    Client(sender=InProcess(predictor)).score_csv("adult", table, out, batch_size=40)
                except Crash:
                    assert not out.exists()
                else:
                    assert step > taken()
                    break
            again = InProcess(predictor)
            scored = Client(sender=again).score_csv("adult", table, out, batch_size=40)
            assert out.read_bytes() == whole.read_bytes(), step
            assert sum(body.count(b"\n") - 1 for body in again.bodies) == ROWS - scored.resumed, "none is asked twice"
            assert parts(out) == ["answers.csv"]
            out.unlink()
        assert step > 20
        assert out.read_bytes() == whole.read_bytes()

    @pytest.mark.parametrize("rows", [0, 40, 120])
    def test_killed_for_real(
        self, rows: int, scripted: Scripted, table: Path, tmp_path: Path, adult_schema: Any
    ) -> None:
        """The server kills its client on the way."""
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

    def test_a_server_that_goes_away(self, predictor: Predictor, table: Path, out: Path) -> None:
        calls = iter(range(100))

        def fail(_: Any) -> None:
            if next(calls) == 3:
                raise ServerUnreachable("gone", fix="f")

        client = Client(sender=InProcess(predictor, before=fail), retries=Retries(attempts=1))
        with pytest.raises(ServerUnreachable):
            client.score_csv("adult", table, out, batch_size=20, concurrency=1)
        assert parts(out) == ["answers.csv.journal", "answers.csv.part"]
        assert client.score_csv("adult", table, out, batch_size=20).resumed == 60

    def test_a_worker_that_dies_and_comes_back_is_waited_for(
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

    def test_requests_that_are_too_many_end_it_and_it_can_be_gone_on_with(
        self, scripted: Scripted, table: Path, out: Path, adult_schema: Any
    ) -> None:
        """As a gateway says it, without a word on when to come again."""
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
            with pytest.raises(ServerFailed, match="too many requests"):
                client.score_csv("adult", table, out, batch_size=40, concurrency=1)
            assert len(sizes) >= 4, "one that is answered, and three tries"
            assert set(sizes) == {40}, "no halves"
            busy = False
            scored = client.score_csv("adult", table, out, batch_size=40)
        assert (scored.rows, scored.errors, scored.resumed) == (ROWS, 0, 40)

    def test_a_callback_may_end_it(self, local: Client, table: Path, out: Path) -> None:
        def stop(scored: Scored) -> None:
            if scored.rows == 80:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            local.score_csv("adult", table, out, batch_size=40, progress=stop)
        seen: list[Scored] = []
        scored = local.score_csv("adult", table, out, batch_size=40, progress=seen.append)
        assert (scored.rows, scored.resumed, seen[0].rows) == (ROWS, 80, 80)
        assert 0 < seen[0].share <= 1

    def test_anew_where_asked(self, local: Client, in_process: InProcess, table: Path, out: Path) -> None:
        self.interrupt(local, table, out)
        in_process.bodies.clear()
        assert local.score_csv("adult", table, out, resume=False, batch_size=40).resumed == 0
        assert len(in_process.bodies) == 5
        assert len(lines(out)) == ROWS

    def test_another_table_model_or_choice_is_refused_and_nothing_is_lost(
        self, local: Client, predictor: Predictor, table: Path, out: Path
    ) -> None:
        from dataclasses import replace

        self.interrupt(local, table, out)
        other = Predictor.__new__(Predictor)
        other.__dict__ |= predictor.__dict__ | {"spec": replace(predictor.spec, version="2.0")}
        with pytest.raises(ResumeRefused, match=r"holds 40 rows .* the model changed"):
            Client(sender=InProcess(other)).score_csv("adult", table, out)
        with pytest.raises(ResumeRefused, match="the choice of columns changed"):
            local.score_csv("adult", table, out, columns=["prediction"])
        with pytest.raises(ResumeRefused, match="the encoding changed"):
            local.score_csv("adult", table, out, encoding="cp1252")
        about = table.stat()
        text = table.read_text()
        os.utime(table, ns=(about.st_atime_ns, about.st_mtime_ns + 1))
        with pytest.raises(ResumeRefused, match="the table changed") as refusal:
            local.score_csv("adult", table, out)
        assert "no-resume" in refusal.value.fix
        table.write_text(text + "1,,,,\n")
        os.utime(table, ns=(about.st_atime_ns, about.st_mtime_ns))
        with pytest.raises(ResumeRefused, match="the table changed"):
            local.score_csv("adult", table, out)
        table.write_text(text)
        os.utime(table, ns=(about.st_atime_ns, about.st_mtime_ns))
        assert local.score_csv("adult", table, out, batch_size=40).resumed == 40

    def test_damage_is_refused(self, local: Client, table: Path, out: Path) -> None:
        self.interrupt(local, table, out)
        part, notes = out.with_name(out.name + ".part"), out.with_name(out.name + ".journal")
        whole, noted = part.read_bytes(), notes.read_bytes()
        part.write_bytes(whole[:100])
        with pytest.raises(ResumeRefused, match="cut short"):
            local.score_csv("adult", table, out)
        part.write_bytes(whole)
        notes.write_bytes(b"\0" + noted)
        with pytest.raises(ResumeRefused, match="damaged"):
            local.score_csv("adult", table, out)
        assert part.read_bytes() == whole
        notes.write_bytes(noted + b"\0\0\0\n")
        assert local.score_csv("adult", table, out, batch_size=40).resumed == 40
        self.interrupt(local, table, out)
        part.write_bytes(whole + b"torn" * 100_000)
        assert local.score_csv("adult", table, out, batch_size=40).resumed == 40
        assert b"torn" not in out.read_bytes()
        self.interrupt(local, table, out)
        notes.write_bytes(b"")
        assert local.score_csv("adult", table, out).resumed == 0

    def test_two_at_a_time_are_one_too_many(self, local: Client, table: Path, out: Path) -> None:
        def another(scored: Scored) -> None:
            with pytest.raises(ResumeRefused, match="another run"):
                local.score_csv("adult", table, out, resume=False)

        assert local.score_csv("adult", table, out, progress=another).rows == ROWS
        assert len(lines(out)) == ROWS

    def test_a_table_that_grows_meanwhile_is_refused(self, local: Client, table: Path, out: Path) -> None:
        def grow(scored: Scored) -> None:
            if scored.rows == ROWS:
                with table.open("a") as file:
                    file.write("1,,,,\n")

        with pytest.raises(CsvUnreadable, match="changed while it was being scored"):
            local.score_csv("adult", table, out, progress=grow)
        assert not out.exists()

    def test_a_full_disk_is_said_and_what_was_written_stays(
        self, local: Client, table: Path, out: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = iter(range(100))

        def full(_: int) -> None:
            if next(calls) == 5:
                raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(CsvUnwritable, match="No space left on device"):
                local.score_csv("adult", table, out, batch_size=40)
        assert local.score_csv("adult", table, out, batch_size=40).resumed == 40
        assert len(lines(out)) == ROWS

    def interrupt(self, client: Client, table: Path, out: Path) -> None:
        def stop(scored: Scored) -> None:
            if scored.rows == 40:
                raise Crash

        with pytest.raises(Crash):
            client.score_csv("adult", table, out, batch_size=40, progress=stop)
