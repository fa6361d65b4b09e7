"""`fastmar score`, and formats of `fastmar predict`, with an archive and with a server."""

# ruff: noqa: F811 - fixtures are imported, and named again as arguments

from __future__ import annotations

import base64
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastmar_bulk import part_folders, parts
from fastmar_cli.main import main
from fastmar_runtime import payload
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.schema import describe
from fastmar_serving.testing import RunningServer
from tests.client.conftest import adult, colours, predictor, scripted  # noqa: F401 - fixtures
from tests.client.models import people
from tests.client.scripted import Reply, Scripted, Seen
from tests.engines import FAST
from tests.pictures import file_of, picture

COMMAND = [sys.executable, "-m", "fastmar_cli.main", "score"]
ROWS = 300


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    people(ROWS).drop(columns="salary").to_csv(path, index_label="id")
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.csv"


@pytest.fixture
def url(predictor: Predictor, scripted: Scripted) -> str:
    """The URL of a scripted server with the answers of `adult`."""
    scripted.reply = lambda seen: reply_of(predictor, seen)
    return f"{scripted.url}/predictions/adult"


def reply_of(predictor: Predictor, seen: Seen) -> Reply:
    if not seen.body:
        return Reply(body=describe(predictor.spec))
    request = payload.read(seen.body, seen.headers["content-type"], predictor.spec)
    response = payload.write(request, predictor.predict(request.records), predictor.spec)
    return Reply(response.status, response.body, {"Content-Type": response.content_type})


def count_predictions(scripted: Scripted) -> int:
    """Number of prediction requests so far."""
    return sum(len(seen.body) > 0 for seen in scripted.seen)


def kept_rows(printed: str) -> list[int]:
    """The numbers of rows that an interrupted run reports as kept."""
    return [int(number.replace(",", "")) for number in re.findall(r"([\d,]+) rows are kept", " ".join(printed.split()))]


