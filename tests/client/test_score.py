"""`score_csv`: each row is scored once and keeps its place."""

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
    transport,
)
from fastmar_runtime.predictor import Predictor

pytestmark = pytest.mark.usefixtures("quick_disk")


class TestAnswers:
    def test_each_row_gets_the_answer_of_its_record(self, local: Client, table: Path, out: Path) -> None:
        reports: list[Scored] = []
        scored = local.score_csv("adult", table, out, batch_size=30, progress=reports.append)
        assert scored == Scored(ROWS, 0, 0, 0, 1.0)
        frame = people(ROWS).drop(columns="salary")
        answers = local.predict("adult", frame)
        assert [line["id"] for line in lines(out)] == [str(number) for number in range(ROWS)]
        assert [line["prediction"] for line in lines(out)] == [answer["prediction"] for answer in answers]
        assert [float(line["probability"]) for line in lines(out)] == [
            max(a["probabilities"].values()) for a in answers
        ]
        assert [report.rows for report in reports] == [0, 30, 60, 90, 120, 150, 180, 200]
        assert [report.share for report in reports] == sorted(report.share for report in reports)
        assert parts(out) == ["answers.csv"]

    def test_rows_keep_their_cells(self, local: Client, table: Path, out: Path) -> None:
        local.score_csv("adult", table, out)
        before = lines(table)
        assert [{name: line[name] for name in before[0]} for line in lines(out)] == before

    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
    def test_output_has_the_format_of_the_table(
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

    def test_only_columns_of_the_model_are_sent(
        self, local: Client, in_process: InProcess, table: Path, out: Path
    ) -> None:
        local.score_csv("adult", table, out)
        assert in_process.bodies[0].partition(b"\n")[0] == b"workclass,education,age,hours-per-week"
        assert not any(line["warnings"] for line in lines(out))

    def test_rows_that_cannot_be_scored_have_the_reason(self, local: Client, tmp_path: Path, out: Path) -> None:
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
        facts = {1: ("'age'", "'old'"), 2: ("3", "4"), 4: ("'hours-per-week'", "null")}
        assert all(fact in found[place]["error"] for place in facts for fact in facts[place])
        assert "' Private'" in found[5]["warnings"]
        assert (scored.rows, scored.errors, scored.warned) == (11, 7, 1)

    def test_refused_body_is_bisected_down_to_the_faulty_row(
        self, predictor: Predictor, table: Path, out: Path
    ) -> None:
        """Such as rows with answers that are too large, or a cell that the server can't parse."""

        class Refusing(InProcess):
            def send(self, *arguments: Any) -> transport.Reply:
                if b",77.0," in (arguments[2] or b""):
                    report = {"code": "too_many_records", "field": None, "message": "too many.", "fix": "send fewer."}
                    return transport.Reply(413, json.dumps({"error": report}).encode())
                return super().send(*arguments)

        refusing = Refusing(predictor)
        scored = Client(transport=refusing).score_csv("adult", table, out)
        refused = [line for line in lines(out) if line["error"]]
        assert refused == [line for line in lines(out) if line["age"] == "77.0"] != []
        assert {line["error"] for line in refused} == {"too many. Fix: send fewer."}
        assert scored.errors == len(refused)
        assert len(refusing.bodies) < 60

    @pytest.mark.parametrize("end", ["", "\n", "\n\n\r\n"])
    def test_case_csv_header_only(self, local: Client, tmp_path: Path, out: Path, end: str) -> None:
        (tmp_path / "t.csv").write_text("workclass,education,age,hours-per-week" + end)
        with pytest.raises(CsvUnreadable) as caught:
            local.score_csv("adult", tmp_path / "t.csv", out)
        assert caught.value.code == "no_rows"
        assert "t.csv" in caught.value.message
        assert parts(out) == []

    def test_case_csv_blank_rows(self, local: Client, tmp_path: Path, out: Path) -> None:
        header = "workclass,education,age,hours-per-week,note\n"
        rows = [" Private, Masters,40,40,a", ",,,,", " Private, Masters,41,40,b", ",,,,", ",,"]
        (tmp_path / "t.csv").write_text(header + "\n".join(rows) + "\n")
        scored = local.score_csv("adult", tmp_path / "t.csv", out)
        found = lines(out)
        assert [bool(line["prediction"]) for line in found] == [True, False, True, False, False]
        [error] = {
            line["error"] for line in found if not line["prediction"]
        }  # `,,` is an empty row too, not a short one
        assert error
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
            assert local.score_csv("adult", tmp_path / "t.csv", out).errors == 20, "the error names the option"
            return
        options = {"encoding": encoding} if is_named else {}
        assert local.score_csv("adult", tmp_path / "t.csv", out, **options).errors == 0
        assert [line["note"] for line in lines(out, "\t")] == ["né"] * 20

    def test_utf_16_without_a_mark_names_the_option(self, local: Client, tmp_path: Path, out: Path) -> None:
        (tmp_path / "t.csv").write_bytes("age,workclass\n1,x\n".encode("utf-16-le"))
        with pytest.raises(CsvUnreadable) as caught:
            local.score_csv("adult", tmp_path / "t.csv", out)
        assert "encoding" in caught.value.fix

    def test_existing_file_is_refused_without_overwrite(self, local: Client, table: Path, out: Path) -> None:
        out.write_text("old")
        with pytest.raises(CsvUnwritable) as caught:
            local.score_csv("adult", table, out, overwrite=False)
        assert caught.value.code == "file_exists"
        assert "--force" in caught.value.fix
        assert (out.read_text(), parts(out)) == ("old", ["answers.csv"])

    def test_existing_file_is_replaced_at_the_end(self, local: Client, table: Path, out: Path) -> None:
        out.write_text("old")
        local.score_csv("adult", table, out, progress=lambda _: out.read_text() == "old" or pytest.fail("too early"))
        assert len(lines(out)) == ROWS

    def test_all_rows_are_scored_by_one_version(
        self, scripted: Scripted, table: Path, out: Path, adult_schema: Any
    ) -> None:
        scripted.reply = lambda seen: Reply(body=adult_schema if not seen.body else answers_to(seen))
        with Client(scripted.url) as client:
            client.score_csv("adult", table, out, batch_size=50)
        paths = [seen.path for seen in scripted.seen]
        assert paths == ["/predictions/adult", *["/predictions/adult/1.0"] * 4]


class TestRefusals:
    def test_unusable_tables(self, local: Client, tmp_path: Path, out: Path) -> None:
        cases = {
            "age,hours-per-week\n1,2\n": ("missing_column", "workclass"),
            "workclass,education,Age,hours-per-week\na,b,1,2\n": ("missing_column", "age"),
            "work_class,age,hours-per-week\na,1,2\n": ("missing_column", "workclass"),
            "a,b\n1,2\n": ("no_header", None),
            "age,age\n": ("csv_unreadable", None),
        }
        for text, (code, field) in cases.items():
            (tmp_path / "t.csv").write_text(text)
            with pytest.raises(CsvUnreadable) as caught:
                local.score_csv("adult", tmp_path / "t.csv", out)
            assert (caught.value.code, caught.value.field) == (code, field)
        for path in (tmp_path / "none.csv", tmp_path):
            with pytest.raises(CsvUnreadable) as caught:
                local.score_csv("adult", path, out)
            assert isinstance(caught.value.__cause__, OSError)
        reading, writing = os.pipe()
        with pytest.raises(CsvUnreadable) as caught:
            local.score_csv("adult", f"/dev/fd/{reading}", out)
        assert caught.value.code == "not_seekable"
        os.close(reading)
        os.close(writing)
        assert parts(out) == []

    def test_unusable_targets(self, local: Client, table: Path, tmp_path: Path) -> None:
        targets = {tmp_path: "not_a_file", table: "same_file", tmp_path / "none" / "out.csv": "csv_unwritable"}
        for target, code in targets.items():
            with pytest.raises(CsvUnwritable) as caught:
                local.score_csv("adult", table, target)
            assert caught.value.code == code
        with pytest.raises(CsvUnwritable) as caught:
            local.score_csv("adult", table, tmp_path / "out.csv", columns=["nonsense"])
        assert caught.value.code == "unknown_column"
        with pytest.raises(ValueError, match="batch_size"):
            local.score_csv("adult", table, tmp_path / "out.csv", batch_size=0)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["people.csv"]

    @pytest.mark.parametrize("ending", [".part", ".journal"])
    def test_refuses_a_table_that_the_run_would_overwrite(self, local: Client, table: Path, ending: str) -> None:
        """The table may be the part file of an earlier run."""
        target = table.with_name("answers.csv")
        source = table.rename(f"{target}{ending}")
        before = source.read_bytes()
        for resume in (True, False):
            with pytest.raises(CsvUnwritable) as caught:
                local.score_csv("adult", source, target, resume=resume)
            assert caught.value.code == "same_file"
            assert f"answers.csv{ending}" in caught.value.message
        assert source.read_bytes() == before
        assert parts(target) == [source.name]

    def test_refuses_a_model_of_pictures(self, colours: Path, table: Path, out: Path) -> None:
        client = Client(transport=InProcess(Predictor.open(colours)))
        with pytest.raises(CsvUnreadable) as caught:
            client.score_csv("colours", table, out)
        assert caught.value.code == "not_tabular"

    def test_wrong_number_of_answers_ends_the_run(
        self, scripted: Scripted, table: Path, out: Path, adult_schema: Any
    ) -> None:
        scripted.reply = lambda seen: Reply(body=adult_schema if not seen.body else [{"prediction": 1}])
        with Client(scripted.url) as client, pytest.raises(ServerFailed) as caught:
            client.score_csv("adult", table, out)
        assert caught.value.code == "wrong_count"


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
def test_cells_of_any_text_are_kept(
    local: Client, rows: list[tuple[str, str]], delimiter: str, batch_size: int, stop_at: int
) -> None:
    """Also in an interrupted run."""
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
        client = Client(transport=Constant(predictor))
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
    """Answers without recording the requests."""

    def send(self, *arguments: Any) -> transport.Reply:
        reply = super().send(*arguments)
        self.bodies.clear()
        return reply
