"""A table to a file of answers: every row once, in its place, whatever happens on the way."""

from __future__ import annotations

import csv
import json
import os
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.client.models import InProcess, people
from tests.client.scripted import Reply, Scripted
from tests.client.tables import ROWS, Crash, answers_to, lines, parts, write_table

from fastmar_client import (
    Client,
    CsvUnreadable,
    CsvUnwritable,
    Scored,
    ServerFailed,
    sender,
)
from fastmar_runtime.predictor import Predictor

pytestmark = pytest.mark.usefixtures("quick_disk")


class TestAnswers:
    def test_each_row_has_the_answer_that_it_has_alone(self, local: Client, table: Path, out: Path) -> None:
        seen: list[Scored] = []
        scored = local.score_csv("adult", table, out, batch_size=30, progress=seen.append)
        assert scored == Scored(ROWS, 0, 0, 0, 1.0)
        frame = people(ROWS).drop(columns="salary")
        answers = local.predict("adult", frame)
        assert [line["id"] for line in lines(out)] == [str(number) for number in range(ROWS)]
        assert [line["prediction"] for line in lines(out)] == [answer["prediction"] for answer in answers]
        assert [float(line["probability"]) for line in lines(out)] == [
            max(a["probabilities"].values()) for a in answers
        ]
        assert [so_far.rows for so_far in seen] == [0, 30, 60, 90, 120, 150, 180, 200]
        assert [so_far.share for so_far in seen] == sorted(so_far.share for so_far in seen)
        assert parts(out) == ["answers.csv"]

    def test_rows_keep_what_they_had(self, local: Client, table: Path, out: Path) -> None:
        local.score_csv("adult", table, out)
        before = lines(table)
        assert [{name: line[name] for name in before[0]} for line in lines(out)] == before

    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
    def test_it_looks_as_the_table_did(
        self, local: Client, tmp_path: Path, out: Path, delimiter: str, end: str, encoding: str
    ) -> None:
        frame = people(20).drop(columns="salary").assign(note="né\nto")
        frame.to_csv(tmp_path / "t.csv", index=False, sep=delimiter, lineterminator=end, encoding=encoding)
        local.score_csv("adult", tmp_path / "t.csv", out, **({"encoding": encoding} if encoding == "cp1252" else {}))
        data = out.read_bytes()
        assert data.startswith(b"\xef\xbb\xbf") == (encoding == "utf-8-sig")
        assert data.endswith(end.encode())
        assert data.count(b"\r") == (21 if end == "\r\n" else 0)
        assert [line["note"] for line in lines(out, delimiter)] == ["né\nto"] * 20
        assert all(line["prediction"] for line in lines(out, delimiter))

    def test_only_the_models_columns_are_sent(
        self, local: Client, in_process: InProcess, table: Path, out: Path
    ) -> None:
        local.score_csv("adult", table, out)
        assert in_process.bodies[0].partition(b"\n")[0] == b"workclass,education,age,hours-per-week"
        assert not any(line["warnings"] for line in lines(out))

    def test_rows_that_can_not_be_scored_say_why(self, local: Client, tmp_path: Path, out: Path) -> None:
        header = "workclass,education,age,hours-per-week\n"
        rows = [
            b' Private, Masters,"40",40',
            b" Private, Masters,old,40",
            b" Private, Masters,40",
            b" Private, Masters,40,40,40",
            b" Private, Masters,40,",
            b"Private, Masters,40,40",
            b' Private, Masters,40,"40"x',
            b" Private,caf\xe9,40,40",
            b" Private, Masters,41,40",
            b' Private,"oops,40,40',
            b" Private, Masters,42,40",
        ]
        (tmp_path / "t.csv").write_bytes(header.encode() + b"\n".join(rows))
        scored = local.score_csv("adult", tmp_path / "t.csv", out, batch_size=4)
        found = lines(out)
        assert len(found) == len(rows)
        good = [place for place, line in enumerate(found) if line["prediction"]]
        assert good == [0, 5, 8, 10]
        assert all(bool(line["error"]) != bool(line["prediction"]) for line in found)
        assert all("Fix: " in line["error"] for line in found if line["error"])
        assert "'age' is 'old', where a number belongs" in found[1]["error"]
        assert "3 cells where the header has 4" in found[2]["error"]
        assert "'hours-per-week' is null" in found[4]["error"]
        assert "taken as ' Private'" in found[5]["warnings"]
        assert (scored.rows, scored.errors, scored.warned) == (11, 7, 1)

    def test_a_body_that_is_refused_as_a_whole_costs_the_row_at_fault_alone(
        self, predictor: Predictor, table: Path, out: Path
    ) -> None:
        """Like rows whose answers are too large, or a cell that the server can't take."""

        class Refusing(InProcess):
            def send(self, *arguments: Any) -> sender.Reply:
                if b",77.0," in (arguments[2] or b""):
                    report = {"code": "too_many_records", "field": None, "message": "too many.", "fix": "send fewer."}
                    return sender.Reply(413, json.dumps({"error": report}).encode())
                return super().send(*arguments)

        refusing = Refusing(predictor)
        scored = Client(sender=refusing).score_csv("adult", table, out)
        refused = [line for line in lines(out) if line["error"]]
        assert refused == [line for line in lines(out) if line["age"] == "77.0"] != []
        assert {line["error"] for line in refused} == {"too many. Fix: send fewer."}
        assert scored.errors == len(refused)
        assert len(refusing.bodies) < 60

    @pytest.mark.parametrize("end", ["", "\n", "\n\n\r\n"])
    def test_case_csv_header_only(self, local: Client, tmp_path: Path, out: Path, end: str) -> None:
        (tmp_path / "t.csv").write_text("workclass,education,age,hours-per-week" + end)
        with pytest.raises(CsvUnreadable, match=r"no row behind the header of .*t\.csv") as refused:
            local.score_csv("adult", tmp_path / "t.csv", out)
        assert refused.value.code == "no_rows"
        assert parts(out) == []

    def test_case_csv_blank_rows(self, local: Client, tmp_path: Path, out: Path) -> None:
        header = "workclass,education,age,hours-per-week,note\n"
        rows = [" Private, Masters,40,40,a", ",,,,", " Private, Masters,41,40,b", ",,,,", ",,"]
        (tmp_path / "t.csv").write_text(header + "\n".join(rows) + "\n")
        scored = local.score_csv("adult", tmp_path / "t.csv", out)
        found = lines(out)
        assert [bool(line["prediction"]) for line in found] == [True, False, True, False, False]
        assert all("delimiters alone" in line["error"] for line in found if not line["prediction"])
        assert (scored.rows, scored.errors) == (5, 3)

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "iso-8859-1"])
    @pytest.mark.parametrize("is_named", [True, False])
    def test_tables_in_other_encodings(
        self, local: Client, tmp_path: Path, out: Path, encoding: str, is_named: bool
    ) -> None:
        """Excel's "Unicode text" is UTF-16 with a byte order mark, and tabs."""
        mark = "\ufeff" if encoding.endswith("e") else ""
        text = mark + people(20).drop(columns="salary").assign(note="né").to_csv(index=False, sep="\t")
        (tmp_path / "t.csv").write_bytes(text.encode(encoding))
        if encoding.startswith("iso") and not is_named:
            assert local.score_csv("adult", tmp_path / "t.csv", out).errors == 20, "each names the encoding"
            return
        options = {"encoding": encoding} if is_named else {}
        assert local.score_csv("adult", tmp_path / "t.csv", out, **options).errors == 0
        assert [line["note"] for line in lines(out, "\t")] == ["né"] * 20

    def test_utf_16_without_a_mark_names_the_option(self, local: Client, tmp_path: Path, out: Path) -> None:
        (tmp_path / "t.csv").write_bytes("age,workclass\n1,x\n".encode("utf-16-le"))
        with pytest.raises(CsvUnreadable) as refused:
            local.score_csv("adult", tmp_path / "t.csv", out)
        assert "name its encoding" in refused.value.fix

    def test_a_file_that_is_there_is_refused_where_that_is_wanted(self, local: Client, table: Path, out: Path) -> None:
        out.write_text("old")
        with pytest.raises(CsvUnwritable, match="is there already") as refused:
            local.score_csv("adult", table, out, overwrite=False)
        assert refused.value.code == "file_exists"
        assert "--force" in refused.value.fix
        assert (out.read_text(), parts(out)) == ("old", ["answers.csv"])

    def test_a_file_that_is_there_is_replaced_in_the_end(self, local: Client, table: Path, out: Path) -> None:
        out.write_text("old")
        local.score_csv("adult", table, out, progress=lambda _: out.read_text() == "old" or pytest.fail("too early"))
        assert len(lines(out)) == ROWS

    def test_one_version_answers_all(self, scripted: Scripted, table: Path, out: Path, adult_schema: Any) -> None:
        scripted.reply = lambda seen: Reply(body=adult_schema if not seen.body else answers_to(seen))
        with Client(scripted.url) as client:
            client.score_csv("adult", table, out, batch_size=50)
        asked = [seen.path for seen in scripted.seen]
        assert asked == ["/predictions/adult", *["/predictions/adult/1.0"] * 4]