class TestScore:
    def test_archive_and_server_give_the_same_output(
        self,
        adult: Path,
        url: str,
        table: Path,
        out: Path,
        capsys: Any,
    ) -> None:
        other = out.with_name("other.csv")
        assert main(["score", str(adult), str(table), "-o", str(out)]) == 0
        printed = capsys.readouterr()
        assert re.fullmatch(rf"Written: {re.escape(str(out))} \(300 rows; [\d,]+ rows/s\)\n", printed.out)
        note = f"Note: {table}: adult does not use the column 'id'.\n"
        assert printed.err == note, "no progress bar outside of a terminal"
        assert main(["score", url, str(table), "-o", str(other)]) == 0
        assert capsys.readouterr().err == note
        assert out.read_bytes() == other.read_bytes()
        assert len(out.read_text().splitlines()) == ROWS + 1

    def test_columns(self, adult: Path, table: Path, out: Path, capsys: Any) -> None:
        columns = "id, prediction,error"
        assert main(["score", str(adult), str(table), "--output", str(out), "--columns", columns]) == 0
        assert out.read_text().splitlines()[0] == "id,prediction,error"
        assert main(["score", str(adult), str(table), "-o", str(out), "--columns", "nonsense", "--force"]) == 1
        assert "'nonsense'" in capsys.readouterr().err

    def test_rows_with_errors_are_counted_and_exit_with_1(
        self,
        adult: Path,
        table: Path,
        out: Path,
        capsys: Any,
    ) -> None:
        table.write_text(table.read_text() + "300, Private, Masters,old,40\n301,Private, Masters,40,40\n")
        assert main(["score", str(adult), str(table), "-o", str(out)]) == 1
        counts = [
            int(number) for number in re.findall(r"(\d+) (?:rows,|not scored|with warnings)", capsys.readouterr().out)
        ]
        assert counts == [302, 1, 1]

    def test_file_of_separate_errors_is_named(self, adult: Path, table: Path, out: Path, capsys: Any) -> None:
        table.write_text(table.read_text() + "300, Private, Masters,old,40\n")
        assert main(["score", str(adult), str(table), "-o", str(out), "--errors", "separate"]) == 1
        assert f"(300 rows, 1 not scored (see {out.with_suffix('.errors.csv')});" in capsys.readouterr().out

    def test_no_row_could_be_scored(self, adult: Path, table: Path, out: Path, capsys: Any) -> None:
        table.write_text("workclass,education,age,hours-per-week\n" + " Private, Masters,'40,5',40\n" * 2)
        assert main(["score", str(adult), str(table), "-o", str(out)]) == 1
        assert re.search(r"2 rows, none scored", capsys.readouterr().out)
        assert len(out.read_text().splitlines()) == 3

    def test_errors_have_the_class_and_the_code(self, adult: Path, table: Path, out: Path, capsys: Any) -> None:
        table.write_text("workclass,education\na,b\n")
        assert main(["score", str(adult), str(table), "-o", str(out)]) == 1
        first, *_ = capsys.readouterr().err.splitlines()
        assert first.startswith("CsvUnreadable: ")
        assert first.endswith("[missing_column]")
        url = "http://127.0.0.1:9/predictions/adult"
        assert main(["score", url, str(table), "-o", str(out)]) == 1
        first, *_ = capsys.readouterr().err.splitlines()
        assert first.startswith("ServerUnreachable: ")
        assert not first.endswith("]"), "the code is that of the class"

    def test_existing_file_is_refused_without_force(self, adult: Path, table: Path, out: Path, capsys: Any) -> None:
        out.write_text("precious")
        assert main(["score", str(adult), str(table), "-o", str(out)]) == 1
        assert "--force" in capsys.readouterr().err
        assert out.read_text() == "precious"
        assert main(["score", str(adult), str(table), "-o", str(out), "--force"]) == 0
        assert len(out.read_text().splitlines()) == ROWS + 1

    def test_table_without_rows_exits_with_1(self, adult: Path, table: Path, out: Path, capsys: Any) -> None:
        table.write_text("workclass,education,age,hours-per-week\n")
        assert main(["score", str(adult), str(table), "-o", str(out)]) == 1
        assert str(table) in capsys.readouterr().err
        assert not out.exists()

    def test_pictures(self, colours: Path, tmp_path: Path, out: Path, capsys: Any) -> None:
        folder = tmp_path / "photos"
        folder.mkdir()
        for number in range(3):
            (folder / f"{number}.jpg").write_bytes(file_of(picture("red", number)))
        (folder / "broken.jpg").write_bytes(b"")
        assert main(["score", str(colours), str(folder), "-o", str(out)]) == 1
        assert "4 rows, 1 not scored" in capsys.readouterr().out
        header, *lines = out.read_text().splitlines()
        assert header == "path,prediction,probability,warnings,error"
        assert [line.split(",")[0] for line in lines] == [f"{folder}/{name}.jpg" for name in (0, 1, 2, "broken")]

    def test_id_is_keep(self, adult: Path, colours: Path, table: Path, tmp_path: Path, out: Path, capsys: Any) -> None:
        assert main(["score", str(adult), str(table), "-o", str(out), "--id", "id"]) == 0
        by_id = out.read_bytes()
        assert main(["score", str(adult), str(table), "-o", str(out), "--keep", "id", "--force"]) == 0
        assert by_id == out.read_bytes()
        assert by_id.startswith(b"id,prediction,")
        assert main(["score", str(adult), str(table), "-o", str(out), "--text", "id", "--force"]) == 1
        assert "by their names" in capsys.readouterr().err
        (tmp_path / "files.csv").write_text("id,file\n1,none.jpg\n")
        assert main(["score", str(colours), str(tmp_path / "files.csv"), "-o", str(out), "--force"]) == 1
        assert "--image" in capsys.readouterr().err

    def test_keys(self, url: str, scripted: Scripted, table: Path, out: Path, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("abc\n")
        (tmp_path / "key_file.json").write_text('{"inference": {"key": "def"}}')
        for option, file, key in (("--token-file", "token", "abc"), ("--key-file", "key_file.json", "def")):
            assert main(["score", url, str(table), "-o", str(out), "--force", option, str(tmp_path / file)]) == 0
            assert scripted.seen[-1].headers["authorization"] == f"Bearer {key}"

    def test_bad_usage(self, adult: Path, table: Path, out: Path, capsys: Any) -> None:
        with pytest.raises(SystemExit) as end:
            main(["score", str(adult), str(table)])
        assert end.value.code == 2
        for arguments in ([str(adult), "none.csv"], ["none.mar", str(table)], ["http://127.0.0.1:9", str(table)]):
            capsys.readouterr()
            assert main(["score", *arguments, "-o", str(out)]) == 1
            assert "Fix: " in capsys.readouterr().err

    @pytest.mark.parametrize(("table_name", "out_name"), [("a.csv", "b.parquet"), ("a.parquet", "b.csv")])
    def test_a_server_reads_and_answers_csv(self, tmp_path: Path, table_name: str, out_name: str, capsys: Any) -> None:
        (tmp_path / table_name).write_bytes(b"PAR1")
        url = "http://127.0.0.1:9/predictions/adult"
        with pytest.raises(SystemExit) as exited:
            main(["score", url, str(tmp_path / table_name), "-o", str(tmp_path / out_name)])
        assert exited.value.code == 2
        assert "is not CSV" in capsys.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == [table_name]

    def test_archive_does_not_require_requests(self, adult: Path, table: Path, out: Path) -> None:
        blocked = (
            "import sys; sys.modules['requests'] = None\n"
            "from fastmar_cli.main import main; sys.exit(main(sys.argv[1:]))"
        )
        command = [sys.executable, "-c", blocked, "score"]
        subprocess.run([*command, str(adult), str(table), "-o", str(out)], check=True)
        served = "http://127.0.0.1:9/predictions/m"
        done = subprocess.run([*command, served, str(table), "-o", str(out)], stderr=subprocess.PIPE, check=False)
        assert done.returncode == 1
        assert b"ClientMissing: requests" in done.stderr
        assert b"pip install 'fastmar[client]'" in done.stderr


class TestInterruptions:
    @pytest.mark.parametrize("sync", range(1, 5))
    @pytest.mark.parametrize("options", [[], ["--no-resume"]], ids=["resume", "no-resume"])
    def test_interrupted_run_prints_how_many_rows_are_kept(
        self,
        adult: Path,
        table: Path,
        out: Path,
        capsys: Any,
        monkeypatch: pytest.MonkeyPatch,
        sync: int,
        options: list[str],
    ) -> None:
        """Syncs: 1 for the description of the run, then 1 for each chunk."""
        people(5000).drop(columns="salary").to_csv(table, index_label="id")
        synced = 0

        def interrupted(_: int) -> None:
            nonlocal synced
            synced += 1
            if synced >= sync:
                raise KeyboardInterrupt

        command = ["score", str(adult), str(table), "-o", str(out), "--workers", "1", "--batch-size", "1000"]
        with monkeypatch.context() as patched:
            patched.setattr(part_folders.os, "fsync", interrupted)
            assert main([*command, *options]) == 130
        printed = capsys.readouterr().err
        kept = parts.rows_kept(str(out))
        assert bool(kept) == (sync > 2)
        assert kept_rows(printed) == ([kept] if kept else [])
        assert ("--no-resume" in printed) == bool(kept and options)
        assert main(command) == 0
        assert (f"{kept:,} rows" in capsys.readouterr().err) == bool(kept)

    def test_ctrl_c_keeps_the_scored_rows(
        self,
        url: str,
        adult: Path,
        scripted: Scripted,
        predictor: Predictor,
        table: Path,
        tmp_path: Path,
        out: Path,
    ) -> None:
        people(5000).drop(columns="salary").to_csv(table, index_label="id")
        assert main(["score", str(adult), str(table), "-o", str(tmp_path / "whole.csv")]) == 0
        victims: list[int] = []
        client_exited = threading.Event()

        def reply(seen: Seen) -> Reply:
            if victims and count_predictions(scripted) == 4:
                os.kill(victims[0], signal.SIGINT)
            if victims and count_predictions(scripted) >= 4:
                client_exited.wait(60)  # hang; the client must not wait
            return reply_of(predictor, seen)

        scripted.reply = reply
        command = [*COMMAND, url, str(table), "-o", str(out), "--concurrency", "1"]
        child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        victims.append(child.pid)
        _, errors = child.communicate(timeout=50)
        client_exited.set()
        assert child.returncode == 130
        [kept] = kept_rows(errors)
        assert "Traceback" not in errors
        assert not out.exists()
        victims.clear()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert f"{kept:,} rows" in done.stderr
        assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()

    def test_changed_table_is_not_to_be_resumed(
        self, url: str, scripted: Scripted, predictor: Predictor, table: Path, out: Path, capsys: Any
    ) -> None:
        def reply(seen: Seen) -> Reply:
            if seen.body:
                with table.open("a") as file:
                    file.write("\n")
            return reply_of(predictor, seen)

        scripted.reply = reply
        assert main(["score", url, str(table), "-o", str(out)]) == 1
        printed = capsys.readouterr().err
        assert "--no-resume" in printed
        assert kept_rows(printed) == [], "the same command would be refused"

    def test_failing_server_is_one_error_and_keeps_the_scored_rows(
        self,
        url: str,
        scripted: Scripted,
        predictor: Predictor,
        table: Path,
        out: Path,
        capsys: Any,
    ) -> None:
        people(5000).drop(columns="salary").to_csv(table, index_label="id")
        scripted.reply = lambda seen: (
            None if sum(len(s.body) > 0 for s in scripted.seen) > 3 else reply_of(predictor, seen)
        )
        assert main(["score", url, str(table), "-o", str(out), "--concurrency", "1"]) == 1
        printed = capsys.readouterr().err
        [kept] = kept_rows(printed)
        assert kept in (1000, 2000, 3000)
        assert scripted.url in printed
        scripted.reply = lambda seen: reply_of(predictor, seen)
        with table.open("a") as file:
            file.write("x,,,,\n")
        assert main(["score", url, str(table), "-o", str(out)]) == 1
        printed = capsys.readouterr().err
        assert "--no-resume" in printed
        assert kept_rows(printed) == [], "the same command would be refused"
        assert main(["score", url, str(table), "-o", str(out), "--no-resume"]) == 1
        assert len(out.read_text().splitlines()) == 5002

    def test_terminal_has_a_progress_bar(self, adult: Path, table: Path, out: Path) -> None:
        people(20_000).drop(columns="salary").to_csv(table, index_label="id")
        controller, terminal = pty.openpty()
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
        with subprocess.Popen([*COMMAND, str(adult), str(table), "-o", str(out)], stderr=terminal, env=environment):
            os.close(terminal)
            printed = b""
            while chunk := read(controller):
                printed += chunk
        os.close(controller)
        assert re.search(rb"[\d,]+ rows, [\d,]+ rows/s.*left", printed)


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # on Linux, the other side is closed
        return b""


class TestPredictWithBothTargets:
    """An archive and a server give the same answers to a file."""

    record = '{"age": 40, "workclass": " Private", "education": " Masters", "hours-per-week": 40}'
    good = json.loads(record)

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("one.json", record),
            ("list.json", f"[{record}, {record}]"),
            ("mixed.json", f'[{record}, 3, "x", null, [], {{"age": 1}}]'),
            ("file.json", '["/etc/hostname"]'),
            ("instances.json", f'{{"instances": [{record}, {{"age": 1}}]}}'),
            (
                "v2.json",
                json.dumps(
                    {
                        "inputs": [
                            {
                                "name": name,
                                "shape": [2],
                                "datatype": "BYTES" if isinstance(value, str) else "INT64",
                                "data": [value, value],
                            }
                            for name, value in good.items()
                        ]
                    }
                ),
            ),
            ("lines.jsonl", f"{record}\n\n{{broken\n{record}\n"),
            ("comma.csv", "age,workclass,education,hours-per-week\n40, Private, Masters,40\n"),
            ("semicolon.csv", "age;workclass;education;hours-per-week\n40; Private; Masters;40\n\n41;x; Masters;40\n"),
            ("tab.tsv", "age\tworkclass\teducation\thours-per-week\n40\t Private\t Masters\t40\n"),
            ("spoilt.csv", 'age,workclass,education,hours-per-week,more\n1,2\n"4"0,a,b,c,d\nold,a,b,1,e\n40,,,4,\n'),
            ("short.csv", "age,color\n1,red\n"),
        ],
    )
    def test_answers(self, adult: Path, url: str, tmp_path: Path, name: str, content: str, capsys: Any) -> None:
        (tmp_path / name).write_text(content)
        printed = []
        for target in (str(adult), url):
            status = main(["predict", target, str(tmp_path / name), "--json"])
            printed.append((status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]))
        assert printed[0] == printed[1]
        status, answers = printed[0]
        assert answers
        assert status == any("error" in answer for answer in answers)
        assert [answer["error"]["record"] for answer in answers if "error" in answer] == [
            place for place, answer in enumerate(answers) if "error" in answer
        ]

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("bad.json", "{"),
            ("bad.json", '{"instances": 3}'),
            ("bad.json", '{"inputs": [{"name": "age", "data": [1]}, {"name": "x", "data": []}]}'),
            ("bad.csv", "a,b\n1,2\n"),
            ("bad.csv", "age,age\n1,2\n"),
        ],
    )
    def test_refusals(self, adult: Path, url: str, tmp_path: Path, name: str, content: str, capsys: Any) -> None:
        (tmp_path / name).write_text(content)
        printed = []
        for target in (str(adult), url):
            assert main(["predict", target, str(tmp_path / name), "--json"]) == 1
            printed.append(capsys.readouterr())
        assert printed[0] == printed[1]
        assert (printed[0].out, "Fix: " in printed[0].err) == ("", True)


