"""Formats of files of records, for `predict` and `score`."""

from __future__ import annotations

import csv
import gzip
import json

import pytest

from fastmar_cli.main import main
from tests.archives import tiny_archive
from tests.runtime import tiny, tiny_pictures
from tests.runtime.fuzz_archives import make_archives

HEADER = ",".join(tiny.record())
ROW = ",".join(map(str, tiny.record().values()))
OTHER = tiny.record(grade=3, age=20, hours=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_archive(tmp_path_factory.mktemp("model"))


def predict(folder, path, capsys, *options):
    status = main(["predict", str(folder), str(path), "--json", *options])
    captured = capsys.readouterr()
    return status, [json.loads(line) for line in captured.out.splitlines()], captured.err


@pytest.mark.parametrize("ending", [".csv", ".tsv"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
def test_encodings_of_a_table(folder, tmp_path, capsys, ending, encoding):
    text = f"{HEADER}\n{ROW}\n"
    path = tmp_path / f"rows{ending}"
    path.write_bytes((text.replace(",", "\t") if ending == ".tsv" else text).encode(encoding))
    status, answers, _ = predict(folder, path, capsys)
    assert status == 0
    assert [answer["prediction"] for answer in answers] == [">=50k"]


def score(folder, path, capsys, *options):
    """Exit status, the written rows (None without a file), and standard error."""
    out = path.with_name("answers.csv")
    status = main(["score", str(folder), str(path), "-o", str(out), *options])
    rows = list(csv.DictReader(out.read_text("utf-8").splitlines())) if out.exists() else None
    return status, rows, capsys.readouterr().err


def write(tmp_path, content, name="rows.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_case_charset(folder, tmp_path, capsys, encoding):
    record = json.dumps(tiny.record(workclass="café"), ensure_ascii=False)
    status, [answer], _ = predict(folder, write(tmp_path, record.encode(encoding), "record.json"), capsys)
    assert status == 0
    assert [warning["value"] for warning in answer["warnings"]] == ["café"]


LATIN = f"{HEADER}\n{ROW}\n{ROW.replace(' Private', 'café')}\n".encode("latin-1")


def test_case_charset_of_a_table(folder, tmp_path, capsys):
    path = write(tmp_path, LATIN)
    status, answers, _ = predict(folder, path, capsys)
    assert (status, answers[0]["prediction"], answers[1]["error"]["code"]) == (1, ">=50k", "not_utf8")
    assert "--encoding" in answers[1]["error"]["fix"]
    status, answers, _ = predict(folder, path, capsys, "--encoding", "latin-1")
    assert (status, answers[1]["warnings"][0]["value"]) == (0, "café")
    status, rows, _ = score(folder, path, capsys)
    assert (status, rows[0]["prediction"], rows[1]["prediction"]) == (1, ">=50k", "")
    assert "encoding" in rows[1]["error"]
    status, rows, _ = score(folder, path, capsys, "--force", "--encoding", "latin-1")
    assert (status, rows[1]["workclass"], rows[1]["prediction"]) == (0, "café", ">=50k")


def test_case_charset_of_json(folder, tmp_path, capsys):
    record = json.dumps(tiny.record(workclass="café"), ensure_ascii=False)
    path = write(tmp_path, record.encode("cp1252"), "record.json")
    assert "UTF-8" in predict(folder, path, capsys)[2]
    status, [answer], _ = predict(folder, path, capsys, "--encoding", "cp1252")
    assert (status, answer["warnings"][0]["value"]) == (0, "café")


@pytest.mark.parametrize(("encoding", "code"), [("klingon", "unknown_charset"), ("ascii", "bad_request")])
def test_case_wrong_charset(folder, tmp_path, capsys, encoding, code):
    status, answers, err = predict(folder, write(tmp_path, LATIN), capsys, "--encoding", encoding)
    assert (status, answers) == (1, [])
    assert encoding in err
    assert "Fix: " in err


def test_case_csv_header_only(folder, tmp_path, capsys):
    for run in (predict, score):
        status, found, err = run(folder, write(tmp_path, f"{HEADER}\n"), capsys)
        assert (status, found or []) == (1, [])
        assert ("TableUnreadable: " if run is predict else "rows.csv") in err


def test_a_misspelled_column_gets_the_same_fix_from_both_commands(folder, tmp_path, capsys):
    path = write(tmp_path, f"{HEADER.replace('hours', 'hour_s').replace('work', 'work-')}\n{ROW}\n")
    _, [answer], _ = predict(folder, path, capsys)
    status, rows, err = score(folder, path, capsys)
    assert (status, rows) == (1, None)
    assert answer["error"]["fix"] in err
    assert all(name in answer["error"]["fix"] for name in ("'hour_s'", "'work-class'"))


def test_a_column_with_the_target_gets_no_warning(folder, tmp_path, capsys):
    [target] = tiny.spec().targets
    _, answers, err = predict(folder, write(tmp_path, f"{HEADER},{target},x\n{ROW},1,1\n"), capsys)
    assert [answer["warnings"] for answer in answers] == [[]]
    assert "does not use the column 'x'" in err
    assert target not in err


def test_case_csv_blank_rows(folder, tmp_path, capsys):
    path = write(tmp_path, f"{HEADER}\n{ROW}\n,,,,\n")
    status, answers, _ = predict(folder, path, capsys)
    assert status == 1
    assert (answers[1]["error"]["code"], answers[1]["error"]["record"]) == ("empty_row", 1)
    status, rows, _ = score(folder, path, capsys)
    assert status == 1
    assert [row["prediction"] for row in rows] == [">=50k", ""]
    assert rows[1]["error"]


def test_case_curl_d_newlines(folder, tmp_path, capsys):
    for run in (predict, score):
        status, found, err = run(folder, write(tmp_path, HEADER + ROW), capsys)
        assert (status, found or []) == (1, [])
        assert ("TableUnreadable: " if run is predict else "rows.csv") in err


@pytest.mark.parametrize(("name", "fact"), [("record.json", "gzip"), ("record.json.gz", ".gz")])
def test_case_gzip_body(folder, tmp_path, capsys, name, fact):
    content = gzip.compress(json.dumps(tiny.record()).encode())
    status, answers, err = predict(folder, write(tmp_path, content, name), capsys)
    assert (status, answers) == (1, [])
    assert fact in err
    assert "Fix: " in err


def test_case_multipart_csv(folder, tmp_path, capsys):
    """Each file is an argument of the command line."""
    first, second = (write(tmp_path, f"{HEADER}\n{ROW}\n", name) for name in ("a.csv", "b.csv"))
    assert main(["predict", str(folder), str(first), str(second), "--json"]) == 0
    assert [json.loads(line)["prediction"] for line in capsys.readouterr().out.splitlines()] == [">=50k", ">=50k"]


def test_case_multipart_same_name(tmp_path, capsys):
    """Files with the same name in different folders."""
    _, (model, _) = make_archives(tmp_path)
    paths = []
    for color in ("blue", "red", "green"):
        (tmp_path / color).mkdir()
        paths.append(write(tmp_path / color, tiny_pictures.picture(color), "one.png"))
    assert main(["predict", str(model), *map(str, paths), "--json"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(answer["name"], answer["prediction"]) for answer in answers] == [
        (str(path), color) for path, color in zip(paths, ("blue", "red", "green"), strict=True)
    ]


NAMES = list(OTHER)
ROWS = [list(record.values()) for record in (tiny.record(), OTHER)]
SPLIT = {"columns": NAMES, "index": [0, 1], "data": ROWS}


@pytest.mark.parametrize(
    "body",
    [
        [tiny.record(), OTHER],
        {"instances": [tiny.record(), OTHER]},
        {"dataframe_split": SPLIT},
        {"dataframe_records": [tiny.record(), OTHER]},
        SPLIT,
        {name: {"0": tiny.record()[name], "1": OTHER[name]} for name in NAMES},
        {name: [tiny.record()[name], OTHER[name]] for name in NAMES},
        {"data": {"names": NAMES, "ndarray": ROWS}},
        {"data": [{"headers": NAMES, "data": ROWS}]},
        {"inputs": [{"name": n, "shape": [2], "data": [tiny.record()[n], OTHER[n]]} for n in NAMES]},
    ],
    ids=[
        "list", "instances", "dataframe_split", "dataframe_records", "split", "to_json", "to_dict", "Seldon", "Gradio",
        "v2",
    ],
)  # fmt: skip
def test_case_wrapped_shapes(folder, tmp_path, capsys, body):
    status, answers, err = predict(folder, write(tmp_path, json.dumps(body), "records.json"), capsys)
    assert status == 0, err
    expected = tiny.predictor().predict([tiny.record(), OTHER])
    assert [answer["probabilities"] for answer in answers] == [answer["probabilities"] for answer in expected]


def test_case_wrapped_shapes_json_lines_as_json(folder, tmp_path, capsys):
    content = f"{json.dumps(tiny.record())}\n{json.dumps(OTHER)}\n"
    status, answers, _ = predict(folder, write(tmp_path, content, "records.json"), capsys)
    assert (status, len(answers)) == (0, 2)


@pytest.mark.parametrize("body", [{"data": [62, 28, 3]}, {"instances": [[62, 28, 3]]}, {"dataframe_split": 3}])
def test_case_wrapped_shapes_refused(folder, tmp_path, capsys, body):
    status, answers, err = predict(folder, write(tmp_path, json.dumps(body), "records.json"), capsys)
    assert (status, answers) == (1, [])
    assert "Fix: " in err
