"""Scores rows of tables with an archive in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from fastmar_client import RecordRefused
from fastmar_contract.errors import RequestError
from fastmar_runtime import payload, spec
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.schema import describe


class ArchiveRowModel:
    """A `RowModel` of `fastmar_client.scoring`."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.schema: Mapping[str, Any] = describe(predictor.spec)

    @property
    def identity(self) -> str:
        """See `RowModel`."""
        return identity_of(self._predictor.spec)

    def answer(self, body: bytes, content_type: str) -> Sequence[dict[str, Any]]:
        """See `RowModel`."""
        try:
            records = payload.read(body, content_type, self._predictor.spec).records
        except RequestError as error:
            raise RecordRefused(error.message, fix=error.fix, code=error.code) from error
        return self._predictor.predict(records)


def identity_of(model: spec.Spec) -> str:
    """Name, version, and a hash of the spec with its provenance."""
    digest = sha256(json.dumps(spec.to_dict(model), sort_keys=True).encode()).hexdigest()
    return f"{model.name} {model.version} {digest[:16]}"