@pytest.fixture(scope="module")
def served(adult: Path, colours: Path) -> Iterator[RunningServer]:
    with FAST.serve(adult.parent, "--token") as running:
        yield running


@pytest.mark.asgi
class TestServed:
    def test_score(self, served: RunningServer, adult: Path, table: Path, out: Path, capsys: Any) -> None:
        people(3000).drop(columns="salary").to_csv(table, index_label="id")
        arguments = [str(table), "-o", str(out)]
        url = f"{served.url}/predictions/adult"
        assert main(["score", url, *arguments]) == 1
        assert " key" in capsys.readouterr().err
        assert main(["score", url, *arguments, "--key-file", str(served.key_file)]) == 0
        by_server = out.read_bytes()
        assert main(["score", str(adult), *arguments, "--force"]) == 0
        assert out.read_bytes() == by_server
        assert main(["score", f"{url}/9.9", *arguments, "--key-file", str(served.key_file), "--force"]) == 1
        assert "version" in capsys.readouterr().err

    def test_predict_and_pictures(self, served: RunningServer, colours: Path, tmp_path: Path, capsys: Any) -> None:
        data = file_of(picture("red", 1))
        record = {"name": "mine", "image": {"b64": base64.b64encode(data).decode()}}
        (tmp_path / "in.json").write_text(json.dumps({"instances": [record, base64.b64encode(data).decode()]}))
        printed = []
        for target in (str(colours), f"{served.url}/predictions/colours"):
            arguments = [target, str(tmp_path / "in.json"), "--json", "--key-file", str(served.key_file)]
            assert main(["predict", *arguments]) == 0
            printed.append([json.loads(line) for line in capsys.readouterr().out.splitlines()])
        assert printed[0] == printed[1]
        assert [answer.get("name") for answer in printed[0]] == ["mine", None]
        assert main(["score", f"{served.url}/predictions/colours", __file__, "-o", str(tmp_path / "out.csv")]) == 1
