"""BentoML with its adaptive batching and hand-written preprocessing. Requests and responses are lists of records.

MODEL=FOLDER ROUTE=/predictions/NAME WORKERS=2 bentoml serve benchmarks.servers.bentoml_app:Server
"""

import os
from pathlib import Path
from typing import Any

import bentoml

from benchmarks.servers.by_hand import open_model


@bentoml.service(workers=int(os.environ["WORKERS"]), logging={"access": {"enabled": False}})
class Server:
    """Answers batches of records."""

    def __init__(self) -> None:
        self._model = open_model(Path(os.environ["MODEL"]))

    @bentoml.api(batchable=True, route=os.environ["ROUTE"])
    def predict(self, records: list[dict[str, Any]], /) -> list[dict[str, Any]]:
        """Answer a batch."""
        return self._model.answer(records)