class TestRefusals:
    def test_tables_that_no_row_of_could_be_scored(self, local: Client, tmp_path: Path, out: Path) -> None:
        cases = {
            "age,hours-per-week\n1,2\n": r"t.csv has no 'workclass'. 1 more are missing",
            "workclass,education,Age,hours-per-week\na,b,1,2\n": "t.csv has no 'age'",
            "a,b\n1,2\n": "names no column of the model",
            "age,age\n": "'age' twice",
        }
        for text, said in cases.items():
            (tmp_path / "t.csv").write_text(text)
            with pytest.raises(CsvUnreadable, match=said):
                local.score_csv("adult", tmp_path / "t.csv", out)
        with pytest.raises(CsvUnreadable, match="can't be read"):
            local.score_csv("adult", tmp_path / "none.csv", out)
        with pytest.raises(CsvUnreadable, match="can't be read"):
            local.score_csv("adult", tmp_path, out)
        reading, writing = os.pipe()
        with pytest.raises(CsvUnreadable, match="is a pipe"):
            local.score_csv("adult", f"/dev/fd/{reading}", out)
        os.close(reading)
        os.close(writing)
        assert parts(out) == []

    def test_targets(self, local: Client, table: Path, tmp_path: Path) -> None:
        for target in (tmp_path, table, tmp_path / "none" / "out.csv"):
            with pytest.raises(CsvUnwritable):
                local.score_csv("adult", table, target)
        with pytest.raises(CsvUnwritable, match="no column 'nonsense'"):
            local.score_csv("adult", table, tmp_path / "out.csv", columns=["nonsense"])
        with pytest.raises(ValueError, match="1 or more"):
            local.score_csv("adult", table, tmp_path / "out.csv", batch_size=0)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["people.csv"]

    @pytest.mark.parametrize("ending", [".part", ".journal"])
    def test_a_table_that_the_run_would_write_over(self, local: Client, table: Path, ending: str) -> None:
        """A run keeps files beside its target; a part that was left over may be what somebody wants to have scored."""
        target = table.with_name("answers.csv")
        source = table.rename(f"{target}{ending}")
        before = source.read_bytes()
        with pytest.raises(CsvUnwritable, match=f"answers.csv{ending} is the table itself"):
            local.score_csv("adult", source, target)
        with pytest.raises(CsvUnwritable, match="is the table itself"):
            local.score_csv("adult", source, target, resume=False)
        assert source.read_bytes() == before
        assert parts(target) == [source.name]

    def test_a_model_of_pictures(self, colours: Path, table: Path, out: Path) -> None:
        client = Client(sender=InProcess(Predictor.open(colours)))
        with pytest.raises(CsvUnreadable, match="colours reads pictures"):
            client.score_csv("colours", table, out)

    def test_a_model_that_answers_too_little_ends_it(
        self, scripted: Scripted, table: Path, out: Path, adult_schema: Any
    ) -> None:
        scripted.reply = lambda seen: Reply(body=adult_schema if not seen.body else [{"prediction": 1}])
        with Client(scripted.url) as client, pytest.raises(ServerFailed, match="1 answers to 200 records"):
            client.score_csv("adult", table, out)


