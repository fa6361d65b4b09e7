"""The command line of `fastmar sagemaker`."""

from __future__ import annotations

import json
import os
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.runtime import tiny
from tests.serving.archives import make_archive
from tests.serving.clouds.sagemaker.conftest import BUCKET, IMAGE, REGION, ROLE, Cloud, keys, lines_of, still_running
from tests.serving.torchserve.conftest import ECHO

from fastmar_cli.main import main
from fastmar_cli.parser import build_parser

HOSTED = ["--image", IMAGE, "--role", ROLE, "--bucket", BUCKET, "--region", REGION, "--instance-type", "ml.m5.large"]


@pytest.fixture(autouse=True)
def no_waiting(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", cloud.sleep)


def deploy(archive: Path, *words: str) -> int:
    return main(["sagemaker", "deploy", str(archive), *HOSTED, *words])


def test_deploy_update_and_delete(
    cloud: Cloud, flights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy(flights) == 0
    printed = capsys.readouterr().out
    assert "In service: flights with flights-" in printed
    assert "aws sagemaker-runtime invoke-endpoint --endpoint-name flights --region eu-west-1" in printed
    assert "Roll back:" not in printed
    first = cloud.endpoint("flights").endpoint_config_name

    assert deploy(make_archive(tmp_path / "next", "flights", ECHO, version="2.0")) == 0
    back = f"aws sagemaker update-endpoint --endpoint-name flights --region {REGION} --endpoint-config-name {first}\n"
    assert back in capsys.readouterr().out

    assert main(["sagemaker", "delete", "flights", "--region", REGION, "--yes"]) == 0
    assert "removed endpoint flights" in capsys.readouterr().out
    assert keys() == []
    assert main(["sagemaker", "delete", "flights", "--region", REGION, "--yes"]) == 0
    printed = capsys.readouterr().out
    assert all(fact in printed for fact in ("flights", REGION))


def test_rollback_command_keeps_the_number_of_instances(
    cloud: Cloud, flights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy(flights, "--max", "4", "--target-invocations", "600") == 0
    assert deploy(make_archive(tmp_path / "next", "flights", ECHO, version="2.0")) == 0
    back = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("Roll back:"))
    words = shlex.split(back)
    assert words[words.index("--retain-all-variant-properties") + 1 :] == [
        "--exclude-retained-variant-properties",
        "VariantPropertyType=DataCaptureConfig",
    ]


def test_rollback_command_for_another_instance_type_is_deploy(
    cloud: Cloud, flights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SageMaker refuses another instance type for a scaling endpoint; `deploy` pauses the scaling."""
    assert deploy(flights, "--max", "4", "--target-invocations", "600") == 0
    archive = make_archive(tmp_path / "next", "flights", ECHO, version="2.0")
    assert deploy(archive, "--instance-type", "ml.m5.xlarge") == 0
    back = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("Roll back:"))
    assert f"fastmar sagemaker deploy OLD.mar --instance-type ml.m5.large --region {REGION}" in back
    assert "update-endpoint" not in back


@pytest.mark.parametrize("action", ["deploy", "transform"])
def test_sigterm_ends_the_command_as_ctrl_c_does(
    action: str, cloud: Cloud, flights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminated(_seconds: float) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def unexpected(*_: Any) -> None:
        raise AssertionError("SIGTERM was not handled")

    before = signal.signal(signal.SIGTERM, unexpected)
    try:
        (tmp_path / "rows.jsonl").write_text(json.dumps(tiny.record()))
        for function in ("endpoint.deploy", "transform.transform"):
            monkeypatch.setattr(f"fastmar_serving.clouds.sagemaker.{function}.__defaults__", (terminated,))
        cloud.states = [{"EndpointStatus": "Creating"}] * 2
        monkeypatch.setattr("tests.serving.clouds.sagemaker.conftest.run_batch", still_running)
        words = [] if action == "deploy" else ["--input", str(tmp_path / "rows.jsonl")]
        assert main(["sagemaker", action, str(flights), *HOSTED, *words]) == 130
    finally:
        signal.signal(signal.SIGTERM, before)


def test_all_options_are_passed_to_aws(cloud: Cloud, flights: Path) -> None:
    words = (
        "--name late --count 2 --min 2 --max 5 --target-invocations 300 --capture s3://kept/here --capture-percent 7"
    )
    assert deploy(flights, *words.split(), "--env", "FASTMAR_WORKERS=2", "--isolated", "--startup-timeout", "900") == 0
    model = cloud.parameters_of("CreateModel")
    assert model["PrimaryContainer"]["Environment"] == {"FASTMAR_READY_TIMEOUT": "900", "FASTMAR_WORKERS": "2"}
    assert model["EnableNetworkIsolation"] is True
    config = cloud.parameters_of("CreateEndpointConfig")
    assert config["ProductionVariants"][0]["InitialInstanceCount"] == 2
    assert config["ProductionVariants"][0]["ContainerStartupHealthCheckTimeoutInSeconds"] == 900
    assert config["DataCaptureConfig"]["InitialSamplingPercentage"] == 7
    assert cloud.parameters_of("CreateEndpoint")["EndpointName"] == "late"
    assert (
        cloud.parameters_of("RegisterScalableTarget")["MinCapacity"],
        cloud.parameters_of("RegisterScalableTarget")["MaxCapacity"],
    ) == (
        2,
        5,
    )
    assert cloud.parameters_of("PutScalingPolicy")["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 300


def test_endpoint_name_from_the_model_name(cloud: Cloud, tmp_path: Path) -> None:
    assert deploy(make_archive(tmp_path, "flights_of_2013.v2", ECHO)) == 0
    assert cloud.parameters_of("CreateEndpoint")["EndpointName"] == "flights-of-2013-v2"


@pytest.mark.parametrize("image", [f"{IMAGE.rpartition(':')[0]}:latest", IMAGE.rpartition(":")[0]])
def test_warns_of_a_mutable_image_tag(
    image: str, cloud: Cloud, flights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy(flights, "--image", image) == 0
    assert "tag" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["--max 4", "--target-invocations 600", "--min 3", "--min 3 --max 4"])
def test_scaling_needs_both(words: str, cloud: Cloud, flights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy(flights, *words.split()) == 1
    printed = capsys.readouterr().err
    assert "RequestRefused" in printed
    assert "--target-invocations" in printed
    assert cloud.calls == []


def test_prints_an_error_of_aws_in_one_line_with_a_fix(
    cloud: Cloud, flights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.refused["CreateModel"] = ("ValidationException", "Could not assume role arn:aws:iam::1:role/x.")
    assert deploy(flights) == 1
    message, fix = capsys.readouterr().err.strip().splitlines()
    assert message.startswith("AwsRefused: ")
    assert "sagemaker:create_model" in message
    assert "Could not assume role" in message
    assert "trust-policy.json" in fix


@pytest.mark.parametrize(("typed", "is_deleted"), [("y\n", True), ("n\n", False), ("", False)])
def test_delete_asks(
    typed: str, is_deleted: bool, cloud: Cloud, flights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    assert deploy(flights) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert main(["sagemaker", "delete", "flights", "--region", REGION]) == (0 if is_deleted else 1)
    assert (keys() == []) is is_deleted


def test_documented_commands_are_valid() -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "deployment" / "sagemaker.md").read_text("utf-8")
    model_options = next(line for line in page.splitlines() if line.startswith("HOSTED="))
    commands = [line for line in page.splitlines() if line.startswith("fastmar sagemaker")]
    assert {command.split()[2] for command in commands} == {"deploy", "transform", "delete"}
    for command in commands:
        words = shlex.split(command.replace("$HOSTED", model_options.split('"')[1]))
        assert build_parser(["sagemaker"]).parse_args(words[1:]).act


def test_transform(cloud: Cloud, flights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records: list[Any] = [tiny.record(), tiny.record(age=None)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, records)))
    output = tmp_path / "answers.jsonl"
    words = ["--input", str(tmp_path / "rows.jsonl"), "-o", str(output)]
    assert main(["sagemaker", "transform", str(flights), *HOSTED, *words]) == 0
    assert lines_of(output) == tiny.predictor().predict(records)
    assert "(2 answers)" in capsys.readouterr().out
