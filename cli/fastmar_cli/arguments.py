"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import csv
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fastmar_contract.urls import http_url, is_url


def _number(what: str, kind: Callable[[str], Any], low: float, high: float) -> Callable[[str], Any]:
    """An argument type for numbers from `low` to `high`; `what` names them in the error."""

    def parse(text: str) -> Any:
        try:
            number = kind(text)
        except ValueError:
            number = math.nan  # in no range
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
        return number

    return parse


port = _number("a port from 0 to 65535", int, 0, 65535)
positive = _number("a whole number of 1 or more", int, 1, math.inf)
share = _number("a number from 0 to 1", float, 0, 1)
seconds = _number("a number of seconds", float, 0, 1e9)  # waiting for longer overflows in the standard library


def names(text: str) -> list[str]:
    """An argument type: names between commas; one that contains a comma is quoted, as in a CSV."""
    return [name for row in csv.reader([text], skipinitialspace=True) for name in row if name]


_UNITS = {"d": "days", "h": "hours"}


def time(text: str) -> datetime:
    """An argument type for a time: a date, a time in ISO 8601 (UTC without an offset), or a span before now."""
    span = re.fullmatch(r"(\d{1,5})([dh])", text)
    if span:
        return datetime.now(UTC) - timedelta(**{_UNITS[span[2]]: int(span[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2026-01-31, 7d or 12h") from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def read_variable(environ: Mapping[str, str], variable: str) -> str:
    """The value of an option's environment variable; empty if it is not set.

    Kubernetes sets FASTMAR_PORT=tcp://10.0.0.7:8080 for a Service named fastmar; such values are ignored.
    """
    text = environ.get(variable, "").strip()
    return "" if is_url(text) else text


def default_url() -> str:
    """The default of --url: FASTMAR_URL, or the address of `fastmar serve` on this machine (see FASTMAR_PORT)."""
    port = read_variable(os.environ, "FASTMAR_PORT") or "8080"
    return os.environ.get("FASTMAR_URL") or f"http://127.0.0.1:{port}"


def metrics_of(url: str) -> str | None:
    """The address of the metrics of a server of this user; None if no such server runs at `url` on this machine."""
    try:
        from fastmar_serving import registry  # noqa: PLC0415 - without the packages of an engine, no server runs here
        from fastmar_serving.settings import reachable_url  # noqa: PLC0415
    except ModuleNotFoundError:
        return None
    server = registry.find(http_url(url))
    return f"{reachable_url(server.metrics)}/metrics" if server else None


def refuse_swapped(args: argparse.Namespace, model: str | Path, inputs: Iterable[str | Path]) -> None:
    """Refuse a model among the inputs of a command, whose first argument is the model."""
    for given in map(str, inputs):
        if is_model(given):
            if is_model(str(model)):
                args.refuse(f"{given} is a model; fastmar {args.command} takes one, and {model} comes first")
            args.refuse(f"the model comes first: fastmar {args.command} {given} {model}")


def is_model(text: str) -> bool:
    """Whether an argument is the path of an archive, or the URL of a served model."""
    return text.endswith(".mar") or "/predictions/" in text


def add_key_file(parser: argparse.ArgumentParser) -> None:
    """Add the option for the server's key."""
    parser.add_argument(
        "--key-file",
        "--token-file",
        type=Path,
        metavar="FILE",
        help="file with the server's key: its key_file.json, or a text file whose first key is sent",
    )
