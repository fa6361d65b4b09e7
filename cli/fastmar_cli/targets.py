"""Targets of `predict`: an archive in this process, or a served model, behind one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastmar_cli.inputs import JSON, InputUnreadable

Target = Callable[[bytes, str], Iterator[dict[str, Any]]]


def open_target(target: str, key_file: Path | None) -> Target:
    """A function from a body and its Content-Type to answers, in order."""
    if target.startswith(("http://", "https://")):
        return _served(target, key_file)
    return _archive(target)


def _archive(path: str) -> Target:
    from fastmar_runtime import payload
    from fastmar_runtime.predictor import Predictor

    predictor = Predictor.open(path)

    def answers(body: bytes, content_type: str) -> Iterator[dict[str, Any]]:
        yield from predictor.predict(payload.read(body, content_type, predictor.spec).records)

    return answers


def _served(url: str, key_file: Path | None) -> Target:
    """Through `fastmar_client`, which sends many records in batches."""
    from fastmar_client import Client
    from fastmar_runtime import payload

    parts = urlsplit(url)
    base, _, rest = url.partition("/predictions/")
    name, _, version = rest.strip("/").partition("/")
    if not name:
        fix = f"give {parts.scheme}://{parts.netloc}/predictions/NAME."
        raise InputUnreadable(f"{url} names no model.", fix=fix)
    client = Client(base, key_file=key_file)

    def answers(body: bytes, content_type: str) -> Iterator[dict[str, Any]]:
        yield from client.predict_body(name, body, content_type, version=version or None)

    _ = payload, JSON
    return answers
