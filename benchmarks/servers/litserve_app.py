"""LitServe with its batching and hand-written preprocessing.

python -m benchmarks.servers.litserve_app FOLDER --port 8080 --workers 2
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import litserve

from benchmarks.servers.by_hand import open_model

MAX_BATCH, TIMEOUT = 16, 0.001  # as in fastmar's archives; seconds


class Api(litserve.LitAPI):
    """Answers batches of records."""

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(**options)
        self._folder = folder

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe passes it
        """Open the model in a worker."""
        self._model = open_model(self._folder)

    def predict(self, records: Any) -> Any:
        """Answer a batch."""
        return self._model.answer(records)

    def batch(self, inputs: Any) -> Any:
        """The records are a batch as they are."""
        return inputs

    def unbatch(self, output: Any) -> Any:
        """So are the answers."""
        return output


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--workers", type=int, required=True)
    args = parser.parse_args()
    api = Api(args.folder, max_batch_size=MAX_BATCH, batch_timeout=TIMEOUT, api_path=args.path)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=args.workers)
    server.run(host="127.0.0.1", port=args.port, log_level="warning", generate_client_file=False)
