"""The management client against a fake server that responds as TorchServe does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from fastmar_serving.management import Management, ManagementError


class Responses(BaseHTTPRequestHandler):
    requests: list[tuple[str, str, str | None]]
    replies: dict[str, tuple[int, Any]]

    def _answer(self) -> None:
        self.requests.append((self.command, self.path, self.headers.get("Authorization")))
        status, body = self.replies.get(self.path, (200, {"status": "done"}))
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def api() -> Iterator[tuple[Management, Any]]:
    handler = type("Handler", (Responses,), {"requests": [], "replies": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Management(f"http://127.0.0.1:{server.server_port}", lambda: "secret"), handler
        server.shutdown()


def test_reads_all_pages(api: tuple[Management, Any]) -> None:
    management, handler = api
    page = "/models?limit=100&next_page_token={}"
    handler.replies = {
        page.format(0): (200, {"nextPageToken": "100", "models": [{"modelName": f"m{i}"} for i in range(100)]}),
        page.format(100): (200, {"models": [{"modelName": "last"}]}),
    }
    assert len(management.names()) == 101
    assert handler.requests[0] == ("GET", page.format(0), "Bearer secret")


def test_quotes_names(api: tuple[Management, Any]) -> None:
    management, handler = api
    management.register("my file, ü&x=1.mar")
    management.set_default("a b/ü", "1 beta?")
    management.unregister("a+b", "2.0")
    management.begin_scaling("m", "1.0", 2)
    management.set_default("tokens", "token-1")
    assert [(method, path) for method, path, _ in handler.requests] == [
        ("POST", "/models?url=my%20file%2C%20%C3%BC%26x%3D1.mar&initial_workers=1&synchronous=false"),
        ("PUT", "/models/a%20b%2F%C3%BC/1%20beta%3F/set-default"),
        ("DELETE", "/models/a%2Bb/2.0"),
        ("PUT", "/models/m/1.0?min_worker=2&max_worker=2&synchronous=false"),
        ("PUT", "/models/%74okens/%74oken-1/set-default"),  # `/token` would ask for another key
    ]


def test_refusals_have_status_and_message(api: tuple[Management, Any]) -> None:
    management, handler = api
    handler.replies = {
        "/models/m/all": (404, {"code": 404, "type": "ModelNotFoundException", "message": "Model not found: m"})
    }
    with pytest.raises(ManagementError) as refused:
        management.describe("m")
    assert (refused.value.status, refused.value.message) == (404, "Model not found: m")
