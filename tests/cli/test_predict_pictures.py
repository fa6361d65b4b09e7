"""`fastmar predict` with pictures, in this process and through a server."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from fastmar_cli.main import main
from fastmar_export.reader import path_of, read_torch_file
from fastmar_runtime import payload
from fastmar_runtime.pillow_versions import describe_other_versions, pillow_versions
from fastmar_runtime.predictor import Predictor
from tests.cli.test_commands import tamper
from tests.client.conftest import scripted  # noqa: F401 - a fixture
from tests.client.scripted import Reply, Scripted, Seen
from tests.pictures import COLOURS, file_of, make_learner, picture


@pytest.fixture(scope="module", params=["label", "mask", "points"])
def archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported("label", tmp_path_factory.mktemp("labels"))


def exported(kind: str, folder: Path) -> Path:
    make_learner(folder / "pictures", kind).export(folder / "learner.pkl")
    assert main(["export", str(folder / "learner.pkl"), "--name", kind, "--output", str(folder)]) == 0
    return folder / f"{kind}.mar"


@pytest.fixture
def sent(tmp_path: Path) -> list[str]:
    """Pictures of each colour, in several formats."""
    files = {"red.jpg": "JPEG", "blue.png": "PNG", "green.bmp": "BMP", "red.gif": "GIF", "blue.tif": "TIFF"}
    for name, kind in files.items():
        (tmp_path / name).write_bytes(file_of(picture(name.partition(".")[0], 99), kind))
    (tmp_path / "GREEN.WEBP").write_bytes(file_of(picture("green", 98), "WEBP"))
    return [str(tmp_path / name) for name in [*files, "GREEN.WEBP"]]


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_answers_are_lines_in_order_with_the_names_of_files(labels: Path, sent: list[str], capsys: Any) -> None:
    assert main(["predict", str(labels), *sent, "--json"]) == 0
    printed = capsys.readouterr()
    answers = lines(printed.out)
    assert [answer["name"] for answer in answers] == [Path(path).name for path in sent]
    assert [answer["prediction"] for answer in answers] == ["red", "blue", "green", "red", "blue", "green"]
    assert all(set(answer["probabilities"]) == set(COLOURS) for answer in answers)
    assert printed.err == ""


def test_the_path_distinguishes_files_of_the_same_name(
    labels: Path, sent: list[str], tmp_path: Path, capsys: Any
) -> None:
    for folder, colour in (("a", "red"), ("b", "blue")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.jpg").write_bytes(file_of(picture(colour, 99), "JPEG"))
    same = [str(tmp_path / folder / "1.jpg") for folder in "ab"]
    assert main(["predict", str(labels), sent[0], *same, sent[0], "--json"]) == 0
    answers = lines(capsys.readouterr().out)
    assert [answer["name"] for answer in answers] == ["red.jpg", *same, "red.jpg"]
    assert next(iter(answers[1])) == "name"


def test_several_batches_keep_their_order(labels: Path, sent: list[str], capsys: Any) -> None:
    assert main(["predict", str(labels), *sent * 7, "--json"]) == 0
    assert [answer["prediction"] for answer in lines(capsys.readouterr().out)] == [
        Path(path).name.partition(".")[0].lower() for path in sent * 7
    ]


def test_prints_a_table_without_json(labels: Path, sent: list[str], capsys: Any) -> None:
    assert main(["predict", str(labels), *sent]) == 0
    printed = capsys.readouterr().out
    for path in sent:
        [row] = [line for line in printed.splitlines() if Path(path).name in line]
        assert Path(path).name.partition(".")[0].lower() in row.split("│")[2]
        assert "%" in row


def test_invalid_picture_has_an_error_and_others_are_answered(
    labels: Path, sent: list[str], tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"text")
    inputs = [sent[0], str(tmp_path / "bad.jpg"), str(tmp_path / "none.png"), sent[1]]
    assert main(["predict", str(labels), *inputs, "--json"]) == 1
    answers = lines(capsys.readouterr().out)
    assert [answer["name"] for answer in answers] == ["red.jpg", "bad.jpg", "none.png", "blue.png"]
    codes = [answer.get("error", {}).get("code") for answer in answers]
    assert codes == [None, "not_a_picture", "file_unreadable", None]
    assert [answer["error"]["record"] for answer in answers if "error" in answer] == [1, 2]
    assert main(["predict", str(labels), *inputs]) == 1
    assert "Fix:" in capsys.readouterr().out


def test_pictures_and_records_of_pictures(labels: Path, sent: list[str], tmp_path: Path, capsys: Any) -> None:
    import base64

    record = {"name": "mine", "image": {"b64": base64.b64encode(Path(sent[1]).read_bytes()).decode()}}
    (tmp_path / "in.json").write_text(json.dumps([record, record]))
    assert main(["predict", str(labels), sent[0], str(tmp_path / "in.json"), sent[2], "--json"]) == 0
    answers = lines(capsys.readouterr().out)
    assert [answer["name"] for answer in answers] == ["red.jpg", "mine", "mine", "green.bmp"]
    assert [answer["prediction"] for answer in answers] == ["red", "blue", "blue", "green"]


def test_picture_on_standard_input(labels: Path, sent: list[str]) -> None:
    command = [sys.executable, "-m", "fastmar_cli.main", "predict", str(labels), "-", "--json"]
    done = subprocess.run(command, input=Path(sent[0]).read_bytes(), capture_output=True, check=False)
    assert [answer["prediction"] for answer in lines(done.stdout.decode())] == ["red"], done.stderr


def test_save_writes_drawings(archive: Path, sent: list[str], tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "out"
    assert main(["predict", str(archive), *sent[:3], "--save", str(out)]) == 0
    names = ["answers.png"] if archive.stem == "label" else ["blue.png", "green.png", "red.png"]
    assert sorted(path.name for path in out.iterdir()) == names
    printed = capsys.readouterr().out
    for name in names:
        assert f"Written: {out / name}" in printed
        with Image.open(out / name) as written:
            assert written.size[0] >= 80


def test_mask_size_of_records_and_standard_input(
    sent: list[str], tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import base64

    archive = exported("mask", tmp_path)
    capsys.readouterr()
    data = Path(sent[0]).read_bytes()
    record = {"image": {"b64": base64.b64encode(data).decode()}}
    (tmp_path / "in.json").write_text(json.dumps([record, {**record, "mask_size": "model"}]))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert main(["predict", str(archive), "-", str(tmp_path / "in.json"), "--json", "--mask-size", "original"]) == 0
    assert [answer["prediction"]["width"] for answer in lines(capsys.readouterr().out)] == [80, 80, 48]


def test_mask_size(sent: list[str], tmp_path: Path, capsys: Any) -> None:
    archive = exported("mask", tmp_path)
    capsys.readouterr()
    for options, size in (([], 48), (["--mask-size", "original"], 80), (["--save", str(tmp_path / "o")], 80)):
        assert main(["predict", str(archive), sent[0], "--json", *options]) == 0
        [answer] = lines(capsys.readouterr().out)
        assert answer["prediction"]["width"] == size
        assert {entry["name"] for entry in answer["prediction"]["classes"]} <= {"ground", "thing", None}


def test_tabular_model_refuses_pictures(tmp_path: Path, sent: list[str], capsys: Any) -> None:
    from tests.export.tables import Case
    from tests.export.tables import make_learner as make_table_learner

    learn, _ = make_table_learner(Case())
    learn.export(tmp_path / "learner.pkl")
    assert main(["export", str(tmp_path / "learner.pkl"), "--name", "table", "--output", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "table.mar"), sent[0]]) == 1
    assert "InputUnreadable: " in capsys.readouterr().err


def test_archive_and_server_give_the_same_answers(
    archive: Path,
    scripted: Scripted,  # noqa: F811
    sent: list[str],
    tmp_path: Path,
    capsys: Any,
) -> None:
    predictor = Predictor.open(archive)

    def reply(seen: Seen) -> Reply:
        request = payload.read(seen.body, seen.headers["content-type"], predictor.spec)
        response = payload.write(request, predictor.predict(request.records), predictor.spec)
        return Reply(response.status, response.body)

    scripted.reply = reply
    (tmp_path / "bad.png").write_bytes(b"")
    inputs = [*sent * 4, str(tmp_path / "bad.png"), str(tmp_path / "none.png")]
    printed = []
    for target in (str(archive), f"{scripted.url}/predictions/{archive.stem}"):
        for options in ([], ["--mask-size", "original"]):
            assert main(["predict", target, *inputs, "--json", *options]) == 1
            printed.append(lines(capsys.readouterr().out))
    in_process, in_process_original, served, served_original = printed
    for by_server, by_archive in ((served, in_process), (served_original, in_process_original)):
        assert [answer["name"] for answer in by_server] == [Path(path).name for path in inputs]
        assert [answer.get("prediction") for answer in by_server] == [answer.get("prediction") for answer in by_archive]
        assert [a["error"]["code"] for a in by_server[-2:]] == [a["error"]["code"] for a in by_archive[-2:]]
    if archive.stem == "mask":
        assert served_original[0]["prediction"]["width"] == 80
    assert len(scripted.seen) == 2 * 2  # 24 valid pictures and an empty one, in requests of 16


@pytest.mark.parametrize("is_applied", [False, True])
def test_exif_orientation_is_applied_only_with_the_option(is_applied: bool, tmp_path: Path, capsys: Any) -> None:
    make_learner(tmp_path / "pictures", "mask").export(tmp_path / "learner.pkl")
    command = ["export", str(tmp_path / "learner.pkl"), "--name", "m", "--output", str(tmp_path)]
    assert main([*command, *(["--exif-transpose"] if is_applied else [])]) == 0
    assert "48 x 48" in capsys.readouterr().out
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    picture("red", 1).save(buffer, "JPEG", exif=exif)
    (tmp_path / "photo.jpg").write_bytes(buffer.getvalue())
    command = ["predict", str(tmp_path / "m.mar"), str(tmp_path / "photo.jpg"), "--mask-size", "original", "--json"]
    assert main(command) == 0
    [answer] = lines(capsys.readouterr().out)
    size = (answer["prediction"]["width"], answer["prediction"]["height"])
    assert size == ((60, 80) if is_applied else (80, 60))


def test_model_of_pictures_refuses_a_table(labels: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    assert main(["predict", str(labels), str(tmp_path / "rows.csv")]) == 1
    assert "InputUnreadable: " in capsys.readouterr().err


def test_inspect_shows_steps_and_shortens_base64(labels: Path, capsys: Any) -> None:
    assert main(["inspect", str(labels)]) == 0
    printed = capsys.readouterr().out
    assert "resize  size: 48, 48" in printed
    assert "int_to_float_tensor" in printed
    assert max(map(len, printed.splitlines())) < 300
    assert main(["inspect", str(labels.parent / "learner.pkl")]) == 0
    printed = capsys.readouterr().out
    assert "fastai.vision.augment.Resize; becomes: step resize" in printed
    assert "columns" not in printed


def test_verify_compares_with_fastai_and_refuses_another_learner(
    archive: Path, sent: list[str], tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = archive.parent / "learner.pkl"
    assert main(["verify", str(archive), "--learner", str(learner), "--data", *sent]) == 0
    printed = capsys.readouterr().out
    assert "golden records" in printed
    records = int(printed.partition(" records against fastai")[0].split()[-1])
    assert records >= len(sent) + 1
    from fastmar_oracle.comparison import load_learner

    learn = load_learner(learner)
    with torch.no_grad():
        list(learn.model.parameters())[-2].mul_(-1)
    learn.export(tmp_path / "other.pkl")
    assert main(["verify", str(archive), "--learner", str(tmp_path / "other.pkl")]) == 1
    assert "AnotherLearner" in capsys.readouterr().err
    monkeypatch.setattr("fastmar_oracle.comparison._check_same", lambda *_: None)  # like a forged hash
    assert main(["verify", str(archive), "--learner", str(tmp_path / "other.pkl")]) == 1
    assert "AnswersDiffer" in capsys.readouterr().err


def test_doctor_with_a_model_of_pictures(labels: Path, capsys: Any) -> None:
    assert main(["doctor", str(labels)]) == 0
    assert "ok     a request: {" in capsys.readouterr().out


@pytest.mark.parametrize("other", [True, False])
def test_verify_names_versions_of_pillow_if_answers_differ(
    other: bool, labels: Path, tmp_path: Path, capsys: Any
) -> None:
    recorded = Predictor.open(labels).spec.provenance
    assert recorded is not None
    assert {name: recorded[name] for name in ("pillow", "libjpeg")} == pillow_versions()
    changed = tamper(labels, tmp_path / "a.mar", "golden/answers.json", lambda data: data.replace(b'"red"', b'"pink"'))
    if other:
        here, there = (f'"pillow": "{version}"'.encode() for version in (recorded["pillow"], "8.2.0"))
        changed = tamper(changed, tmp_path / "b.mar", "spec.json", lambda data: data.replace(here, there))
    assert main(["verify", str(changed)]) == 1
    printed = " ".join(capsys.readouterr().err.split())
    assert "GoldenMismatch: " in printed
    libjpeg = f"(libjpeg {recorded['libjpeg']})"
    for version in ("8.2.0", recorded["pillow"]):
        assert (f"Pillow {version} {libjpeg}" in printed) is other


def test_unrecorded_versions_of_pillow_are_not_compared() -> None:
    assert (
        describe_other_versions(None)
        is describe_other_versions({})
        is describe_other_versions(pillow_versions())
        is None
    )
    assert "Pillow [] (libjpeg None)" in str(describe_other_versions({"pillow": []}))
    assert len(str(describe_other_versions({"pillow": "9" * 10_000}))) < 400


def test_function_that_cloudpickle_wrote_is_not_a_call(labels: Path) -> None:
    file = read_torch_file(labels.parent / "learner.pkl")
    assert file.calls == []
    assert [path_of(function) for function in file.functions] == ["fastai.vision.core.PILBase.create"]
