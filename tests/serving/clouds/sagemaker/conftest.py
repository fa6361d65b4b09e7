"""A fake AWS: moto stores resources, and tests script refusals and the states of endpoints."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.runtime import tiny
from tests.serving.archives import make_archive
from tests.serving.torchserve.conftest import ECHO

boto3 = pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
moto = pytest.importorskip("moto", reason="moto is not installed")

from botocore.client import BaseClient  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402
from botocore.loaders import JSONFileLoader  # noqa: E402
from moto.sagemaker.models import sagemaker_backends  # noqa: E402

from fastmar_runtime import payload  # noqa: E402
from fastmar_serving.clouds.sagemaker.aws import Aws  # noqa: E402
from fastmar_serving.clouds.sagemaker.model import ModelOptions  # noqa: E402
from fastmar_serving.clouds.sagemaker.progress import Progress  # noqa: E402

SLEEP = time.sleep
REGION, ACCOUNT, BUCKET = "eu-west-1", "123456789012", "models-of-ours"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/fastmar:0.1.0"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/fastmar-execution"
DELETING: dict[str, Any] = {"EndpointStatus": "Deleting"}


class Cloud:
    """The scripted AWS.

    Attributes:
        calls: service, operation and parameters of each request, in order.
        refused: operation -> code and message of the error that AWS returns.
        states: the next responses of DescribeEndpoint, merged into moto's; exceptions are raised; DELETING stands for
            an endpoint that moto has removed already.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.refused: dict[str, tuple[str, str]] = {}
        self.states: list[dict[str, Any] | BaseException] = []
        self.slept = 0
        self._real: Callable[..., Any] = BaseClient._make_api_call

    def request(self, client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        """Replaces botocore's method."""
        self.calls.append((client.meta.service_model.service_name, operation, parameters))
        if operation in self.refused:
            code, message = self.refused[operation]
            raise ClientError({"Error": {"Code": code, "Message": message}}, operation)
        if operation == "UpdateEndpoint":  # moto has none
            self.endpoint(parameters["EndpointName"]).endpoint_config_name = parameters["EndpointConfigName"]
            return {"EndpointArn": "arn"}
        if operation == "CreateTransformJob":
            response = self._real(client, operation, parameters)
            run_batch(parameters)
            return response
        if operation == "DescribeEndpoint" and self.states:
            if self.states[0] == DELETING:
                return self.states.pop(0)
            real = self._real(client, operation, parameters)
            state = self.states.pop(0)
            if isinstance(state, BaseException):
                raise state
            return {**real, **state}
        return self._real(client, operation, parameters)

    def endpoint(self, name: str) -> Any:
        """Moto's record of an endpoint."""
        return sagemaker_backends[ACCOUNT][REGION].endpoints[name]

    def names(self) -> list[str]:
        """The requested operations, in order."""
        return [operation for _, operation, _ in self.calls]

    def parameters_of(self, operation: str) -> dict[str, Any]:
        """Parameters of the last request for an operation."""
        return next(parameters for _, name, parameters in reversed(self.calls) if name == operation)

    def sleep(self, seconds: float) -> None:
        """Count instead of sleeping. Where it replaces `time.sleep`, threads of other libraries sleep as before."""
        if threading.current_thread() is not threading.main_thread():
            SLEEP(seconds)
            return
        self.slept += 1
        assert self.slept < 100, "endless wait"


def run_batch(job: dict[str, Any]) -> None:
    """Run a Batch Transform job with the runtime instead of a container.

    Requests have two lines each, so that a file takes several; the answers for FILE go to FILE.out.
    """
    s3 = boto3.client("s3", region_name=REGION)
    bucket, prefix = job["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"].removeprefix("s3://").split("/", 1)
    out_bucket, out_prefix = job["TransformOutput"]["S3OutputPath"].removeprefix("s3://").split("/", 1)
    predictor = tiny.predictor()
    for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
        body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
        requests = [body]
        if job["TransformInput"]["SplitType"] == "Line":
            lines = body.splitlines(keepends=True)
            requests = [b"".join(lines[at : at + 2]) for at in range(0, len(lines), 2)]
        written = io.BytesIO()
        for one in requests:
            request = payload.read(one, job["TransformInput"]["ContentType"], predictor.spec)
            written.write(payload.write(request, predictor.predict(request.records), predictor.spec).body)
            if job["TransformOutput"].get("AssembleWith") == "Line":
                written.write(b"\n")
        name = item["Key"].rpartition("/")[2]
        s3.put_object(Bucket=out_bucket, Key=f"{out_prefix}/{name}.out", Body=written.getvalue())


def still_running(_job: dict[str, Any]) -> None:
    """Replaces `run_batch`: the job does not end."""
    (job,) = sagemaker_backends[ACCOUNT][REGION].transform_jobs.values()
    job.transform_job_status = "InProgress"


@pytest.fixture(scope="session", autouse=True)
def read_once() -> Iterator[None]:
    """Cache boto3's descriptions of the services, which each session would read again and slowly."""
    with pytest.MonkeyPatch.context() as patch:
        read: dict[str, Any] = {}

        def load(loader: JSONFileLoader, path: str) -> Any:
            if path not in read:
                read[path] = original(loader, path)
            return read[path]

        original = JSONFileLoader.load_file
        patch.setattr(JSONFileLoader, "load_file", load)
        yield


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """A fake account with an empty bucket; no request reaches AWS."""
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(variable, "testing")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with moto.mock_aws():
        boto3.client("s3", region_name=REGION).create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        scripted = Cloud()

        def request(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
            return scripted.request(client, operation, parameters)

        monkeypatch.setattr(BaseClient, "_make_api_call", request)
        yield scripted


@pytest.fixture
def aws(cloud: Cloud) -> Aws:
    return Aws(REGION)


@pytest.fixture
def flights(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "store", "flights", ECHO)


@pytest.fixture
def model_options(flights: Path) -> ModelOptions:
    return ModelOptions([flights], "flights", IMAGE, ROLE, BUCKET, {"FASTMAR_READY_TIMEOUT": "480"})


@pytest.fixture
def printed() -> list[str]:
    return []


@pytest.fixture
def progress(printed: list[str]) -> Progress:
    return Progress(printed.append, lambda _stage: None)


def keys() -> list[str]:
    """Keys of all objects in the bucket."""
    found = boto3.client("s3", region_name=REGION).list_objects_v2(Bucket=BUCKET)
    return [item["Key"] for item in found.get("Contents", [])]


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
