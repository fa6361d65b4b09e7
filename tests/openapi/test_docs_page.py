"""The page `docs`: escaped, self-contained, allowed by its Content-Security-Policy, usable in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fastmar_runtime import payload
from fastmar_runtime.docs_page import docs_page
from fastmar_runtime.documents import documents
from fastmar_runtime.openapi_schemas import example_record
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import Spec
from tests.browser import Chromium
from tests.openapi.models import HOSTILE_NAMES, HOSTILE_TEXTS, MODELS, awkward_spec
from tests.runtime import tiny, tiny_pictures
from tests.web.conftest import axe, strict_page  # noqa: F401 - a fixture

each_model = pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "small", "p", "a", "ul", "li"),
    *("div", "table", "caption", "thead", "tbody", "tr", "th", "td", "code", "pre", "br", "span"),
    *("noscript", "form", "label", "input", "textarea", "button", "script"),
}


class Parsed(HTMLParser):
    """The page's elements, attributes, and text by element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.current = ""
        self.attributes: list[tuple[str, str]] = []
        self.text: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.current = tag
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text[self.current] = self.text.get(self.current, "") + data

    def handle_endtag(self, tag: str) -> None:
        self.current = ""


@each_model
def test_the_page_is_small_and_self_contained(spec: Spec) -> None:
    page = docs_page(spec)
    parsed = Parsed(page)
    assert len(page.encode()) < 13_000 + 500 * len(spec.fields)
    assert set(parsed.tags) <= TAGS
    assert (parsed.tags.count("script"), parsed.tags.count("style")) == (1, 1)
    for name, value in parsed.attributes:
        assert not name.startswith("on")
        assert name not in ("src", "style", "action")
        if name == "href":
            assert value in ("schema", "openapi.json", "openapi-3.0.json")


@each_model
def test_the_policy_has_the_hashes_of_style_and_script(spec: Spec) -> None:
    parsed = Parsed(docs_page(spec))
    [policy] = [value for name, value in parsed.attributes if value.startswith("default-src")]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["connect-src"] == "'self'"
    for element in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(parsed.text[element].encode()).digest()).decode()
        assert rules[f"{element}-src"] == f"'sha256-{digest}'"


def test_hostile_names_are_escaped() -> None:
    text = Parsed(docs_page(MODELS["hostile"])).text["code"]
    for name in (*HOSTILE_NAMES, *HOSTILE_TEXTS):
        assert json.dumps(name, ensure_ascii=False) in text
    assert "<img src=x onerror=alert(1)>" in Parsed(docs_page(MODELS["hostile"])).text["li"]


def test_columns_ranges_and_labels_are_shown() -> None:
    age = tiny.Field("age", "number", default=38.5, spread=13.6, minimum=17.0, maximum=90.0)
    page = re.sub(r"<[^>]+>", "", docs_page(tiny.spec(fields=(*tiny.FIELDS[:3], age))))
    for part in ("&quot; State-gov&quot;", "typical: 38.5 ± 13.6", "17.0 to 90.0", "&lt;50k", "yes; null is allowed"):
        assert part in page


def test_long_lists_are_cut() -> None:
    field = tiny.Field("city", "category", categories=tuple(f"{'long ' * 50}{n}" for n in range(5_000)))
    page = docs_page(tiny.spec(fields=(field,)))
    assert "and 4,960 more" in page
    assert len(page) < 30_000


@pytest.mark.parametrize("name", [name for name, spec in MODELS.items() if spec.kind == "tabular"])
def test_commands_contain_the_example(name: str) -> None:
    from fastmar_runtime.docs_commands import RECORDS, commands

    record = json.loads(json.dumps(example_record(MODELS[name])))
    found = commands(RECORDS, record, "http://h/$url")
    assert json.loads(shlex.split(found["curl"].replace("\\\n", " "))[-1]) == record
    scope: dict[str, Any] = {}
    exec(found["Python"].split("response =")[0].replace("import requests", ""), scope)
    assert scope["record"] == record
    assert json.loads(found["JavaScript"].removeprefix("const record = ").split(";\nconst response")[0]) == record
    assert all("http://h/$url" in text for text in found.values())


@contextmanager
def served(spec: Spec, network: bytes) -> Iterator[tuple[str, list[Any]]]:
    """Serve the page and predictions of a model. Yields the URL of the page and a list of the received keys."""
    model, keys = Predictor(spec, network), []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            media_type, body = documents(spec).get(self.path.rpartition("/")[2], ("text/plain", b""))
            self.reply(payload.Response(200, body, media_type))

        def do_POST(self) -> None:
            keys.append(self.headers["Authorization"])
            assert self.path == f"/prefix/predictions/{spec.name}/1.0"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = payload.read(body, self.headers["Content-Type"], spec)
            self.reply(payload.write(request, model.predict(request.records), spec))

        def reply(self, response: payload.Response) -> None:
            self.send_response(response.status)
            self.send_header("Content-Type", response.content_type)
            self.end_headers()
            self.wfile.write(response.body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/prefix/predictions/{spec.name}/1.0/docs", keys
        server.shutdown()
        thread.join()


def test_the_form_sends_a_record_and_shows_errors(chromium: Chromium, axe: str) -> None:  # noqa: F811
    spec = awkward_spec()
    context = chromium.new_context(color_scheme="dark")
    with served(spec, tiny.graph()) as (url, keys), strict_page(context) as page:
        page.goto(url)
        assert url.removesuffix("/docs") in page.locator("pre").first.inner_text()
        page.get_by_label("Key").fill("secret")
        page.get_by_role("button", name="Send").click()
        page.get_by_text("Status 200").wait_for()
        answer = json.loads(page.locator("#answer").inner_text())
        assert answer == Predictor(spec, tiny.graph()).predict([example_record(spec)])[0]
        assert keys == ["Bearer secret"]
        page.get_by_label("Body").fill("{")
        page.get_by_role("button", name="Send").click()
        page.locator("#status.bad").wait_for()
        page.get_by_label("Body").fill('{"<img src=x onerror=alert(1)>": 1}')
        page.get_by_role("button", name="Send").click()
        page.get_by_text("Fix:").wait_for()
        assert "Status 400" in page.get_by_role("status").inner_text()
        page.evaluate(axe)
        violations = page.evaluate("axe.run({ resultTypes: ['violations'] })")["violations"]
        assert [v["nodes"][0] for v in violations if v["impact"] in ("serious", "critical")] == []


def test_the_form_sends_a_picture(chromium: Chromium, tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    path.write_bytes(tiny_pictures.picture("red"))
    with (
        served(tiny_pictures.spec(), tiny_pictures.graph()) as (url, keys),
        strict_page(chromium.new_context()) as page,
    ):
        page.goto(url)
        page.get_by_label("Picture").set_input_files(path)
        page.get_by_role("button", name="Send").click()
        page.get_by_text("Status 200").wait_for()
        assert json.loads(page.locator("#answer").inner_text())["prediction"] == "red"
        assert keys == [None]


def test_hostile_names_are_not_executed(chromium: Chromium) -> None:
    with served(MODELS["hostile"], tiny.graph()) as (url, _), strict_page(chromium.new_context()) as page:
        page.goto(url)
        assert page.locator("img").count() == 0
        assert page.locator("script").count() == 1