ODD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8) | st.sampled_from(
    ['a"b', "a\nb", "\r"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=50)
@given(
    st.lists(st.tuples(ODD, ODD), min_size=1, max_size=6),
    st.sampled_from([",", ";", "\t"]),
    st.integers(1, 4),
    st.integers(0, 6),
)
def test_whatever_stands_in_the_table_stands_in_the_answers(
    local: Client, rows: list[tuple[str, str]], delimiter: str, batch_size: int, stop_at: int
) -> None:
    """Also where the run was interrupted."""
    header = ["note", "workclass", "age", "education", "hours-per-week"]
    with tempfile.TemporaryDirectory() as folder:
        table, out = Path(folder) / "t.csv", Path(folder) / "out.csv"
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=delimiter, lineterminator="\r\n")
            writer.writerows([header, *([note, work, "40", " Masters", "40"] for note, work in rows)])

        def stop(scored: Scored) -> None:
            if scored.rows >= stop_at > 0:
                raise Crash

        try:
            local.score_csv("adult", table, out, batch_size=batch_size, progress=stop)
        except Crash:
            local.score_csv("adult", table, out, batch_size=batch_size)
        found = lines(out, delimiter)
        assert [(line["note"], line["workclass"]) for line in found] == rows
        assert all(line["prediction"] and not line["error"] for line in found)


def test_memory_does_not_grow_with_the_table(predictor: Predictor, tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        table = write_table(tmp_path / f"{rows}.csv", rows)
        client = Client(sender=Constant(predictor))
        tracemalloc.start()
        try:
            client.score_csv("adult", table, tmp_path / "out.csv", batch_size=50)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(500)
    small, large = peak(2_000), peak(12_000)
    assert large < small * 1.3 + 200_000, f"{small:,} bytes for 2,000 rows, {large:,} for 12,000"


class Constant(InProcess):
    """Answers without keeping what it was asked."""

    def send(self, *arguments: Any) -> sender.Reply:
        reply = super().send(*arguments)
        self.bodies.clear()
        return reply
