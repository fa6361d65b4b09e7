from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import orjson
import pytest

import fastmar_runtime
from fastmar_contract.errors import RecordError
from fastmar_runtime import payload, predictor
from fastmar_runtime.errors import BundleUnreadable, ProtocolUnknown
from fastmar_runtime.modalities.tabular.preprocessing import CHUNK
from fastmar_runtime.predictor import BundleFiles, Predictor
from tests.runtime import tiny

RUNTIME = Path(fastmar_runtime.__file__).parents[1]


class TestAnswers:
    def test_answer_agrees_with_a_manual_computation(self, predictor):
        (answer,) = predictor.predict([tiny.record()])
        x = np.array([1, 2, 2, 1, 0.9, (40.5 - 38) / 8], dtype=np.float32)
        output = x @ tiny.WEIGHTS
        e = np.exp(output - output.max())
        assert answer["probabilities"] == pytest.approx(dict(zip(["<50k", ">=50k"], e / e.sum(), strict=True)))
        assert answer["index"] == int(output.argmax())
        assert answer["warnings"] == []

    def test_no_records(self, predictor):
        assert predictor.predict([]) == []

    def test_answers_do_not_depend_on_the_batch(self, predictor):
        records = [tiny.record(age=age, grade=grade) for age in range(20) for grade in (3, 7, None)]
        together = predictor.predict(records)
        assert together == [predictor.predict([r])[0] for r in records]

    def test_invalid_records_do_not_affect_others(self, predictor):
        bad = [
            None,
            [],
            {},
            tiny.record(age="x"),
            tiny.record(hours=...),
            tiny.record(hours=None),
            tiny.record(hours=math.nan),
            tiny.record(age=math.inf),
            tiny.record(age=-3.5e38),
            tiny.record(age=10**400),
            tiny.record(workclass=["x"]),
            RecordError("ragged_row", "m", fix="f"),
        ]
        good = predictor.predict([tiny.record()])[0]
        mixed = [record for b in bad for record in (tiny.record(), b)]
        answers = predictor.predict(mixed)
        assert answers[::2] == [good] * len(bad)
        for position, answer in enumerate(answers[1::2]):
            assert answer.keys() == {"error"}
            assert answer["error"].keys() - {"errors"} == {"code", "field", "record", "message", "fix"}
            assert answer["error"]["record"] == 2 * position + 1
            assert answer["error"]["message"]
            assert answer["error"]["fix"]

    def test_only_invalid_records(self, predictor):
        assert [sorted(a) for a in predictor.predict([None, {}])] == [["error"], ["error"]]

    def test_a_null_that_is_not_filled(self, predictor):
        (answer,) = predictor.predict([tiny.record(hours=None)])
        assert (answer["error"]["code"], answer["error"]["field"]) == ("null_not_filled", "hours")

    def test_a_null_that_is_filled(self, predictor):
        (answer,) = predictor.predict([tiny.record(age=None)])
        assert "prediction" in answer
        assert answer["probabilities"] != predictor.predict([tiny.record(age=40.0)])[0]["probabilities"], (
            "the flag column is an input"
        )

    def test_more_records_than_a_chunk(self, predictor):
        records = [tiny.record(age=row % 70) for row in range(CHUNK + 3)]
        records[CHUNK + 1] = None
        answers = predictor.predict(records)
        assert len(answers) == len(records)
        assert answers[CHUNK + 1]["error"]["record"] == CHUNK + 1
        assert answers[CHUNK + 2] == predictor.predict([records[CHUNK + 2]])[0]

    @pytest.mark.parametrize(
        "value",
        ["\ud800", 10**25, 10**5000, -(2**63) - 1, 2**63, math.inf, "\x00", "é" * 10],
        ids=lambda v: type(v).__name__,
    )
    def test_any_value_is_serializable_in_warnings(self, predictor, value):
        answers = predictor.predict([tiny.record(workclass=value) | {"\ud83d": value}, tiny.record()])
        body = payload.write(payload.Request([{}, {}]), answers, predictor.spec).body
        (odd, good) = json.loads(body.decode("utf-8"))
        assert [w["code"] for w in odd["warnings"]] == ["extra_column", "unknown_category"]
        assert good["warnings"] == []

    @pytest.mark.parametrize(
        "decode",
        [tiny.CATEGORY_DECODER, tiny.MULTI_DECODER, tiny.ONE_NUMBER_DECODER, tiny.RAW_DECODER],
        ids=lambda d: d["decoder"],
    )
    def test_a_record_whose_output_overflows_is_refused(self, decode):
        spec = tiny.spec(decode=decode)
        weights = tiny.weights_for(spec).copy()
        weights[-1] = 3e38  # hours: far from the mean it overflows
        model = Predictor(spec, tiny.graph(weights))
        usual = tiny.record(hours=38.0)
        before, bad, after = model.predict([usual, tiny.record(hours=1e6), usual])
        assert "prediction" in before
        assert before == after
        assert bad["error"]["code"] == "not_finite"
        assert bad["error"]["record"] == 1

    def test_dates(self, date_predictor):
        parts = {"saleYear": 2024, "saleMonth": 1, "saleWeek": 5, "saleIs_month_end": True, "saleElapsed": 1706659200}
        answers = date_predictor.predict(
            [{"saledate": "2024-01-31"}, {"sale": "2024-01-31"}, parts, {}, {"saledate": None}]
        )
        assert answers[0]["prediction"] == pytest.approx([2024, 1, 5, 1, 1706659200])
        assert answers[0] == answers[1] == answers[2]
        assert [a["error"]["code"] for a in answers[3:]] == ["missing_column", "null_not_filled"]

    def test_concurrent_calls(self, predictor):
        records = [[tiny.record(age=age)] * 3 for age in range(60)]
        expected = [predictor.predict(r) for r in records]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(predictor.predict, records)) == expected

    def test_records_are_not_changed(self, predictor):
        record = tiny.record(age=None, extra=[1])
        before = dict(record)
        predictor.predict([record])
        assert record == before


