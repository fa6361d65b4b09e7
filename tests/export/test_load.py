"""`fastmar.load`: the answers of a server, in this process."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import fastmar
import fastmar_client
from fastmar_client import Client
from fastmar_contract.errors import RecordError
from fastmar_runtime.errors import BundleUnreadable, GoldenMismatch
from fastmar_runtime.predictor import Predictor
from tests.archives import changed, golden, tiny_archive
from tests.client.models import InProcess
from tests.pictures import picture
from tests.runtime import tiny

PICTURES = Path(__file__).parents[1] / "frozen" / "protocol-1" / "picture.mar"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_archive(tmp_path_factory.mktemp("store"), "1.2")


@pytest.fixture(scope="module")
def model(archive: Path) -> fastmar.Model:
    return fastmar.load(archive)


@pytest.fixture(scope="module")
def pictures() -> fastmar.Model:
    return fastmar.load(PICTURES)


def served(archive: Path) -> Client:
    return Client(transport=InProcess(Predictor.open(archive)))


def test_model_has_name_version_and_schema(model: fastmar.Model, archive: Path) -> None:
    assert (model.name, model.version, model.spec.kind) == ("tiny", "1.2", "tabular")
    assert model.schema == served(archive).schema("tiny")
    assert repr(model) == "<fastmar.Model tiny 1.2, tabular>"
    assert fastmar.load(str(archive)).spec == model.spec


RECORDS: list[Any] = [
    tiny.record(),
    tiny.record(age=np.float32(31), grade=np.int64(7), vip=np.bool_(True)),
    tiny.record(age=float("nan"), workclass=pd.NA),
    tiny.record(hours="old", age="young"),
    tiny.record(age=float("-inf")),
    tiny.record(extra={1}),
    {},
]


def test_answers_equal_those_of_a_server(model: fastmar.Model, archive: Path) -> None:
    expected = served(archive).predict("tiny", RECORDS)
    answers = model.predict(RECORDS)
    assert answers[:4] == expected[:4]
    assert [answer["error"]["field"] for answer in answers[3:]] == ["age", "age", None, "workclass"]
    assert [answer["error"]["code"] for answer in answers[5:]] == ["not_json", "missing_column"]
    assert answers[4]["error"]["code"] == "out_of_range", "infinity, which JSON can't express"
    assert [answer["error"]["record"] for answer in answers[3:]] == [3, 4, 5, 6]
    assert model.predict(iter(RECORDS)) == answers
    assert model.predict([]) == []
    assert model.predict(RECORDS[0]) == answers[0]


@pytest.mark.parametrize("record", RECORDS[3:])
def test_error_of_a_single_record_is_raised(model: fastmar.Model, record: Any) -> None:
    [answer] = model.predict([record])
    with pytest.raises(RecordError) as caught:
        model.predict(record)
    assert caught.value.as_dict(0) == answer


def test_data_frame(model: fastmar.Model) -> None:
    frame = pd.DataFrame([tiny.record(), tiny.record(age=None), tiny.record(hours="old")], index=[7, 7, 9])
    answers = model.predict(frame)
    assert [("prediction" in answer, "error" in answer) for answer in answers] == [
        (True, False),
        (True, False),
        (False, True),
    ]
    assert answers[2]["error"]["record"] == 2
    with pytest.raises(TypeError) as caught:
        model.predict(frame.iloc[0])
    assert "to_dict()" in str(caught.value)


@pytest.mark.parametrize("rows", [pd.DataFrame([tiny.record()]), pd.Series(tiny.record())], ids=["frame", "series"])
def test_explain_refuses_rows_and_names_the_conversion(model: fastmar.Model, rows: Any) -> None:
    with pytest.raises(TypeError, match="Fix: ") as caught:
        model.explain(rows)
    assert "to_dict()" in str(caught.value)


def test_paths_that_are_not_archives(tmp_path: Path) -> None:
    paths = {tmp_path: "bundle_not_found", "flights": "bundle_not_found", "http://127.0.0.1:8080": "bundle_is_url"}
    for path, code in paths.items():
        with pytest.raises(BundleUnreadable) as caught:
            fastmar.load(path)
        assert caught.value.code == code
        assert caught.value.message.startswith(str(path))
    assert "fastmar_client.Client" in caught.value.fix


@pytest.mark.parametrize("module", [fastmar, fastmar_client])
def test_dir_lists_the_public_names(module: ModuleType) -> None:
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("value", ["good film", b"\x89PNG", Path("cat.png"), io.BytesIO(b"BM"), 5])
def test_values_that_are_not_records(model: fastmar.Model, value: Any) -> None:
    [answer] = model.predict([value])
    assert answer["error"]["code"] in ("not_an_object", "file_unreadable")


def test_error_has_the_position_in_all_records(model: fastmar.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model._predictor.preprocess, "chunk", 3)
    answers = model.predict([tiny.record()] * 7 + [{}])
    assert [answer.get("error", {}).get("record") for answer in answers] == [None] * 7 + [7]


def test_pictures(pictures: fastmar.Model, tmp_path: Path) -> None:
    file = tmp_path / "red.png"
    picture("red", 1).save(file)
    expected = served(PICTURES).predict(pictures.name, file)
    image = Image.open(file)
    with file.open("rb") as opened:
        inputs = [file, str(file), file.read_bytes(), io.BytesIO(file.read_bytes()), opened, image, np.asarray(image)]
        answers = [pictures.predict(each) for each in inputs]
        assert pictures.predict(inputs) == answers
    assert answers[0] == expected
    assert [answer.get("name") for answer in answers] == ["red.png", "red.png", None, None, "red.png", None, None]
    for answer in answers:
        assert answer["probabilities"] == expected["probabilities"]
    assert pictures.predict(np.stack([np.asarray(image)] * 2)) == [answers[-1]] * 2
    assert pictures.predict(file, mask_size="original") == expected


def test_pictures_that_cannot_be_read(pictures: fastmar.Model, tmp_path: Path) -> None:
    with pytest.raises(RecordError) as caught:
        pictures.predict(tmp_path / "none.png")
    assert caught.value.code == "file_unreadable"
    with pytest.raises(RecordError):
        pictures.predict(b"BAD")
    with pytest.raises(TypeError) as text_file:
        pictures.predict(io.StringIO("text"))
    assert "'rb'" in str(text_file.value)
    with pytest.raises(ValueError, match="huge"):
        pictures.predict(b"", mask_size="huge")  # type: ignore[call-overload]


def test_recorded_answers_are_verified(tmp_path: Path) -> None:
    _, answers = golden(tiny_archive(tmp_path))
    answers[0]["probabilities"] = dict.fromkeys(answers[0]["probabilities"], 0.5)
    archive = changed(tmp_path / "tiny-1.0.mar", golden__answers=answers)
    with pytest.raises(GoldenMismatch):
        fastmar.load(archive)
    assert "prediction" in fastmar.load(archive, verify=False).predict(tiny.record())
    with pytest.raises(BundleUnreadable):
        fastmar.load(tmp_path / "none.mar")


def test_import_loads_no_slow_module_and_load_needs_no_extra(archive: Path) -> None:
    code = f"""
import sys
import fastmar
slow = {{"numpy", "onnxruntime", "PIL", "requests", "torch", "asyncio", "fastmar_client"}} & set(sys.modules)
assert not slow, slow
sys.modules.update(dict.fromkeys(("torch", "fastai", "onnx", "yaml", "requests", "httpx", "pandas", "rich")))
assert fastmar.load({str(archive)!r}).predict({tiny.record()!r})["warnings"] == []
assert fastmar.load({str(PICTURES)!r}).predict([b"BAD"])[0]["error"]
try:
    fastmar.export
except ModuleNotFoundError as error:
    assert "fastmar[export]" in str(error), error
else:
    raise AssertionError("export without torch")
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
