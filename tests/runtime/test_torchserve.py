"""The handler called by TorchServe's worker code, from requests to responses in TorchServe's wire format."""

from __future__ import annotations

import json
import logging
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from fastmar_runtime import payload, service
from fastmar_runtime.engines import torchserve
from fastmar_runtime.engines.torchserve import Handler
from fastmar_runtime.openapi import openapi
from fastmar_runtime.schema import describe
from fastmar_runtime.spec import Tensor
from tests.runtime import tiny, tiny_pictures

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    otf = pytest.importorskip("ts.protocol.otf_message_handler", exc_type=ImportError)
    Service = pytest.importorskip("ts.service", exc_type=ImportError).Service

JSON = "application/json"
MANIFEST = {"model": {"configFile": "model-config.yaml"}}


class Metrics:
    """The part of TorchServe's metrics that `Service.predict` touches."""

    request_ids = None

    def add_time(self, name, value):
        pass


class Socket:
    """A socket with a message of TorchServe's server."""

    def __init__(self, data):
        self.data = data

    def recv(self, length):
        piece, self.data = self.data[:length], self.data[length:]
        return piece


@dataclass
class Row:
    """A request: its parts by name, each (content type, bytes), and its headers."""

    parts: dict
    headers: dict


def post(body, content_type=JSON, **headers):
    """The row of a request with a body, which the server sends under "body" with the request's Content-Type."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    own = {"Content-Type": content_type} if content_type else {}
    return Row({"body": (content_type or "", data)}, own | headers)


def form(**fields):
    return Row({name: ("text/plain", value) for name, value in fields.items()}, {"content-type": "multipart/form-data"})


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("!i", len(value)) + value


END = struct.pack("!i", -1)


def encode(rows):
    message = b""
    for index, row in enumerate(rows):
        message += text(f"request-{index}")
        message += b"".join(text(name) + text(value) for name, value in row.headers.items()) + END
        message += b"".join(text(name) + text(ct) + text(data) for name, (ct, data) in row.parts.items()) + END
    return message + END


@dataclass
class Answer:
    status: int
    phrase: str
    content_type: str
    headers: dict
    body: bytes

    @property
    def json(self):
        return orjson.loads(self.body)


class Reader:
    def __init__(self, data):
        self.data, self.at = bytes(data), 0

    def integer(self):
        (value,) = struct.unpack_from("!i", self.data, self.at)
        self.at += 4
        return value

    def bytes(self):
        size = self.integer()
        self.at += size
        return self.data[self.at - size : self.at]

    def text(self):
        return self.bytes().decode("ascii")


def decode(frame):
    reader = Reader(frame)
    code, message = reader.integer(), reader.text()
    answers = {}
    while (size := reader.integer()) != -1:
        reader.at -= 4
        assert size > 0
        name, content_type = reader.text(), reader.text()
        status, phrase = reader.integer(), reader.text()
        headers = {reader.text(): reader.text() for _ in range(reader.integer())}
        answers[name] = Answer(status, phrase, content_type, headers, reader.bytes())
    assert reader.at == len(reader.data)
    return code, message, list(answers.values())


class Worker:
    """A worker of TorchServe, in this process."""

    def __init__(self, folder, metrics=None):
        self.handler = Handler()
        cache = metrics or Metrics()
        self.service = Service("tiny", str(folder), MANIFEST, self.handler.handle, None, 16, metrics_cache=cache)
        self.service.set_cl_socket(None)
        self.handler.initialize(self.service.context)

    def send(self, *rows):
        code, message, answers = decode(self.service.predict(otf._retrieve_inference_msg(Socket(encode(rows)))))
        assert (code, message) == (200, "Prediction success")
        assert len(answers) == len(rows)
        for answer in answers:
            assert answer.phrase == ("" if answer.status == 200 else torchserve.PHRASES[answer.status])
            assert answer.content_type in (JSON, "application/jsonlines", "text/html; charset=utf-8")
            assert answer.headers == {"content-type": answer.content_type}
        return answers


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.write_bundle(tmp_path_factory.mktemp("worker") / "model")


@pytest.fixture(scope="module")
def worker(folder):
    return Worker(folder)


@pytest.fixture(scope="module")
def good(predictor):
    return predictor.predict([tiny.record()])[0]


class TestFormats:
    def test_json(self, worker, good):
        (answer,) = worker.send(post(tiny.record()))
        assert (answer.status, answer.content_type, answer.json) == (200, JSON, good)
        assert b"\n" not in answer.body

    @pytest.mark.parametrize("spelling", ["content-type", "Content-type", "CONTENT-TYPE"])
    def test_header_names_are_case_insensitive(self, worker, good, spelling):
        line = orjson.dumps(tiny.record())
        (answer,) = worker.send(Row({"body": ("", line + b"\n" + line)}, {spelling: "application/jsonlines"}))
        assert (answer.content_type, answer.body.count(b"\n")) == ("application/jsonlines", 2)
        assert [orjson.loads(x) for x in answer.body.splitlines()] == [good, good]

    def test_list_instances_and_v2(self, worker, good):
        record = tiny.record()
        inputs = [{"name": n, "shape": [1], "datatype": "BYTES", "data": [v]} for n, v in record.items()]
        a, b, c = worker.send(post([record] * 2), post({"instances": [record]}), post({"inputs": inputs, "id": "7"}))
        assert a.json == [good, good]
        assert b.json == {"predictions": [good]}
        assert (c.json["id"], c.json["outputs"][0]["data"]) == ("7", [good["prediction"]])

    @pytest.mark.parametrize("content_type", ["text/csv", "text/csv; charset=utf-8"])
    def test_csv(self, worker, good, content_type):
        record = tiny.record()
        data = (",".join(record) + "\n" + ",".join(map(str, record.values())) + "\n").encode()
        (answer,) = worker.send(post(data, content_type))
        assert answer.json == [good]

    def test_a_form_with_a_part_named_data(self, worker, good):
        row = Row({"data": (JSON, orjson.dumps(tiny.record()))}, {"content-type": "multipart/form-data; boundary=x"})
        (answer,) = worker.send(row)
        assert answer.json == good

    def test_no_content_type(self, worker, good):
        (answer,) = worker.send(post(tiny.record(), None))
        assert answer.json == good

    @pytest.mark.parametrize(
        ("body", "status", "expected"), [([], 200, []), ({"instances": []}, 200, {"predictions": []})]
    )
    def test_empty(self, worker, body, status, expected):
        (answer,) = worker.send(post(body))
        assert (answer.status, answer.json) == (status, expected)

    @pytest.mark.parametrize("body", [0, None, False, "", {}, [None], b"", b"{", b"\xff\xfe", b'"\\ud800"', [[[]]]])
    def test_invalid_bodies(self, worker, body, good):
        bad, fine = worker.send(post(body), post(tiny.record()))
        assert bad.status == 400
        error = (bad.json[0] if isinstance(bad.json, list) else bad.json)["error"]
        assert error["message"]
        assert error["fix"]
        assert fine.json == good

    def test_invalid_json_is_not_logged(self, worker, caplog):
        with caplog.at_level(logging.INFO):
            [answer] = worker.send(post(b'{"age": '))
            assert (answer.status, answer.json["error"]["code"]) == (400, "bad_request")
            assert not caplog.records
            logging.warning("something else")
        assert [record.message for record in caplog.records] == ["something else"]


class TestRawBodies:
    """Bodies that the server's front passes as bytes, with the caller's Content-Type in a separate header."""

    def raw(self, body, content_type="", **headers):
        return post(body, "application/octet-stream", **{"fastmar-content-type": content_type}, **headers)

    @pytest.mark.parametrize("content_type", ["application/json", "", "text/plain"])
    def test_json(self, worker, good, content_type):
        (answer,) = worker.send(self.raw(orjson.dumps(tiny.record()), content_type))
        assert answer.json == good

    def test_csv_in_its_charset(self, worker, good):
        record = tiny.record()
        table = (",".join(record) + "\n" + ",".join(map(str, record.values())) + "\n").encode("utf-16")
        (answer,) = worker.send(self.raw(table, "application/csv; charset=utf-16"))
        assert answer.json == [good]

    def test_a_form_with_two_parts_of_the_same_name(self, worker, good):
        part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="r.json"\r\n\r\n%s\r\n'
        body = part % orjson.dumps(tiny.record()) * 2 + b"--b--\r\n"
        (answer,) = worker.send(self.raw(body, "multipart/form-data; boundary=b"))
        assert answer.json == [good, good]

    @pytest.mark.parametrize("body", [b"{", b"", b"{}"])
    def test_errors_of_v2_are_strings(self, worker, body):
        (answer,) = worker.send(self.raw(body, JSON, **{"fastmar-protocol": "v2"}))
        assert (answer.status, type(answer.json["error"])) == (400, str)


class TestBatches:
    def test_valid_and_invalid_requests_in_one_batch(self, worker, good, spec):
        rows = [
            post(tiny.record()),
            post(tiny.record(age="x")),
            post([tiny.record(), None]),
            post(b"not json"),
            post(tiny.record(), url_path="schema"),
            post({}, url_path="/openapi/"),
            post({}, url_path="no/such"),
            form(age=b"3"),
            Row({}, {}),
            post(b"", "application/schema-request+json"),
            post(b"age;hours\n1;2\n", "text/csv"),
            post(b"", "application/openapi-3.0.json-request+json"),
            post({}, url_path="docs"),
            post(tiny.record()),
        ]
        answers = worker.send(*rows)
        assert [a.status for a in answers] == [200, 400, 200, 400, 200, 200, 404, 400, 400, 200, 400, 200, 200, 200]
        assert answers[0].json == answers[-1].json == good
        assert answers[11].json["openapi"] == "3.0.3"
        assert (answers[12].content_type, answers[12].body[:15]) == ("text/html; charset=utf-8", b"<!doctype html>")
        assert answers[1].json["error"]["record"] == 0, "position in its request"
        assert answers[2].json[0] == good
        assert answers[2].json[1]["error"]["record"] == 1
        assert answers[4].json == answers[9].json == json.loads(json.dumps(describe(spec)))
        assert answers[5].json == json.loads(json.dumps(openapi(spec)))
        assert answers[6].json["error"]["code"] == "not_found"
        assert "Content-Type: application/json" in answers[7].json["error"]["fix"]
        assert [w["code"] for w in good["warnings"]] == []

    def test_user_text_is_not_in_phrases_or_headers(self, worker):
        hostile = "é\r\nX-Evil: 1"
        rows = [
            post(tiny.record(workclass=hostile) | {hostile: 1}),
            post(tiny.record(age=hostile)),
            post(hostile.encode(), "text/csv"),
            post({}, url_path=hostile),
            post(hostile.encode(), JSON, **{"X-Any": hostile}),
            post({}, f"application/{hostile}-request+json"),
        ]
        worker.send(*rows)  # which checks phrases and headers

    @pytest.mark.parametrize("body", [b'{"workclass": "\\ud800", "\\ud800": 1', b'{"workclass": 1' + b"0" * 400])
    def test_values_that_json_can_not_represent(self, worker, good, body):
        rest = orjson.dumps(tiny.record(workclass=...))[1:]
        odd, fine = worker.send(
            post(b"[" + body + b"," + rest + b"," + orjson.dumps(tiny.record()) + b"]"), post(tiny.record())
        )
        assert odd.status == 200
        assert odd.json[0]["warnings"]
        assert odd.json[1] == fine.json == good

    def test_nan_and_infinity(self, worker, good):
        body = orjson.dumps(tiny.record(age=..., hours=...))[:-1]
        nan, inf = worker.send(
            post(body + b', "age": NaN, "hours": 1}'), post(body + b', "age": 1, "hours": -Infinity}')
        )
        assert (nan.status, "prediction" in nan.json) == (200, True)
        assert inf.json["error"]["code"] == "out_of_range"

    def test_describe(self, worker, spec):
        (answer,) = worker.send(Row({}, {"describe": "True"}))
        assert answer.json == json.loads(json.dumps(describe(spec)))

    def test_a_describe_header_with_a_body_is_a_prediction(self, worker, good):
        request = post(tiny.record(), describe="True")
        first, second = worker.send(request, post(tiny.record()))
        assert first.json == second.json == good

    def test_headers_named_like_parts(self, worker, good):
        row = post(tiny.record())
        row.headers |= {"body": "x", "data": "y"}
        (answer,) = worker.send(row)
        assert answer.json == good


class TestFaults:
    def fail_on(self, monkeypatch, worker, module, name, marker):
        real = getattr(module, name)

        def fake(*arguments):
            if marker in repr(arguments):
                raise ZeroDivisionError(f"a bug, é\r\n{marker}")
            return real(*arguments)

        monkeypatch.setattr(module, name, fake)

    @pytest.mark.parametrize("where", ["predict", "write", "read"])
    def test_a_bug_fails_only_its_request(self, monkeypatch, worker, good, where, caplog):
        module = worker.handler._service._predictor if where == "predict" else payload
        self.fail_on(monkeypatch, worker, module, where, "kaboom")
        rows = [post(tiny.record()), post(tiny.record(workclass="kaboom")), post([tiny.record()]), post({})]
        with caplog.at_level(logging.CRITICAL, logger=torchserve.__name__):
            a, b, c, d = worker.send(*rows)
        assert (a.json, c.json) == (good, [good])
        assert (b.status, b.json["error"]["code"]) == (500, "internal")
        assert b"ZeroDivision" not in b.body
        assert d.status == 400

    def test_a_response_over_the_limit(self, folder, monkeypatch):
        monkeypatch.setenv(torchserve.MAX_RESPONSE, str(64 * 1024 + 2000))
        worker = Worker(folder)
        small, large = worker.send(post([tiny.record()]), post([tiny.record()] * 20))
        assert small.status == 200
        assert large.status == 413
        assert large.json["error"]["code"] == "response_too_large"
        assert " 20 " in large.json["error"]["fix"]


def table(rows):
    """A CSV in which every second row is ragged."""
    return ("age,hours\n" + "".join("1,2\n\n" if row % 2 else "1\n" for row in range(rows))).encode()


MANY = {
    "list": lambda n: post([tiny.record()] * n),
    "no records": lambda n: post([0] * n),
    "instances": lambda n: post({"instances": [tiny.record()] * n}),
    "v2": lambda n: post({"inputs": [{"name": k, "data": [v] * n} for k, v in tiny.record().items()]}),
    "lines": lambda n: post(orjson.dumps(tiny.record()) + b"\n" + b"oops\n\n" * (n - 1), "application/jsonlines"),
    "csv": lambda n: post(table(n), "text/csv"),
}


class TestManyRecords:
    """Requests with too many records are refused before the model is called."""

    @pytest.fixture
    def limited(self, folder, monkeypatch):
        """A worker that accepts five records per request, and the numbers of records of calls of its model."""
        monkeypatch.setattr(service, "MAX_RECORDS", 5)
        worker = Worker(folder)
        predictor, counts = worker.handler._service._predictor, []
        predict = predictor.predict
        monkeypatch.setattr(predictor, "predict", lambda records, _: counts.append(len(records)) or predict(records))
        return worker, counts

    @pytest.mark.parametrize("body", MANY.values(), ids=MANY)
    def test_they_are_refused_and_others_answered(self, limited, body, good):
        worker, counts = limited
        allowed, refused, other = worker.send(body(5), body(6), post(tiny.record()))
        assert allowed.status != 413
        assert refused.status == 413
        error = refused.json["error"]
        assert isinstance(error, str) or error["code"] == "too_many_records"
        assert " 5 records" in str(error)
        assert other.json == good
        assert sum(counts) == 6

    def test_a_large_batch_is_answered_request_by_request(self, limited, good):
        worker, counts = limited
        answers = worker.send(*[post([tiny.record()] * 3)] * 3)
        assert [answer.json for answer in answers] == [[good] * 3] * 3
        assert max(counts) <= 5

    def test_a_million_records_are_not_passed_to_the_model(self, folder, monkeypatch):
        worker = Worker(folder)
        records_of_model = []
        monkeypatch.setattr(
            worker.handler._service._predictor, "predict", lambda records, _: records_of_model.extend(records) or []
        )
        (answer,) = worker.send(post(b"[" + b"0," * 1_000_000 + b"0]"))
        assert (answer.status, records_of_model) == (413, [])

    def test_the_limit_depends_on_the_size_of_answers(self, tmp_path, monkeypatch):
        """Records whose answers can't fit are refused before scoring, which needs more memory than the answers."""
        labels = [f"label {number}" for number in range(1000)]
        weights = [[0.001 * label for label in range(1000)]] * 6
        outputs = (Tensor("output", "float32", ("batch", 1000)),)
        spec = tiny.spec(decode={**tiny.CATEGORY_DECODER, "vocab": labels}, outputs=outputs)
        bundle = tiny.write_bundle(tmp_path / "model", spec, tiny.graph(weights))
        monkeypatch.setenv(torchserve.MAX_RESPONSE, str(500_000))
        worker = Worker(bundle)
        few, many = worker.send(post([tiny.record()] * 2), post([tiny.record()] * 100))
        assert (few.status, many.status) == (200, 413)
        limit = int(many.json["error"]["fix"].split("at most ")[1].split()[0])
        assert 500_000 // len(few.body) < limit < 100