class TestOpen:
    def test_folder_and_archive(self, bundle, tmp_path, predictor):
        archive = tmp_path / "tiny.mar"
        with zipfile.ZipFile(archive, "w") as zipped:
            for path in bundle.rglob("*"):
                zipped.write(path, path.relative_to(bundle))
        expected = predictor.predict([tiny.record()])
        assert Predictor.open(bundle).predict([tiny.record()]) == expected
        assert Predictor.open(str(archive)).predict([tiny.record()]) == expected

    def error_of(self, path):
        """The code of the error of opening a bundle."""
        with pytest.raises(BundleUnreadable) as caught:
            Predictor.open(path)
        return caught.value.code

    def test_a_missing_archive(self, tmp_path):
        assert self.error_of(tmp_path / "nothing.mar") == "bundle_not_found"

    @pytest.mark.parametrize("name", ["spec.json", "model.onnx"])
    def test_a_missing_member_of_a_folder(self, bundle, name):
        (bundle / name).unlink()
        with pytest.raises(BundleUnreadable) as caught:
            Predictor.open(bundle)
        assert caught.value.code == "bundle_not_found"
        assert name in caught.value.message

    def test_an_archive_of_another_program(self, tmp_path):
        archive = tmp_path / "other.mar"
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("MAR-INF/MANIFEST.json", "{}")
        assert self.error_of(archive) == "member_missing"

    @pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\x03\x04 cut off"])
    def test_files_that_are_not_archives(self, tmp_path, data):
        archive = tmp_path / "bad.mar"
        archive.write_bytes(data)
        assert self.error_of(archive) == "bundle_damaged"

    def test_a_flipped_byte(self, tmp_path, bundle):
        archive = tmp_path / "tiny.mar"
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.write(bundle / "spec.json", "spec.json")
        data = bytearray(archive.read_bytes())
        data[200] ^= 1
        archive.write_bytes(data)
        assert self.error_of(archive) == "bundle_damaged"

    @pytest.mark.parametrize(
        "data", [b"{", b"", b"[]", b"3", b'{"protocol": "1"}', b'{"protocol": 1}', b'{"protocol": 1, "fields": 3}']
    )
    def test_a_damaged_spec(self, bundle, data):
        (bundle / "spec.json").write_bytes(data)
        with pytest.raises(BundleUnreadable) as caught:
            Predictor.open(bundle)
        assert "spec.json" in caught.value.message

    @pytest.mark.parametrize("protocol", [0, 2, 99])
    def test_an_unknown_protocol(self, bundle, protocol):
        tiny.rewrite_spec(bundle, protocol=protocol)
        with pytest.raises(ProtocolUnknown) as caught:
            Predictor.open(bundle)
        assert f"protocol {protocol};" in caught.value.message

    @pytest.mark.parametrize(
        "steps",
        [
            [{"step": "no_such"}],
            [{}],
            [3],
            [{"step": "normalize"}],
            [{"step": "categorify", "vocabularies": 3}],
            [{"step": ["x"]}],
            [{"step": "__init__"}],
        ],
    )
    def test_damaged_steps(self, bundle, steps):
        tiny.rewrite_spec(bundle, steps=steps)
        with pytest.raises(BundleUnreadable) as caught:
            Predictor.open(bundle)
        assert "step" in caught.value.message

    @pytest.mark.parametrize("data", [b"", b"no graph", tiny.graph()[:-40]])
    def test_a_damaged_graph(self, bundle, data):
        (bundle / "model.onnx").write_bytes(data)
        with pytest.raises(BundleUnreadable) as caught:
            Predictor.open(bundle)
        assert "model.onnx" in caught.value.message

    def test_spec_round_trip(self, bundle):
        assert Predictor.open(bundle).spec == tiny.spec()
        assert orjson.loads(BundleFiles(bundle).read("spec.json"))["protocol"] == 1


