"""Requests to AWS with boto3, and AWS' errors as one-line messages with a fix."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastmar_serving.clouds.sagemaker.errors import AwsMissing, AwsRefused, SageMakerError

INSTALL = "pip install '.[sagemaker]' in a checkout of fastmar, or pip install 'fastmar[sagemaker]'"
POLICY = "attach deploy/sagemaker/deployer-policy.json to your user or role, or ask an administrator to do it."
_S3 = re.compile(r"s3://([^/]+)/?(.*)")

_ABSENT = ("could not find", "requested resource not found", "no scalable target found")

# Patterns of AWS' error code and message, and the fix. The first match counts.
_FIXES: tuple[tuple[str, str, str], ...] = (
    ("AccessDenied|Unauthorized|^403$", "", POLICY),
    ("ExpiredToken|RequestExpired", "", "sign in to AWS again; the session has ended."),
    ("InvalidClientTokenId|UnrecognizedClient|InvalidAccessKeyId|SignatureDoesNotMatch", "", "check the credentials."),
    ("ResourceLimitExceeded", "", "ask AWS for a higher quota of this instance type, or give another --instance-type."),
    (
        "NoSuchBucket",
        "",
        "create it in the endpoint's region (`aws s3 mb s3://BUCKET --region REGION`), or give another --bucket.",
    ),
    ("PermanentRedirect|BucketRegion|^301$", "", "give a --bucket in the region of the endpoint, or another --region."),
    ("Throttling|TooManyRequests", "", "wait a minute and run it again; it continues where it stopped."),
    ("", "could not assume role|assume role", "let SageMaker assume the --role: deploy/sagemaker/trust-policy.json."),
    (
        "",
        "access model data|model data",
        "let the --role read the bucket: deploy/sagemaker/execution-role-policy.json.",
    ),
    ("", "image .*(does not exist|not exist|not found)", "push the --image to ECR in this region, with this tag."),
    (
        "",
        "manifest media type",
        "push the image again with Docker's media types instead of OCI's: see docs/deployment/sagemaker.md.",
    ),
    # The URI of every image contains .dkr.ecr., which must not match.
    (
        "",
        r"\bbatchgetimage\b|(?<!\.dkr\.)\becr\b|\brepository\b",
        "let the --role pull the --image: deploy/sagemaker/execution-role-policy.json.",
    ),
    ("Validation", "", "correct the values that AWS names."),
)


class Aws:
    """Clients for one account in one region.

    Raises:
        AwsMissing: boto3 is not installed, or no region is set.
    """

    def __init__(self, region: str | None = None) -> None:
        try:
            import boto3  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise AwsMissing("boto3 is not installed.", fix=f"{INSTALL}.") from error
        self._session = boto3.session.Session(region_name=region)
        if not self._session.region_name:
            raise AwsMissing("no AWS region is set.", fix="give --region, or set AWS_REGION.")
        self._clients: dict[str, Any] = {}

    @property
    def region(self) -> str:
        """The region's name."""
        return str(self._session.region_name)

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Send one request. `operation` is the name in boto3, such as `create_model`."""
        client = self._client(service)
        try:
            answer: dict[str, Any] = getattr(client, operation)(**parameters)
        except Exception as error:
            raise _translate(error, f"{service}:{operation}") from error
        return answer

    def find(self, service: str, operation: str, **parameters: Any) -> dict[str, Any] | None:
        """Send one request; None if the resource does not exist."""
        try:
            return self.call(service, operation, **parameters)
        except AwsRefused as error:
            if is_absent(error):
                return None
            raise

    def pages(self, service: str, operation: str, key: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """All items under `key` of a paginated list."""
        try:
            for page in self._client(service).get_paginator(operation).paginate(**parameters):
                yield from page.get(key, [])
        except Exception as error:
            raise _translate(error, f"{service}:{operation}") from error

    def upload(self, file: Path, uri: str) -> None:
        """Upload a file to S3."""
        bucket, key = split_uri(uri)
        try:
            self._client("s3").upload_file(str(file), bucket, key)
        except Exception as error:
            raise _translate(error, "s3:put_object") from error

    def put(self, content: bytes, uri: str) -> None:
        """Write an object to S3."""
        bucket, key = split_uri(uri)
        self.call("s3", "put_object", Bucket=bucket, Key=key, Body=content)

    def list_objects(self, uri: str) -> Iterator[str]:
        """URIs of the S3 objects with this prefix."""
        bucket, prefix = split_uri(uri)
        for item in self.pages("s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix):
            yield f"s3://{bucket}/{item['Key']}"

    def download(self, uri: str) -> bytes:
        """Content of an S3 object."""
        bucket, key = split_uri(uri)
        body = self.call("s3", "get_object", Bucket=bucket, Key=key)["Body"]
        try:
            content: bytes = body.read()
        except Exception as error:
            raise _translate(error, "s3:get_object") from error
        return content

    def size(self, uri: str) -> int | None:
        """Size of an S3 object in bytes, None if it does not exist."""
        bucket, key = split_uri(uri)
        found = self.find("s3", "head_object", Bucket=bucket, Key=key)
        return None if found is None else int(found["ContentLength"])

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            try:
                self._clients[service] = self._session.client(service)
            except Exception as error:
                raise _translate(error, service) from error
        return self._clients[service]


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of s3://bucket/key."""
    match = _S3.fullmatch(uri)
    if match is None:
        raise SageMakerError(f"{uri!r} is not an S3 URI.", fix="write it as s3://BUCKET/KEY.", code="invalid_s3_uri")
    return match.group(1), match.group(2)


def is_absent(error: AwsRefused) -> bool:
    """Whether AWS refused because the resource does not exist. SageMaker reports this only in the message."""
    cause = getattr(error.__cause__, "response", None) or {}
    details = cause.get("Error", {})
    code, message = str(details.get("Code", "")), str(details.get("Message", "")).casefold()
    if code in {"404", "NoSuchKey", "ObjectNotFoundException", "ResourceNotFound"}:
        return True
    return code.startswith("Validation") and message.startswith(_ABSENT)


def _translate(error: Exception, operation: str) -> SageMakerError:
    """AWS' error as a one-line message with a fix."""
    if isinstance(error, SageMakerError):
        return error
    if isinstance(error.__context__, Exception) and hasattr(error.__context__, "response"):
        error = error.__context__  # a failed upload wraps AWS' error
    kind = type(error).__name__
    if kind in {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"}:
        return AwsMissing(
            f"no AWS credentials were found ({error}).",
            fix="run `aws configure` or `aws sso login`, or set AWS_PROFILE.",
        )
    if kind in {"TokenRetrievalError", "SSOTokenLoadError", "UnauthorizedSSOTokenError"}:
        return AwsMissing(f"the AWS session has ended ({error}).", fix="sign in again: `aws sso login`.")
    details = (getattr(error, "response", None) or {}).get("Error", {})
    code = str(details.get("Code") or kind)
    message = " ".join(str(details.get("Message") or error).split())
    if not details and kind.endswith(("ConnectionError", "TimeoutError", "ProxyConnectionError")):
        return AwsRefused(f"AWS can't be reached for {operation} ({message}).", fix="check the network and --region.")
    return AwsRefused(f"{operation} was refused: {message} ({code})", fix=_fix(code, message))


def _fix(code: str, message: str) -> str:
    for code_pattern, message_pattern, fix in _FIXES:
        if re.search(code_pattern, code) and re.search(message_pattern, message, re.IGNORECASE):
            return fix
    return "look up the error code in the documentation of AWS."
