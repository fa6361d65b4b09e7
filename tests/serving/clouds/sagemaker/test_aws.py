"""AWS' errors as one-line messages with a fix."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.serving.clouds.sagemaker.conftest import REGION, Cloud

from fastmar_serving.clouds.sagemaker.aws import Aws, split_uri
from fastmar_serving.clouds.sagemaker.errors import AwsMissing, AwsRefused, SageMakerError


@pytest.mark.parametrize(
    ("code", "message", "fix"),
    [
        ("AccessDeniedException", "User is not authorized to perform: sagemaker:CreateModel", "deployer-policy.json"),
        ("403", "Forbidden", "deployer-policy.json"),
        ("ExpiredTokenException", "The security token is expired", "sign in"),
        ("UnrecognizedClientException", "The security token is invalid", "credentials"),
        ("ResourceLimitExceeded", "The account-level service limit is 0", "quota"),
        ("ThrottlingException", "Rate exceeded", "run it again"),
        ("ValidationException", "Could not assume role arn:aws:iam::1:role/x.", "trust-policy.json"),
        ("ValidationException", "Could not access model data at s3://x/y.", "execution-role-policy.json"),
        ("ValidationException", "Requested image 1.dkr.ecr.eu/x:1 not found.", "push the --image"),
        ("ValidationException", "The repository x in registry 1 could not be pulled.", "execution-role-policy.json"),
        ("ValidationException", "The role is not allowed ecr:GetDownloadUrlForLayer.", "execution-role-policy.json"),
        (
            "ValidationException",
            "The role 'r' does not have BatchGetImage permission for the image: '1.dkr.ecr.eu/x:1'.",
            "execution-role-policy.json",
        ),
        (
            "ValidationException",
            "Unsupported manifest media type application/vnd.oci.image.index.v1+json for image 1.dkr.ecr.eu/x:1.",
            "Docker's media types",
        ),
        ("ValidationException", "Image 1.dkr.ecr.eu-west-1.amazonaws.com/x:1 is too large.", "correct the values"),
        ("ValidationException", "The decrease of a secret count was refused.", "correct the values"),
        ("ValidationException", "1 validation error detected", "correct the values"),
        ("NoSuchBucket", "The specified bucket does not exist", "aws s3 mb"),
        ("PermanentRedirect", "must be addressed using the specified endpoint", "region"),
        ("Unheard", "of", "error code"),
    ],
)
def test_each_error_has_a_fix(aws: Aws, cloud: Cloud, code: str, message: str, fix: str) -> None:
    cloud.refused["CreateModel"] = (code, message)
    with pytest.raises(AwsRefused) as refused:
        aws.call("sagemaker", "create_model", ModelName="m", ExecutionRoleArn="arn:aws:iam::123456789012:role/x")
    assert fix in refused.value.fix
    assert message in refused.value.message
    assert "sagemaker:create_model" in refused.value.message
    assert "\n" not in refused.value.message


def test_missing_resources_are_none(aws: Aws) -> None:
    assert aws.find("sagemaker", "describe_model", ModelName="none") is None
    assert aws.find("sagemaker", "describe_endpoint", EndpointName="none") is None
    assert aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName="none") is None
    assert aws.size("s3://models-of-ours/none") is None


def test_denied_access_is_not_a_missing_resource(aws: Aws, cloud: Cloud) -> None:
    cloud.refused["DescribeModel"] = ("AccessDeniedException", "no")
    with pytest.raises(AwsRefused):
        aws.find("sagemaker", "describe_model", ModelName="none")


def test_refused_lists(aws: Aws, cloud: Cloud) -> None:
    cloud.refused["ListModels"] = ("AccessDeniedException", "not authorized to perform: sagemaker:ListModels")
    with pytest.raises(AwsRefused) as refused:
        list(aws.pages("sagemaker", "list_models", "Models"))
    assert "ListModels" in refused.value.message


def test_refused_uploads(aws: Aws, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AwsRefused) as refused:
        aws.upload(tmp_path / "file", "s3://no-such-bucket/key")
    assert "s3:put_object" in refused.value.message
    assert "(NoSuchBucket)" in refused.value.message
    assert "aws s3 mb" in refused.value.fix


def test_no_credentials(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(variable)
    aws = Aws(REGION)
    monkeypatch.setattr("botocore.credentials.CredentialResolver.load_credentials", lambda _: None)
    with pytest.raises(AwsMissing) as missing:
        aws.call("sagemaker", "list_models")
    assert "aws configure" in missing.value.fix


def test_no_region(cloud: Cloud) -> None:
    with pytest.raises(AwsMissing) as missing:
        Aws()
    assert "--region" in missing.value.fix


def test_split_uri() -> None:
    assert split_uri("s3://bucket/a/b") == ("bucket", "a/b")
    with pytest.raises(SageMakerError):
        split_uri("https://bucket/a")


def test_without_boto3_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['boto3'] = None\n"
        "from fastmar_cli.main import main\n"
        "sys.exit(main(['sagemaker', 'delete', 'flights']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'fastmar[sagemaker]'" in done.stderr
