"""The container under SageMaker's contract: command, mounts, users, variables, routes and signals.

Reference: SageMaker developer guide, "Custom Inference Code with Hosting Services" and "... with Batch Transform".
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.docker.clouds import (
    IMAGES,
    Container,
    Streams,
    container,
    docker,
    environment,
    mounted,
    picture_archive,
    table_archive,
)
from tests.runtime import tiny, tiny_pictures

from fastmar_serving.clouds.sagemaker.package import package

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("image")]

RECORDS = [tiny.record(age=20 + n) for n in range(5)]
MODEL = "/opt/ml/model"
# Variables that AWS sets in addition to those of the model's definition.
HOSTING = {"AWS_REGION": "eu-west-1", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/1"}
BATCH = {
    **HOSTING,
    "SAGEMAKER_BATCH": "true",
    "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6",
    "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD",
    "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "4",
}


def unpack(archive: Path, folder: Path) -> Path:
    """Write the model.tar.gz of an archive, and unpack it as SageMaker does before the container starts."""
    packed = package([archive], folder / "model.tar.gz")
    (folder / "model").mkdir()
    subprocess.run(["tar", "-xzf", packed.path, "-C", folder / "model"], check=True)
    return folder / "model"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    return unpack(table_archive(folder / "store"), folder)


@pytest.fixture(scope="module", params=["an endpoint, as the image's user", "a batch, as root"])
def endpoint(request: pytest.FixtureRequest, tables: Path) -> Iterator[Container]:
    """AWS documents root as the user; the image's user must also work."""
    as_root = request.param.endswith("root")
    options = (*mounted(tables, MODEL), *environment(BATCH if as_root else HOSTING), *(["--user=0"] if as_root else []))
    with container(*options, command=["serve"]) as running:
        running.wait()
        yield running


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    folder = tmp_path_factory.mktemp("pictures")
    model = unpack(picture_archive(folder / "store"), folder)
    with container(*mounted(model, MODEL), command=["serve"]) as running:
        running.wait()
        yield running