class TestLoading:
    def load_error(self, folder, capsys):
        with pytest.raises(SystemExit) as caught:
            Worker(folder)
        assert caught.value.code == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("fastmar: tiny can't be served: ")
        assert " Fix: " in line
        return line

    def test_a_different_runtime(self, bundle, capsys):
        tiny.rewrite_spec(bundle, runtime="9.9")
        assert "runtime 9.9" in self.load_error(bundle, capsys)

    def test_an_unknown_protocol(self, bundle, capsys):
        tiny.rewrite_spec(bundle, protocol=99)
        assert "protocol 99" in self.load_error(bundle, capsys)

    def test_a_damaged_graph(self, bundle, capsys):
        (bundle / "model.onnx").write_bytes(tiny.graph()[:-40])
        assert "model.onnx" in self.load_error(bundle, capsys)

    def test_a_changed_graph(self, bundle, capsys):
        (bundle / "model.onnx").write_bytes(tiny.graph(tiny.WEIGHTS * 2))
        assert "output differs" in self.load_error(bundle, capsys)

    def test_a_graph_with_other_inputs(self, bundle, capsys):
        (bundle / "model.onnx").write_bytes(tiny.date_graph())
        assert "['x_cont']" in self.load_error(bundle, capsys)

    @pytest.mark.parametrize("name", ["spec.json", "model.onnx", "golden/records.json", "golden/arrays/output.npy"])
    @pytest.mark.parametrize("damage", ["missing", "truncated"])
    def test_a_missing_or_truncated_member(self, bundle, capsys, name, damage):
        path = bundle / name
        path.unlink() if damage == "missing" else path.write_bytes(path.read_bytes()[:9])
        self.load_error(bundle, capsys)

    def test_a_bug_while_loading(self, bundle, capsys, monkeypatch):
        def fail(*_):
            raise ZeroDivisionError("several\nlines")

        monkeypatch.setattr(torchserve, "open_checked", fail)
        assert "ZeroDivisionError" in self.load_error(bundle, capsys)

    @pytest.mark.parametrize("config", ["", "fastmar:\n", "fastmar: {}\n", "minWorkers: 1\n"])
    def test_configuration_without_settings(self, bundle, config):
        (bundle / "model-config.yaml").write_text(config)
        (answer,) = Worker(bundle).send(post(tiny.record()))
        assert answer.status == 200