BLOCKED = """
import sys
FOREIGN = {"fastai", "fastcore", "torch", "torchvision", "pandas", "ts", "onnx", "requests", "rich", "yaml"}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in FOREIGN:
            raise ImportError("blocked: " + name)
sys.meta_path.insert(0, Blocker())
"""

ANSWER = """
import json
from fastmar_runtime.engines.torchserve import open_checked
from fastmar_runtime.openapi import openapi
from fastmar_runtime.schema import describe
model = open_checked(sys.argv[1], 1)
describe(model.spec), openapi(model.spec)
print(json.dumps(model.predict(json.loads(sys.argv[2]))))
"""

IMPORTS = """
import sys
import numpy, onnxruntime, orjson
before = {name.split(".")[0] for name in sys.modules}
import importlib, pkgutil
import fastmar_runtime
for module in pkgutil.walk_packages(fastmar_runtime.__path__, "fastmar_runtime."):
    if module.name != "fastmar_runtime.engines.uvicorn_protocol":  # only imported where uvicorn runs
        importlib.import_module(module.name)
new = {name.split(".")[0] for name in sys.modules} - before
print(*sorted(new - set(sys.stdlib_module_names)))
"""


def run(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(RUNTIME), "PATH": ""},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_predicts_without_fastai_torch_and_pandas(bundle, predictor):
    records = [tiny.record(), tiny.record(age=None)]
    assert json.loads(run(BLOCKED + ANSWER, bundle, json.dumps(records))) == predictor.predict(records)


def test_blocked_imports_fail():
    with pytest.raises(AssertionError) as caught:
        run(BLOCKED + "import pandas")
    assert "blocked: pandas" in str(caught.value)


def test_imports_only_its_dependencies():
    assert set(run(IMPORTS).split()) <= {"fastmar_contract", "fastmar_runtime", "PIL"}


class TestCookbook:
    """The learner of the book, exported by an old fastai: answers agree with `learn.predict`, row by row."""

    @pytest.fixture
    def model(self, adult):
        return Predictor.open(adult)

    @pytest.fixture
    def expected(self, cookbook):
        return json.loads((cookbook / "adult_sample_predictions.json").read_text())["predictions"]

    def check(self, answers, expected):
        assert len(answers) == len(expected)
        for answer, theirs in zip(answers, expected, strict=True):
            assert answer["prediction"] == theirs["label"]
            assert list(answer["probabilities"].values()) == pytest.approx(theirs["probabilities"], abs=1e-5)
            assert answer["warnings"] == []

    def test_csv(self, model, cookbook, expected):
        request = payload.read((cookbook / "adult_sample_test.csv").read_bytes(), "text/csv", model.spec)
        self.check(model.predict(request.records), expected)

    def test_json(self, model, cookbook, expected):
        numbers = {f.name for f in model.spec.fields if f.kind == "number"}
        with (cookbook / "adult_sample_test.csv").open(newline="") as file:
            records = [
                {name: None if cell == "" else float(cell) if name in numbers else cell for name, cell in row.items()}
                for row in csv.DictReader(file)
            ]
        self.check(model.predict(records), expected)

    def test_categories_without_spaces_get_the_same_answers_and_warnings(self, model, cookbook, expected):
        text = (cookbook / "adult_sample_test.csv").read_text().replace(", ", ",")
        answers = model.predict(payload.read(text, "text/csv", model.spec).records)
        assert {w["code"] for a in answers for w in a["warnings"]} == {"category_whitespace"}
        self.check([answer | {"warnings": []} for answer in answers], expected)


class TestProviders:
    def test_without_a_gpu(self) -> None:
        assert predictor.providers(None) == ["CPUExecutionProvider"]

    def test_a_build_without_cuda(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(predictor.ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
        assert predictor.providers(0) == ["CPUExecutionProvider"]

    def test_cuda_without_tf32(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            predictor.ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
        )
        first, last = predictor.providers(1)
        assert first == ("CUDAExecutionProvider", {"device_id": 1, "use_tf32": 0})
        assert last == "CPUExecutionProvider"


def test_telemetry_of_onnx_runtime_is_disabled_before_its_import() -> None:
    code = (
        "import os, sys; os.environ.pop('ORT_DISABLE_TELEMETRY', None)\n"
        "import fastmar_runtime; assert 'onnxruntime' not in sys.modules\n"
        "sys.exit(os.environ.get('ORT_DISABLE_TELEMETRY') != '1')"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
