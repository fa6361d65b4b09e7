"""The one file that knows boto3: requests to AWS, and its errors as one sentence with a remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastmar_serving.clouds.sagemaker.errors import AwsMissing, AwsRefused, SageMakerError

INSTALL = "pip install 'fastmar[sagemaker]'"
POLICY = "give who runs this the rights in deploy/sagemaker/deployer-policy.json, or ask whoever can."
_S3 = re.compile(r"s3://([^/]+)/?(.*)")

_ABSENT = ("could not find", "requested resource not found", "no scalable target found")

# What AWS says, and what to do about it: code of the error, words in its message, remedy. The first that fits counts.
_REMEDIES: tuple[tuple[str, str, str], ...] = (
    ("AccessDenied|Unauthorized|^403$", "", POLICY),
    ("ExpiredToken|RequestExpired", "", "sign in to AWS again; the session has ended."),
    ("InvalidClientTokenId|UnrecognizedClient|InvalidAccessKeyId|SignatureDoesNotMatch", "", "check the credentials."),
    ("ResourceLimitExceeded", "", "ask AWS for a higher quota of this instance type, or give another --instance-type."),
    (
        "NoSuchBucket",
        "",
        "make it in the endpoint's region (`aws s3 mb s3://BUCKET --region REGION`), or give another --bucket.",
    ),
    ("PermanentRedirect|BucketRegion|^301$", "", "give a --bucket in the region of the endpoint, or another --region."),
    ("Throttling|TooManyRequests", "", "wait a minute and run it again; it goes on where it stopped."),
    ("", "could not assume role|assume role", "let SageMaker assume the --role: deploy/sagemaker/trust-policy.json."),
    (
        "",
        "access model data|model data",
        "let the --role read the bucket: deploy/sagemaker/execution-role-policy.json.",
    ),
    ("", "image .*(does not exist|not exist|not found)", "push the --image to ECR in this region, with this very tag."),
    (
        "",
        "manifest media type",
        "push the image again with Docker's media types in place of OCI's: docs/deployment/sagemaker.md tells how.",
    ),
    # Each image's URI has .dkr.ecr. in it, which says nothing.
    (
        "",
        r"\bbatchgetimage\b|(?<!\.dkr\.)\becr\b|\brepository\b",
        "let the --role pull the --image: deploy/sagemaker/execution-role-policy.json.",
    ),
    ("Validation", "", "correct what AWS names."),
)


class Aws:
    """Clients of one account in one region.

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
        """One request; `operation` as in boto3, such as `create_model`."""
        client = self._client(service)
        try:
            answer: dict[str, Any] = getattr(client, operation)(**parameters)
        except Exception as error:
            raise _readable(error, f"{service}:{operation}") from error
        return answer

    def find(self, service: str, operation: str, **parameters: Any) -> dict[str, Any] | None:
        """One request about something; None where there is no such thing."""
        try:
            return self.call(service, operation, **parameters)
        except AwsRefused as error:
            if is_absent(error):
                return None
            raise

    def pages(self, service: str, operation: str, key: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """The items under `key` of a list that comes in pages."""
        try:
            for page in self._client(service).get_paginator(operation).paginate(**parameters):
                yield from page.get(key, [])
        except Exception as error:
            raise _readable(error, f"{service}:{operation}") from error

    def upload(self, file: Path, uri: str) -> None:
        """Copy a file to S3."""
        bucket, key = split_uri(uri)
        try:
            self._client("s3").upload_file(str(file), bucket, key)
        except Exception as error:
            raise _readable(error, "s3:put_object") from error

    def put(self, content: bytes, uri: str) -> None:
        """Write an object of S3."""
        bucket, key = split_uri(uri)
        self.call("s3", "put_object", Bucket=bucket, Key=key, Body=content)

    def listed(self, uri: str) -> Iterator[str]:
        """Addresses of the objects of S3 that begin like that."""
        bucket, prefix = split_uri(uri)
        for item in self.pages("s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix):
            yield f"s3://{bucket}/{item['Key']}"

    def download(self, uri: str) -> bytes:
        """An object of S3."""
        bucket, key = split_uri(uri)
        body = self.call("s3", "get_object", Bucket=bucket, Key=key)["Body"]
        try:
            content: bytes = body.read()
        except Exception as error:
            raise _readable(error, "s3:get_object") from error
        return content

    def size(self, uri: str) -> int | None:
        """Bytes of an object of S3, None where there is none."""
        bucket, key = split_uri(uri)
        found = self.find("s3", "head_object", Bucket=bucket, Key=key)
        return None if found is None else int(found["ContentLength"])

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            try:
                self._clients[service] = self._session.client(service)
            except Exception as error:
                raise _readable(error, service) from error
        return self._clients[service]


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of s3://bucket/key."""
    match = _S3.fullmatch(uri)
    if match is None:
        raise SageMakerError(f"{uri!r} is no S3 address.", fix="write it as s3://BUCKET/KEY.")
    return match.group(1), match.group(2)


def is_absent(error: AwsRefused) -> bool:
    """Whether AWS refused because there is no such thing. SageMaker has no code for it, but words."""
    cause = getattr(error.__cause__, "response", None) or {}
    said = cause.get("Error", {})
    code, message = str(said.get("Code", "")), str(said.get("Message", "")).casefold()
    if code in {"404", "NoSuchKey", "ObjectNotFoundException", "ResourceNotFound"}:
        return True
    return code.startswith("Validation") and message.startswith(_ABSENT)


def _readable(error: Exception, operation: str) -> SageMakerError:
    """AWS' error in one line, with what to do about it."""
    if isinstance(error, SageMakerError):
        return error
    if isinstance(error.__context__, Exception) and hasattr(error.__context__, "response"):
        error = error.__context__  # a failed upload wraps AWS' own error
    kind = type(error).__name__
    if kind in {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"}:
        return AwsMissing(
            f"no AWS credentials were found ({error}).",
            fix="run `aws configure` or `aws sso login`, or set AWS_PROFILE.",
        )
    if kind in {"TokenRetrievalError", "SSOTokenLoadError", "UnauthorizedSSOTokenError"}:
        return AwsMissing(f"the AWS session has ended ({error}).", fix="sign in again: `aws sso login`.")
    said = (getattr(error, "response", None) or {}).get("Error", {})
    code = str(said.get("Code") or kind)
    message = " ".join(str(said.get("Message") or error).split())
    if not said and kind.endswith(("ConnectionError", "TimeoutError", "ProxyConnectionError")):
        return AwsRefused(f"AWS can't be reached for {operation} ({message}).", fix="check the network and --region.")
    return AwsRefused(f"{operation} was refused: {message} ({code})", fix=_remedy(code, message))


def _remedy(code: str, message: str) -> str:
    for codes, words, remedy in _REMEDIES:
        if re.search(codes, code) and re.search(words, message, re.IGNORECASE):
            return remedy
    return "AWS says no more; see the message."
