"""The commands: their output and exit status."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from fastai.tabular.learner import TabularLearner

from fastmar_cli.arguments import default_url
from fastmar_cli.commands import inspect
from fastmar_cli.commands.export import input_summary
from fastmar_cli.main import main
from tests.export.tables import CASES, Case, make_learner
from tests.runtime.tiny import date_spec

CASE = CASES["missing values everywhere"]


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    learn, _ = make_learner(CASE)
    path = tmp_path_factory.mktemp("learner") / "learner.pkl"
    learn.export(path)
    return path


@pytest.fixture(scope="module")
def archive(learner: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("store")
    assert main(["export", str(learner), "--name", "model", "--output", str(store)]) == 0
    return store / "model.mar"


RECORD = {"color": "red", "size": "S", "age": 40, "weight": 71.5}


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_export_prints_the_path_and_the_next_command(learner: Path, tmp_path: Path, capsys: Any) -> None:
    assert main(["export", str(learner), "--name", "model", "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert str(tmp_path / "model.mar") in printed.out
    assert "fastmar serve" in printed.out
    assert printed.err == ""


def test_the_summary_counts_columns_that_are_computed_from_a_date_separately() -> None:
    spec = date_spec()
    computed = [field for field in spec.fields if field.name.startswith("sale") and field.name != "saledate"]
    text = input_summary(spec)
    assert text.startswith(f"{len(spec.fields) - len(computed)} column")
    assert f"{len(computed)} more" in text
    assert "saledate" in text
    assert computed[0].name not in text


def test_export_refuses_options_of_pictures_for_a_table(learner: Path, tmp_path: Path, capsys: Any) -> None:
    for option in (["--picture-size", "28x28"], ["--max-pixels", "10000"]):
        assert main(["export", str(learner), "--name", "model", "--output", str(tmp_path), *option]) == 1
        printed = capsys.readouterr().err
        assert "ExportError: " in printed
        assert option[0] in printed


def test_export_notes_float_categories(tmp_path: Path, capsys: Any) -> None:
    learn, _ = make_learner(CASES["float categories"])
    learn.export(tmp_path / "learner.pkl")
    assert main(["export", str(tmp_path / "learner.pkl"), "--name", "model", "--output", str(tmp_path)]) == 0
    assert "'share'" in capsys.readouterr().err


class CreatesFile:
    """Loading a pickle of an instance creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("alone", [True, False])
