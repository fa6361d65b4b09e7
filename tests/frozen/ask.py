"""Send requests to the handler in an unpacked archive: `python ask.py FOLDER REQUESTS.json ANSWERS.json`.

It imports nothing of the tests, so that it runs with the runtime in the archive.
"""

from __future__ import annotations

import base64
import importlib
import json
import sys
from pathlib import Path
from typing import Any


class Context:
    """The parts of TorchServe's context that a handler uses, for one request."""

    metrics = None
    manifest: dict[str, Any] | None = None
    model_yaml_config: dict[str, Any] | None = None

    def __init__(self, folder: str, headers: dict[str, str]) -> None:
        self.model_name = "frozen"
        self.system_properties = {"model_dir": folder, "gpu_id": None}
        self.headers = headers
        self.status, self.media_type = 200, ""

    def get_all_request_header(self, index: int) -> dict[str, str]:
        return self.headers

    def get_request_header(self, index: int, name: str) -> str | None:
        return self.headers.get(name)

    def get_request_id(self, index: int = 0) -> str:
        return "0"

    def set_response_status(self, status: int, phrase: str, index: int) -> None:
        self.status = status

    def set_response_content_type(self, index: int, media_type: str) -> None:
        self.media_type = media_type

    def set_response_header(self, index: int, name: str, value: str) -> None:
        pass


def load_handler(folder: str) -> Any:
    """Load the archive's handler like TorchServe: the only class of the file that the manifest names."""
    manifest = json.loads((Path(folder) / "MAR-INF" / "MANIFEST.json").read_text("utf-8"))
    sys.path.insert(0, folder)
    module = importlib.import_module(Path(manifest["model"]["handler"]).stem)
    [cls] = [each for each in vars(module).values() if isinstance(each, type) and each.__module__ == module.__name__]
    handler = cls()
    runtime = sys.modules["fastmar_runtime"].__file__ or ""
    if not runtime.startswith(folder):
        raise SystemExit(f"the runtime is {runtime}, not in the archive")
    handler.initialize(Context(folder, {}))
    return handler


def main(folder: str, requests: str, answers: str) -> None:
    """Write `[{"status", "type", "body"}, ...]`, bodies in base64."""
    handler = load_handler(folder)
    responses = []
    for request in json.loads(Path(requests).read_text("utf-8")):
        context = Context(folder, {"fastmar-content-type": request["type"], **request.get("headers", {})})
        [body] = handler.handle([{"body": bytearray(base64.b64decode(request["body"]))}], context)
        text = base64.b64encode(body.encode() if isinstance(body, str) else bytes(body)).decode()
        responses.append({"status": context.status, "type": context.media_type, "body": text})
    Path(answers).write_text(json.dumps(responses, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