def test_the_handler_file_defines_exactly_one_class():
    source = (Path(torchserve.__file__).parents[2] / "fastmar_handler.py").read_text()
    scope = {"__name__": "fastmar_handler"}
    exec(compile(source, "fastmar_handler.py", "exec"), scope)
    classes = [v for v in scope.values() if isinstance(v, type) and v.__module__ == "fastmar_handler"]
    assert [cls.__name__ for cls in classes] == ["FastmarHandler"]
    assert issubclass(classes[0], Handler)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    model = tiny_pictures.predictor()
    folder = tiny.write_files(
        tmp_path_factory.mktemp("pictures") / "model",
        model.spec,
        tiny_pictures.graph(),
        tiny.golden(model, [{"image": tiny_pictures.b64(tiny_pictures.picture()), "name": "a"}]),
    )
    return Worker(folder)


class TestPictures:
    """Rows of pictures: bodies, and parts of a form by name."""

    def test_a_picture_as_the_body(self, pictures):
        red = tiny_pictures.picture("red")
        for content_type in ("image/png", "application/x-image", ""):
            (answer,) = pictures.send(post(red, content_type))
            assert (answer.status, answer.json["prediction"]) == (200, "red")

    def test_forms_and_json_in_one_batch(self, pictures):
        red, blue = tiny_pictures.picture("red"), tiny_pictures.picture("blue")
        parts = {
            "b.png": ("image/png", blue),
            "bad": ("", b"x"),
            "a.png": ("image/png", red),
            "note": ("text/plain", b"hi"),
        }
        rows = [
            Row(parts, {"content-type": "multipart/form-data"}),
            post({"image": {"b64": tiny_pictures.b64(red)}}),
            Row({}, {"content-type": "multipart/form-data"}),
            Row({"model_name": ("", b"m"), "body": ("image/png", blue)}, {}),
        ]
        many, one, nothing, query = pictures.send(*rows)
        assert [row["name"] for row in many.json] == ["b.png", "bad", "a.png"]
        assert [row.get("prediction") for row in many.json] == ["blue", None, "red"]
        assert one.json["prediction"] == "red"
        assert nothing.status == 400
        assert query.json["prediction"] == "blue"


@pytest.mark.parametrize(
    ("settings", "omp", "expected"),
    [
        ({}, "8", 1),
        ({"threads": 3}, "8", 3),
        ({"threads": 0}, "4", 4),
        ({"threads": 0}, "2,1", 2),
        ({"threads": 0}, "x", None),
    ],
)
def test_threads(monkeypatch, settings, omp, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", omp)
    assert torchserve._threads(settings) == (expected or len(torchserve.os.sched_getaffinity(0)))
