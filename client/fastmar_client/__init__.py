"""Records and pictures over HTTP to a model that fastmar exported: needs requests and nothing else of fastmar."""

from fastmar_client.client import Client
from fastmar_client.encoding import Picture, image_record
from fastmar_client.errors import (
    ClientError,
    ModelNotFound,
    RecordRefused,
    ServerFailed,
    ServerUnreachable,
    Timeout,
    Unauthorized,
)
from fastmar_client.retries import Retries

__all__ = [
    "Client",
    "ClientError",
    "ModelNotFound",
    "Picture",
    "RecordRefused",
    "Retries",
    "ServerFailed",
    "ServerUnreachable",
    "Timeout",
    "Unauthorized",
    "image_record",
]
