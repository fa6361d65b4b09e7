"""Client of models that fastmar exported and serves.

`Client` needs requests (`fastmar[client]`), `AsyncClient` needs httpx (`fastmar[async]`).
"""

from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from fastmar_client.async_client import AsyncClient

__all__ = [
    "AsyncClient",
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


def __getattr__(name: str) -> Any:
    if name == "AsyncClient":  # lazy: importing asyncio takes longer than the rest of this package
        from fastmar_client.async_client import AsyncClient  # noqa: PLC0415

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})  # with the names that are imported on first use
