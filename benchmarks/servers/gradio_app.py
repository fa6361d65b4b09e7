"""A form by Gradio for a model that fastmar serves, as its documentation suggests: components from the columns, live.

    .build/gradio/bin/python -m benchmarks.servers.gradio_app http://127.0.0.1:8080 NAME --port 7860

It runs in an environment of its own (`pip install gradio`), and asks the same server as `fastmar web`.
"""

from __future__ import annotations

import argparse
import json
import urllib.request
from pathlib import Path
from typing import Any

import gradio


def call(url: str, body: bytes | None = None, content_type: str = "application/json") -> Any:
    """GET, or POST `body`; returns the answer."""
    request = urllib.request.Request(url, body, {"Content-Type": content_type})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def component(name: str, schema: dict[str, Any]) -> Any:
    """The component for a column, with the default of its JSON Schema."""
    categories = schema.get("x-fastmar", {}).get("categories")
    if categories:
        return gradio.Dropdown(categories, label=name, value=schema.get("default"))
    return gradio.Number(label=name, value=schema.get("default"))


def table_page(url: str, schema: dict[str, Any]) -> gradio.Interface:
    """The page of a tabular model."""
    properties = schema["record"]["properties"]
    names = list(properties)
    examples = [[example.get(name) for name in names] for example in schema["record"].get("examples", [])]

    def predict(*values: Any) -> dict[str, float]:
        sent = {name: value for name, value in zip(names, values, strict=True) if value not in (None, "")}
        answer: dict[str, float] = call(url, json.dumps(sent).encode())["probabilities"]
        return answer

    inputs = [component(name, properties[name]) for name in names]
    return gradio.Interface(predict, inputs, gradio.Label(num_top_classes=5), examples=examples or None, live=True)


def picture_page(url: str) -> gradio.Interface:
    """The page of a picture model."""

    def predict(path: str | None) -> dict[str, float]:
        if path is None:
            return {}
        answer: dict[str, float] = call(url, Path(path).read_bytes(), "application/octet-stream")["probabilities"]
        return answer

    return gradio.Interface(predict, gradio.Image(type="filepath"), gradio.Label(num_top_classes=5), live=True)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("name")
    parser.add_argument("--port", type=int, default=7860)
    args = parser.parse_args()
    url = f"{args.url}/predictions/{args.name}"
    schema = call(f"{url}/schema")
    page = picture_page(url) if schema["kind"] == "vision" else table_page(url, schema)
    page.launch(server_name="127.0.0.1", server_port=args.port, quiet=True)


if __name__ == "__main__":
    main()
