"""Reads the metrics of a server, in Prometheus's text format."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from fastmar_client.errors import ServerFailed
from fastmar_client.http import HttpTransport

TIMEOUT = (2.0, 10.0)  # seconds to connect, and without data

_LINE = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\s*", re.ASCII)
_LABEL = re.compile(r'\s*([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"\s*(?:,\s*|$)', re.ASCII)
_ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric.

    Attributes:
        name: the name of the metric; for a histogram, with _bucket, _sum or _count.
        labels: value by name.
        value: the number.
    """

    name: str
    labels: dict[str, str]
    value: float


def read_metrics(url: str, names: Collection[str]) -> list[Sample]:
    """The values of some metrics.

    Args:
        url: such as http://127.0.0.1:8082/metrics.
        names: the names of the metrics; for a histogram, with _bucket, _sum or _count.

    Raises:
        ClientError: there is no server, or what it returned are not metrics.
    """
    transport = HttpTransport(url)
    try:
        reply = transport.send("GET", "", None, {"Accept": "text/plain"}, TIMEOUT)
    finally:
        transport.close()
    if reply.status != 200:
        raise _no_metrics(url, f"status {reply.status}")
    try:
        return list(parse_metrics(reply.content.decode("utf-8"), names))
    except ValueError as error:
        raise _no_metrics(url, str(error)) from error


def parse_metrics(text: str, names: Collection[str]) -> Iterator[Sample]:
    """The values of the metrics `names` in a text.

    Raises:
        ValueError: a line of them is no sample.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("#") or re.split(r"[{\s]", line, maxsplit=1)[0] not in names:
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"line {number} is no sample of a metric")
        yield Sample(found[1], _labels(found[2] or "", number), float(found[3]))


def _labels(text: str, number: int) -> dict[str, str]:
    labels, position = {}, 0
    while position < len(text):
        found = _LABEL.match(text, position)
        if found is None:
            raise ValueError(f"line {number} has an unreadable label")
        labels[found[1]] = _ESCAPE.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], found[2])
        position = found.end()
    return labels


def _no_metrics(url: str, reason: str) -> ServerFailed:
    return ServerFailed(
        f"{url} returned no metrics ({reason}).", fix="give the address of the server's metrics.", code="no_metrics"
    )