class TestHealth:
    def test_health_under_load_and_drain_before_sigkill(self, each_image: str, tables: Path) -> None:
        """/ping does not wait for predictions. As root, which AWS documents as the user."""
        options = ("--user=0", *mounted(tables, MODEL))
        with container(*options, image=each_image, command=["serve"]) as running:
            assert running.wait() == ([503, 200] if each_image == IMAGES["torchserve"] else [200])
            busy = Streams(running, "/invocations", json.dumps(RECORDS * 2000).encode())
            with busy.running(8):
                for _ in range(20):
                    assert running.get("/ping", timeout=30).status == 200
            assert set(busy.outcomes) == {"200"}
            streams = Streams(running, "/invocations", json.dumps(RECORDS).encode())
            with streams.running(8):
                docker("stop", "--time", "30", running.id)
            assert set(streams.outcomes) == {"200"}
            assert running.exit_code == 0  # no SIGKILL

    def test_damaged_archive_is_never_healthy_and_named_in_the_log(self, tables: Path, tmp_path: Path) -> None:
        data = next(tables.glob("*.mar")).read_bytes()
        (tmp_path / "tiny.mar").write_bytes(data[: len(data) // 2])
        tmp_path.chmod(0o755)
        with container(*mounted(tmp_path, MODEL), command=["serve"]) as running:
            with pytest.raises(AssertionError, match="never ready"):
                running.wait()
            assert running.exit_code == 1
            assert "ArchiveRefused" in running.log()
            assert f"{MODEL}/tiny.mar" in running.log()

    def test_names_a_folder_that_only_root_can_read(self, tmp_path: Path) -> None:
        table_archive(tmp_path)
        tmp_path.chmod(0o700)
        with container(*mounted(tmp_path, MODEL), command=["serve"]) as running:
            with pytest.raises(AssertionError, match="never ready"):
                running.wait()
            assert "ConfigRefused" in running.log()
            assert f"{MODEL} can't be read" in running.log()

    def test_port_if_several_containers_share_an_instance(self, tables: Path) -> None:
        options = (*mounted(tables, MODEL), *environment({"SAGEMAKER_BIND_TO_PORT": "14000"}))
        with container(*options, command=["serve"], port=14000) as running:
            assert running.wait()[-1] == 200

    def test_needs_no_network(self, tables: Path) -> None:
        """Network isolation: only the platform's proxy can connect."""
        script = (
            "import json, sys, urllib.request as u\n"
            "sent = u.Request('http://127.0.0.1:8080/invocations', sys.argv[1].encode(), "
            "{'Content-Type': 'application/json'})\n"
            "print(u.urlopen(sent).read().decode())"
        )
        with container("--network", "none", *mounted(tables, MODEL), command=["serve"]) as running:
            end = time.monotonic() + 60
            while "Ready" not in running.log() and time.monotonic() < end:
                time.sleep(0.2)
            printed = docker("exec", running.id, "python", "-c", script, json.dumps(RECORDS[0]))
        assert "prediction" in json.loads(printed)


class TestInvocations:
    def test_a_record(self, endpoint: Container) -> None:
        answer = endpoint.post_json("/invocations", RECORDS[0])
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert answer.json() == tiny.predictor().predict(RECORDS[:1])[0]

    def test_a_list_and_instances(self, endpoint: Container) -> None:
        expected = tiny.predictor().predict(RECORDS)
        assert endpoint.post_json("/invocations", RECORDS).json() == expected
        assert endpoint.post_json("/invocations", {"instances": RECORDS}).json() == {"predictions": expected}

    @pytest.mark.parametrize("content_type", ["application/jsonlines", "application/x-jsonlines"])
    def test_one_line_for_each_json_line(self, endpoint: Container, content_type: str) -> None:
        answer = endpoint.post("/invocations", lines(RECORDS), content_type)
        assert answer.content_type == "application/jsonlines"
        assert answer.lines() == tiny.predictor().predict(RECORDS)

    def test_a_table(self, endpoint: Container) -> None:
        table = "workclass,grade,vip,age,hours\n Private,7,True,49,40.5\n State-gov,3,False,,10\n"
        answer = endpoint.post("/invocations", table.encode(), "text/csv; charset=utf-8")
        records = [tiny.record(), tiny.record(workclass=" State-gov", grade=3, vip=False, age=None, hours=10)]
        assert answer.json() == tiny.predictor().predict(records)

    @pytest.mark.parametrize("content_type", ["application/x-image", "image/jpeg"])
    def test_a_picture(self, pictures: Container, content_type: str) -> None:
        photo = tiny_pictures.picture("red", kind="JPEG")
        answer = pictures.post("/invocations", photo, content_type)
        assert (answer.status, answer.json()["prediction"]) == (200, "red")

    def test_a_picture_in_json(self, pictures: Container) -> None:
        photo = {"image": {"b64": tiny_pictures.b64(tiny_pictures.picture("blue"))}}
        assert pictures.post_json("/invocations", photo).json()["prediction"] == "blue"

    def test_six_megabytes_the_limit_of_sagemaker(self, endpoint: Container) -> None:
        records = [tiny.record(age=n % 90) for n in range(6_000_000 // len(lines([tiny.record(age=10)])))]
        body = lines(records)
        assert 5_900_000 < len(body) <= 6_000_000
        answer = endpoint.post("/invocations", body, "application/jsonlines")
        assert answer.status == 200
        assert answer.body.count(b"\n") == len(records)
        assert answer.lines()[:3] == tiny.predictor().predict(records[:3])

    def test_body_over_the_limit_has_status_413(self, endpoint: Container) -> None:
        assert endpoint.post("/invocations", b"[" + b" " * 17_000_000 + b"]", "application/json").status == 413

    def test_invalid_record_has_status_400_with_field_and_fix(self, endpoint: Container) -> None:
        answer = endpoint.post_json("/invocations", tiny.record(age="old"))
        assert answer.status == 400
        assert answer.json()["error"]["field"] == "age"
        assert answer.json()["error"]["fix"]

    def test_one_invalid_record_of_a_list(self, endpoint: Container) -> None:
        answer = endpoint.post_json("/invocations", [RECORDS[0], tiny.record(age="old"), RECORDS[1]])
        assert answer.status == 200
        assert [("error" in one) for one in answer.json()] == [False, True, False]

    def test_invalid_json_has_status_400(self, endpoint: Container) -> None:
        answer = endpoint.post("/invocations", b"{half", "application/json")
        assert (answer.status, answer.json()["error"]["code"]) == (400, "bad_request")

    @pytest.mark.parametrize("accept", ["*/*", "application/json", "text/csv", "application/jsonlines;verbose=true"])
    def test_ignores_the_header_accept(self, endpoint: Container, accept: str) -> None:
        """SageMaker passes Accept on; the format of the answer is that of the request."""
        answer = endpoint.post("/invocations", json.dumps(RECORDS).encode(), "application/json", {"Accept": accept})
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert answer.json() == tiny.predictor().predict(RECORDS)

    def test_ignores_headers_of_sagemaker_and_needs_no_key(self, endpoint: Container) -> None:
        headers = {
            "X-Amzn-SageMaker-Custom-Attributes": "trace=1",
            "X-Amzn-SageMaker-Inference-Id": "a-1",
            "X-Amzn-SageMaker-Target-Variant": "AllTraffic",
        }
        body = json.dumps(RECORDS[0]).encode()
        assert endpoint.post("/invocations", body, "application/json", headers).status == 200


class TestBatchTransform:
    def test_one_answer_for_each_line_of_a_mini_batch(self, endpoint: Container) -> None:
        """BatchStrategy MultiRecord with SplitType Line: SageMaker joins such answers to one file."""
        records: list[Any] = [*RECORDS, tiny.record(age="old"), *RECORDS]
        answer = endpoint.post("/invocations", lines(records), "application/jsonlines")
        assert answer.status == 200
        found = answer.lines()
        assert [("error" in one) for one in found] == [False] * 5 + [True] + [False] * 5
        assert found[:5] == found[6:] == tiny.predictor().predict(RECORDS)

    def test_last_line_without_line_end(self, endpoint: Container) -> None:
        assert len(endpoint.post("/invocations", lines(RECORDS).rstrip(), "application/jsonlines").lines()) == 5

    def test_a_single_line(self, endpoint: Container) -> None:
        """BatchStrategy SingleRecord."""
        assert len(endpoint.post("/invocations", lines(RECORDS[:1]), "application/jsonlines").lines()) == 1

    def test_only_invalid_lines_do_not_fail_the_job(self, endpoint: Container) -> None:
        answer = endpoint.post("/invocations", lines([tiny.record(age="old")] * 2), "application/jsonlines")
        assert answer.status == 200
        assert all("error" in one for one in answer.lines())

    def test_execution_parameters_are_not_implemented(self, endpoint: Container) -> None:
        """They are optional; SageMaker then uses the job's parameters."""
        assert endpoint.get("/execution-parameters").status == 404


def lines(records: list[Any]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)
