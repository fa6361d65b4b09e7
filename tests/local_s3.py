"""A local S3, by moto."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def local_s3(bucket: str) -> Iterator[Any]:
    """A client of a local S3 with a bucket. The environment leads other clients, and new processes, there, too."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "ACCESS_KEY_ID": "key",
        "SECRET_ACCESS_KEY": "secret",
        "DEFAULT_REGION": "us-east-1",
        "EC2_METADATA_DISABLED": "true",  # else pyarrow waits for a machine in the cloud
        "ENDPOINT_URL": f"http://{host}:{port}",
    }
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(f"AWS_{name}", value)
            client = boto3.client("s3")
            client.create_bucket(Bucket=bucket)
            yield client
    finally:
        server.stop()