def test_inspect_and_export_report_code_in_a_pickle_and_do_not_run_it(
    alone: bool, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    marker = Path("marker-file")
    payload: Any = CreatesFile(marker)
    if not alone:
        learn, _ = make_learner(Case())
        learn.export(tmp_path / "warm-up.pkl")
        learn.extra = payload
        payload = learn
    torch.save(payload, tmp_path / "hostile.pkl", pickle_protocol=2)
    assert main(["inspect", str(tmp_path / "hostile.pkl")]) == 0
    assert str(marker) in capsys.readouterr().out
    status = main(["export", str(tmp_path / "hostile.pkl"), "--name", "model", "--output", str(tmp_path / "store")])
    assert status == (1 if alone else 0)
    assert str(marker) in capsys.readouterr().err
    assert not marker.exists()


@pytest.mark.parametrize(
    ("name", "content", "count"),
    [
        ("one.json", json.dumps(RECORD), 1),
        ("many.json", json.dumps([RECORD] * 3), 3),
        ("many.jsonl", "\n".join([json.dumps(RECORD)] * 3), 3),
        ("many.csv", "weight,age,size,color\n71.5,40,S,red\n71.5,40,S,red\n", 2),
    ],
)
def test_predict_reads_every_format(
    archive: Path, tmp_path: Path, capsys: Any, name: str, content: str, count: int
) -> None:
    (tmp_path / name).write_text(content)
    assert main(["predict", str(archive), str(tmp_path / name), "--json"]) == 0
    answers = lines(capsys.readouterr().out)
    assert len(answers) == count
    assert all(answer == answers[0] for answer in answers)
    assert set(answers[0]) == {"prediction", "index", "probabilities", "warnings"}


def test_predict_ignores_options_of_pictures_for_records(archive: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "in.json").write_text(json.dumps(RECORD))
    assert main(["predict", str(archive), str(tmp_path / "in.json"), "--json", "--save", str(tmp_path / "out")]) == 0
    assert lines(capsys.readouterr().out)[0]["warnings"] == []


def test_predict_reads_standard_input(archive: Path) -> None:
    command = [sys.executable, "-m", "fastmar_cli.main", "predict", str(archive), "-", "--json"]
    for text, count in ((json.dumps(RECORD), 1), (f"{json.dumps(RECORD)}\n" * 2, 2), ("age,color\n1,red\n", 1)):
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert len(lines(done.stdout)) == count, done.stderr
        assert done.returncode == ("color\n" in text), "only the CSV is refused: it lacks columns"


def test_predict_answers_the_other_records_and_exits_with_1_if_one_is_refused(
    archive: Path, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "in.json").write_text(json.dumps([RECORD, {**RECORD, "age": "old"}, RECORD]))
    assert main(["predict", str(archive), str(tmp_path / "in.json"), "--json"]) == 1
    first, second, third = lines(capsys.readouterr().out)
    assert first == third
    assert (second["error"]["field"], second["error"]["record"]) == ("age", 1)
    assert main(["predict", str(archive), str(tmp_path / "in.json")]) == 1
    assert "refused" in capsys.readouterr().out


def test_inspect_shows_an_archive_and_a_pickle(archive: Path, learner: Path, capsys: Any) -> None:
    assert main(["inspect", str(archive), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["name"] == "model"
    assert facts["schema"]["record"]["required"] == ["color", "size", "age", "weight"]
    assert main(["inspect", str(learner), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["kind"] == "tabular"
    assert facts["columns"] == {"categories": ["color", "size", "age_na", "weight_na"], "numbers": ["age", "weight"]}
    assert facts["problems"] == []
    assert facts["runs_code"] == []
    assert facts["targets"] == ["label"]
    assert facts["labels"] == [["no", "yes"]]
    assert main(["inspect", str(archive)]) == 0
    assert main(["inspect", str(learner)]) == 0
    assert "TabularModel" in capsys.readouterr().out


def layer(where: str, *, served: bool = True, parameters: int = 1) -> dict[str, Any]:
    return {
        "where": where,
        "depth": where.count("."),
        "class": where.upper(),
        "parameters": parameters,
        "served": served,
    }


def test_export_and_inspect_report_the_reference_profile(
    learner: Path, archive: Path, tmp_path: Path, capsys: Any
) -> None:
    reference = tmp_path / "rows.jsonl"
    rows = [{**RECORD, "age": 20 + at % 50} for at in range(250)]
    reference.write_text("\n".join(map(json.dumps, rows)))
    command = ["export", str(learner), "--name", "model", "--output", str(tmp_path)]
    assert main([*command, "--reference", str(reference)]) == 0
    assert "reference profile of 250 rows" in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "model.mar"), "--json"]) == 0
    profile = json.loads(capsys.readouterr().out)["reference_profile"]
    assert (profile["rows"], profile["parts"]) == (250, 2)
    assert {"color", "age"} <= set(profile["fields"])
    assert "confidence" in profile["answers"]
    assert main(["inspect", str(tmp_path / "model.mar")]) == 0
    assert re.search(r"reference_profile\n.*rows: 250", capsys.readouterr().out)
    assert main([*command, "--force"]) == 0
    assert "no reference profile" in capsys.readouterr().out
    assert main(["inspect", str(archive)]) == 0
    assert "reference_profile: none" in capsys.readouterr().out


def test_warnings_of_torch_about_a_file_are_not_shown(tmp_path: Path) -> None:
    """In a process of its own: torch warns once per process about tensors of an experimental type."""
    program = "import sys; from fastmar_cli.main import main\nsys.exit(main(['inspect', sys.argv[1]]))\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(torch.ones(3, dtype=torch.complex64).to(torch.complex32), tmp_path / "tensor.pkl")
    command = [sys.executable, "-c", program, str(tmp_path / "tensor.pkl")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert done.stderr == ""


def test_inspect_does_not_wrap_lines_outside_of_a_terminal(capsys: Any) -> None:
    names = [f"a column with a name of some length, number {number}" for number in range(12)]
    inspect._show({"kind": "k", "steps": [{"step": "read", "cats": names}]})
    printed = capsys.readouterr().out
    assert all(repr(name) in printed for name in names)


def test_inspect_folds_deep_layers_unless_one_is_not_supported(capsys: Any) -> None:
    deep = [layer("m.a.b.c"), layer("m.a.b.c.x", parameters=1000), layer("m.a.b.c.x.y")]
    odd = [layer("m.a.b.d"), layer("m.a.b.d.x"), layer("m.a.b.d.x.y", served=False)]
    inspect._show({"kind": "k", "network": [layer("m"), layer("m.a"), layer("m.a.b"), *deep, *odd]})
    printed = capsys.readouterr().out
    assert "network: 9 layers, 1,008 parameters" in printed
    assert "c: M.A.B.C, 2 layers inside, 1,002 parameters" in printed
    assert "X.Y" in printed.partition("d: M.A.B.D")[2]
    assert "X.Y" not in printed.partition("d: M.A.B.D")[0]
    assert "(NOT SERVED)" in printed


def test_export_notes_functions_in_a_pickle_and_warns_of_calls(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    learn, _ = make_learner(Case())
    learn.extra = [CreatesFile(Path("marker-file")), lambda text: text]
    learn.export(tmp_path / "learner.pkl")
    assert main(["export", str(tmp_path / "learner.pkl"), "--name", "model"]) == 0
    printed = capsys.readouterr().err.splitlines()
    [warning] = [line for line in printed if line.startswith("Careful:")]
    assert "open" in warning
    assert any(line.startswith("Note:") and "<lambda>" in line for line in printed)


def test_details_are_shown_with_verbose(tmp_path: Path, capsys: Any, caplog: Any) -> None:
    learn, _ = make_learner(Case(cats=["flag", "color"]))
    learn.export(tmp_path / "learner.pkl")
    command = ["export", str(tmp_path / "learner.pkl"), "--name", "model", "--output", str(tmp_path)]
    assert main(command) == 0
    assert "categories are true and false" not in capsys.readouterr().err + caplog.text
    assert main([*command, "-v"]) == 0
    assert "categories are true and false" in caplog.text
    assert main(["inspect", str(tmp_path / "model.mar")]) == 0
    assert "default: False" in capsys.readouterr().out


def test_verify_replays_golden_records_and_compares_with_fastai(archive: Path, learner: Path, capsys: Any) -> None:
    assert main(["verify", str(archive), "--learner", str(learner)]) == 0
    printed = capsys.readouterr().out
    assert "32 golden records" in printed
    assert "32 records against fastai" in printed


def test_verify_refuses_another_learner(archive: Path, learner: Path, tmp_path: Path, capsys: Any) -> None:
    learn, _ = make_learner(CASE)
    learn.model.layers[0][0].weight.data += 0.1
    learn.export(tmp_path / "other.pkl")
    assert main(["verify", str(archive), "--learner", str(tmp_path / "other.pkl")]) == 1
    assert "AnotherLearner" in capsys.readouterr().err
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest().encode() for path in (learner, tmp_path / "other.pkl")]
    forged = tamper(archive, tmp_path / "forged.mar", "spec.json", lambda data: data.replace(*hashes))
    assert main(["verify", str(forged), "--learner", str(tmp_path / "other.pkl")]) == 1
    assert "AnswersDiffer" in capsys.readouterr().err


def test_verify_names_rows_that_it_could_not_compare(archive: Path, learner: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "rows.csv").write_text("color,size,age,weight\nred,S,40,70\nred,S,old,70\n")
    assert main(["verify", str(archive), "--learner", str(learner), "--data", str(tmp_path / "rows.csv")]) == 1
    printed = capsys.readouterr().out
    assert "33 records against fastai" in printed
    assert "32 golden records, and 1 " in printed
    assert "record 1" in printed
    assert "'old'" in printed
    with pytest.raises(SystemExit) as end:
        main(["verify", str(archive), "--data", str(tmp_path / "rows.csv")])
    assert end.value.code == 2


@pytest.mark.parametrize(("sample", "compared"), [(3, 3), (20, 12)])
def test_verify_compares_a_sample(
    archive: Path,
    learner: Path,
    tmp_path: Path,
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
    sample: int,
    compared: int,
) -> None:
    from fastmar_cli.commands import verify

    monkeypatch.setattr(verify, "_MANY", 40)
    rows = [f"red,S,{40 + row},70\n" for row in range(11)]
    (tmp_path / "rows.csv").write_text("color,size,age,weight\n" + "".join(rows) + "red,S,old,70\n")
    arguments = ["verify", str(archive), "--learner", str(learner), "--data", str(tmp_path / "rows.csv")]
    assert main([*arguments, "--sample", str(sample)]) == 1
    printed = capsys.readouterr()
    assert f"32 golden records, and {compared - 1} of --data" in printed.out
    assert "record 11" in printed.out, "a sample has the last record, under its own number"
    assert ("--sample N" in printed.err) == (32 + compared > 40)
    with pytest.raises(SystemExit) as end:
        main([*arguments[:-2], "--sample", "3"])
    assert end.value.code == 2


def test_verify_without_fastai(archive: Path, learner: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastai", None)
    assert main(["verify", str(archive), "--learner", str(learner)]) == 1
    assert "[fastai_missing]" in capsys.readouterr().err


def test_verify_shows_no_warnings_of_fastai(archive: Path, learner: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def predict(*arguments: Any) -> Any:
        warnings.warn("this will be deprecated", FutureWarning, stacklevel=1)
        return fastai_predict(*arguments)

    fastai_predict = TabularLearner.predict
    monkeypatch.setattr(TabularLearner, "predict", predict)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        assert main(["verify", str(archive), "--learner", str(learner)]) == 0
    assert shown == []


@pytest.mark.parametrize("number", ["abc", "-1", "1e5", "70000", ""])
def test_the_error_of_an_invalid_number_does_not_name_a_function(number: str, capsys: Any) -> None:
    for option in (["serve", "--port"], ["serve", "--workers"], ["deploy", "x.mar", "--sample"], ["web", "--port"]):
        if option[-1] != "--port" and number == "70000":
            continue
        with pytest.raises(SystemExit) as end:
            main([*option, number])
        assert end.value.code == 2
        printed = capsys.readouterr().err
        assert repr(number) in printed
        assert not re.search(r"_\w+ value", printed)


@pytest.mark.parametrize("command", [["predict"], ["score", "--output=out.csv"]])
def test_a_model_among_the_inputs_is_bad_usage(command: list[str], archive: Path, capsys: Any) -> None:
    for model in (str(archive), "http://127.0.0.1:1/predictions/model"):
        with pytest.raises(SystemExit) as end:
            main([*command, "rows.csv", model])
        assert end.value.code == 2
        assert f"{model} rows.csv" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["{'color': 'red'}", '{"color": }', "[1, 2"])
def test_invalid_json_is_reported_with_its_file(archive: Path, tmp_path: Path, capsys: Any, content: str) -> None:
    (tmp_path / "bad.json").write_text(content)
    assert main(["predict", str(archive), str(tmp_path / "bad.json")]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("RequestError: ")
    assert str(tmp_path / "bad.json") in printed
    assert "Content-Type" not in printed


@pytest.mark.parametrize("name", ["empty.json", "empty.csv"])
@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_file(archive: Path, tmp_path: Path, capsys: Any, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert main(["predict", str(archive), str(tmp_path / name)]) == 1
    printed = capsys.readouterr().err
    assert "[empty_input]" in printed
    assert name in printed


def test_a_text_for_a_model_of_tables(archive: Path, capsys: Any) -> None:
    for text in ("I loved it", "I loved it. " * 400):
        assert main(["predict", str(archive), text]) == 1
        assert "there is no file 'I loved it" in capsys.readouterr().err


def test_an_empty_folder(archive: Path, tmp_path: Path, capsys: Any) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    for command in (["predict"], ["drift"], ["score", "-o", str(tmp_path / "out.csv")]):
        assert main([command[0], str(archive), str(folder), *command[1:]]) == 1
        assert f"{folder} is an empty folder. [empty_folder]" in capsys.readouterr().err


def test_answers_before_an_unreadable_input_are_printed(archive: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "in.json").write_text(json.dumps([RECORD] * 3))
    for name in ("none.json", "."):
        assert main(["predict", str(archive), str(tmp_path / "in.json"), str(tmp_path / name)]) == 1
        printed = capsys.readouterr()
        assert [row for row in "012" if f"│ {row} " in printed.out] == ["0", "1", "2"]
        assert printed.err.startswith("InputUnreadable: ")
        assert ("[not_a_file]" in printed.err) == (name == ".")
    assert main(["predict", str(archive), str(tmp_path / "none.json")]) == 1
    assert capsys.readouterr().out == ""


def test_empty_standard_input(archive: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    assert main(["predict", str(archive), "-"]) == 1
    assert "[empty_input]" in capsys.readouterr().err


def test_export_refuses_an_unknown_callback(learner: Path, tmp_path: Path, capsys: Any) -> None:
    command = ["export", str(learner), "--name", "model", "--output", str(tmp_path), "--ignore-callback", "Nope"]
    assert main(command) == 1
    printed = capsys.readouterr().err
    assert "UnsupportedLearner: " in printed
    assert "Nope" in printed


def test_export_refuses_an_unwritable_output(learner: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").touch()
    assert main(["export", str(learner), "--name", "model", "--output", str(tmp_path / "file")]) == 1
    printed = capsys.readouterr().err
    assert str(tmp_path / "file") in printed
    assert "--output" in printed
    (tmp_path / "model.mar").write_text("another file")
    assert main(["export", str(learner), "--name", "model", "--output", str(tmp_path)]) == 1
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "model.mar").read_text() == "another file"


def test_unreachable_server_is_one_error(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "in.json").write_text(json.dumps(RECORD))
    assert main(["predict", "http://127.0.0.1:9/predictions/model", str(tmp_path / "in.json")]) == 1
    printed = capsys.readouterr().err
    assert "Fix:" in printed
    assert "Traceback" not in printed


def test_doctor_finds_a_damaged_archive(archive: Path, tmp_path: Path, capsys: Any) -> None:
    with zipfile.ZipFile(archive) as members:
        graph = members.getinfo("model.onnx")
    data = bytearray(archive.read_bytes())
    data[graph.header_offset + graph.compress_size // 2] ^= 0xFF  # not in a header, where it may have no effect
    damaged = tmp_path / "damaged.mar"
    damaged.write_bytes(data)
    assert main(["doctor", str(damaged)]) == 1
    assert "FAILED archive" in capsys.readouterr().out


def test_escape_sequences_in_a_file_are_escaped(archive: Path, tmp_path: Path, capsys: Any) -> None:
    escape = "\\u001b[2J"
    other = tamper(archive, tmp_path / "x.mar", "spec.json", lambda d: d.replace(b'"model"', f'"{escape}"'.encode()))
    assert main(["inspect", str(other)]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\\x1b[2J" in printed


def tamper(archive: Path, to: Path, name: str, change: Any) -> Path:
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(to, "w") as new:
        for entry in old.namelist():
            data = old.read(entry)
            new.writestr(entry, change(data) if entry == name else data)
    return to


def test_doctor(archive: Path, tmp_path: Path, capsys: Any) -> None:
    assert main(["doctor", str(archive)]) == 0
    assert "FAILED" not in capsys.readouterr().out
    other = tamper(archive, tmp_path / "x.mar", "golden/answers.json", lambda data: data.replace(b'"yes"', b'"no"'))
    assert main(["doctor", str(other)]) == 1
    printed = capsys.readouterr().out
    assert "FAILED golden records" in printed
    assert "Fix:" in printed
    to_99 = (b'"protocol": 1', b'"protocol": 99')
    other = tamper(archive, tmp_path / "y.mar", "spec.json", lambda data: data.replace(*to_99))
    assert main(["doctor", str(other)]) == 1
    assert "protocol 99" in capsys.readouterr().out


def test_doctor_does_not_recommend_doctor(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "x.mar").write_bytes(b"no archive")
    assert main(["doctor", str(tmp_path / "x.mar")]) == 1
    printed = capsys.readouterr().out
    assert re.findall(r"FAILED (\w+)", printed)[-1:] == ["archive"], "the failure is reported once"
    assert "fastmar doctor" not in printed


def test_usage_errors_have_the_usage_of_the_subcommand(capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["export", "learner.pkl", "--name", "x", "--outptu", "y"])
    assert caught.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith("usage: fastmar export ")
    assert "unrecognized arguments: --outptu;" in printed


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"FASTMAR_PORT": "9000"}, "http://127.0.0.1:9000"),
        ({"FASTMAR_PORT": "tcp://10.0.0.7:8080"}, "http://127.0.0.1:8080"),
        ({"FASTMAR_PORT": "9000", "FASTMAR_URL": "https://models"}, "https://models"),
    ],
)
def test_default_url(environment: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FASTMAR_PORT", "FASTMAR_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert default_url() == url


@pytest.mark.parametrize("command", ["predict", "inspect", "verify", "doctor"])
def test_code_in_an_archive_is_not_run(archive: Path, tmp_path: Path, command: str, capsys: Any) -> None:
    marker = tmp_path / "marker"
    code = f"open({str(marker)!r}, 'w')".encode()
    other = tmp_path / "hostile.mar"
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(other, "w") as new:
        for entry in old.namelist():
            new.writestr(entry, code if entry.endswith(".py") else old.read(entry))
    (tmp_path / "in.json").write_text(json.dumps(RECORD))
    inputs = [str(tmp_path / "in.json")] if command == "predict" else []
    main([command, str(other), *inputs])
    assert not marker.exists()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["predict", "none.mar", "x.json"], 1),
        (["predict", "none.mar", "x.txt"], 1),
        (["inspect", "none.mar"], 1),
        (["export", "none.pkl", "--name", "x"], 1),
        (["verify", "none.mar"], 1),
        (["doctor", "none.mar"], 1),
    ],
)
def test_missing_file_is_one_error(arguments: list[str], status: int, capsys: Any) -> None:
    assert main(arguments) == status
    printed = capsys.readouterr()
    text = printed.out + printed.err
    assert "Fix:" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("arguments", [["nonsense"], ["export"], ["predict"], ["inspect", "--nonsense", "x"]])
def test_bad_usage_exits_with_2(arguments: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "fastmar_runtime.predictor", None)
    assert main(["diff", "a.mar", "b.mar"]) == 1
    printed = capsys.readouterr().err
    assert "fastmar_runtime.predictor" in printed
    assert "Fix: pip install" in printed


def test_inspect_shows_the_begin_of_a_large_object(capsys: Any) -> None:
    inspect._show({"name": "texts", "special_cases": {f"case {at}\n": [at] for at in range(1356)}})
    printed = capsys.readouterr().out
    assert "'case 11\\n': 11" in printed
    assert "case 12" not in printed
    assert "... (1,356 in all)" in printed
