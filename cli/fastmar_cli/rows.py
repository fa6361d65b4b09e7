"""Answers to the rows of a table: an archive's in this process, and a server's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from fastmar_client import Client, RecordRefused
from fastmar_contract.errors import RequestError
from fastmar_contract.files import CSV
from fastmar_runtime import payload, spec
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.schema import describe


class ArchiveRows:
    """A `Model` of `fastmar_client.scoring`."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.schema: Mapping[str, Any] = describe(predictor.spec)

    @property
    def identity(self) -> str:
        """Name, version, and all that the archive says of itself, where it comes from among it."""
        model = self._predictor.spec
        said = sha256(json.dumps(spec.to_dict(model), sort_keys=True).encode()).hexdigest()
        return f"{model.name} {model.version} {said[:16]}"

    def answer(self, body: bytes) -> Sequence[dict[str, Any]]:
        """See `Model`."""
        try:
            records = payload.read(body, CSV, self._predictor.spec).records
        except RequestError as error:
            raise RecordRefused(error.message, fix=error.fix, code=error.code) from error
        return self._predictor.predict(records)


class ServedRows:
    """The same of a server."""

    def __init__(self, client: Client, name: str, version: str | None, schema: Mapping[str, Any]) -> None:
        self.schema = schema
        self.identity = name
        self._client = client
        self._version = version

    def answer(self, body: bytes) -> Sequence[dict[str, Any]]:
        """See `Model`."""
        return self._client.predict_body(self.identity, body, CSV, self._version)
