"""Records and pictures over HTTP to a model that fastmar exported: needs requests and nothing else of fastmar."""

from fastmar_client.client import Client
from fastmar_client.encoding import Picture, image_record
from fastmar_client.errors import (
    ClientError,
    CsvUnreadable,
    CsvUnwritable,
    MethodRefused,
    ModelNotFound,
    RecordRefused,
    ResumeRefused,
    ServerFailed,
    ServerUnreachable,
    Timeout,
    TooLarge,
    Unauthorized,
)
from fastmar_client.problems import Problem
from fastmar_client.retries import Retries
from fastmar_client.schema import Schema
from fastmar_client.scoring import Scored
from fastmar_client.served import ServedModel

__all__ = [
    "Client",
    "ClientError",
    "CsvUnreadable",
    "CsvUnwritable",
    "MethodRefused",
    "ModelNotFound",
    "Picture",
    "Problem",
    "RecordRefused",
    "ResumeRefused",
    "Retries",
    "Schema",
    "Scored",
    "ServedModel",
    "ServerFailed",
    "ServerUnreachable",
    "Timeout",
    "TooLarge",
    "Unauthorized",
    "image_record",
]
