"""Prometheus: counts of all servers that it scrapes, in windows of time.

`increase` extrapolates the counts to the ends of a window and handles counters that start again. All slots of a server
are scraped together, so their shares stay as they are. The number of records may be wrong by the share of two scrape
intervals in the time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any
from urllib.parse import urlencode, urlsplit

from fastmar_contract.profiles import COUNTS, ROWS, SHARES
from fastmar_monitor.errors import MonitorError
from fastmar_monitor.sources.live import DAY, HOUR, Live, Query, period_start
from fastmar_monitor.sources.series import check_shares, model_labels, no_records, to_profile
from fastmar_monitor.sources.server import PATH, SCHEMES
from fastmar_runtime.metrics import REFUSED
from fastmar_runtime.profiles.profile import empty

TIMEOUT = (5.0, 150.0)  # seconds to connect, and for a query; Prometheus ends one after 120
DEFAULT_SPAN = timedelta(days=1)  # without `Query.since`
_API = "/api/v1/"
_LENGTHS = {DAY: timedelta(days=1), HOUR: timedelta(hours=1)}

Series = tuple[dict[str, str], list[tuple[float, float]]]  # labels; times and values


def matches(data: str) -> bool:
    """Whether it is the URL of a Prometheus, or of something with its API.

    Raises:
        ClientError: there is no server.
    """
    if not data.startswith(SCHEMES) or urlsplit(data).path.endswith(PATH):
        return False
    status, body = _get(data, "status/buildinfo", {})
    return status in (401, 403) or _data(body) is not None


def read(query: Query) -> Live:
    """See `read_live`.

    Raises:
        ClientError: Prometheus does not answer.
    """
    now = datetime.now(UTC)
    since = query.since or now - DEFAULT_SPAN
    length = _LENGTHS[query.by] if query.by else timedelta(seconds=max(1, ceil((now - since).total_seconds())))
    start = period_start(since, query.by) if query.by else since
    times = [start + length]
    while times[-1] < now:
        times.append(times[-1] + length)
    model = _selector(model_labels(query))
    notices = check_shares(query, *_shares(query, model, times[-1], times[-1] - start))
    window = f"[{_seconds(length)}]"
    rows = _query(query, f"sum(increase({ROWS}{model}{window}))", times)
    counts = _query(query, f"sum by (variable, slot) (increase({COUNTS}{model}{window}))", times)
    by_time: dict[float, dict[tuple[str, str], float]] = {}
    for labels, points in counts:
        for time, value in points:
            by_time.setdefault(time, {})[labels.get("variable", ""), labels.get("slot", "")] = value
    periods = []
    for time, value in sorted(point for _, points in rows for point in points):
        profile = to_profile(query, value, by_time.get(time, {}))
        if profile.rows:
            periods.append((datetime.fromtimestamp(time, UTC) - length, profile))
    if not periods:
        raise no_records(query)
    refused = sum(
        value for _, points in _query(query, f"sum(increase({REFUSED}{model}{window}))", times) for _, value in points
    )
    total = sum((profile for _, profile in periods), start=empty(query.reference.profile.variables))
    query.on_progress(total.rows)
    estimate = f"Prometheus estimates the counts since {start:%Y-%m-%d %H:%M} UTC from its scrapes."
    return Live(total, tuple(periods) if query.by else (), round(refused), (estimate, *notices))


def _shares(query: Query, model: str, time: datetime, span: timedelta) -> tuple[dict[tuple[str, str], float], set[str]]:
    """The shares of the reference; without any, the models that have some."""
    window = f"[{_seconds(span)}]"
    found = _query(query, f"max by (variable, slot) (last_over_time({SHARES}{model}{window}))", [time])
    shares = {(labels.get("variable", ""), labels.get("slot", "")): points[0][1] for labels, points in found}
    if shares:
        return shares, set()
    others = _query(query, f"group by (model_name, model_version) (last_over_time({SHARES}{window}))", [time])
    return {}, {f"{labels.get('model_name')} {labels.get('model_version')}" for labels, _ in others}


def _selector(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.0f}s"


def _query(query: Query, expression: str, times: list[datetime]) -> list[Series]:
    """Evaluate an expression at times with equal distances."""
    step = (times[-1] - times[0]).total_seconds() / max(1, len(times) - 1) or 1
    parameters = {"query": expression, "start": times[0].timestamp(), "end": times[-1].timestamp(), "step": step}
    status, body = _get(query.data, "query_range", parameters, query)
    if status in (401, 403):
        from fastmar_client import Unauthorized  # noqa: PLC0415

        raise Unauthorized(
            f"{query.data} refuses the request without a valid key.",
            fix="pass --key-file, a file with the key of Prometheus; for a server, pass the address of its metrics.",
            status=status,
        )
    data = _data(body)
    try:
        return [
            (series["metric"], [(float(time), float(value)) for time, value in series["values"]])
            for series in data["result"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        reason = body.get("error") if isinstance(body, dict) else None
        raise MonitorError(
            f"the query of {query.data} failed: {reason or f'status {status}'}.",
            fix="choose a shorter time with --since, or read the log of Prometheus.",
            code="prometheus_failed",
        ) from error


def _data(body: Any) -> Any:
    """The data in a response of the API; None if there are none."""
    return body.get("data") if isinstance(body, dict) and body.get("status") == "success" else None


def _get(url: str, path: str, parameters: Mapping[str, Any], query: Query | None = None) -> tuple[int, Any]:
    """The status of a response, and its JSON; None if it is none."""
    from fastmar_client.http import HttpTransport  # noqa: PLC0415 - requests is an optional dependency
    from fastmar_client.keys import KeyFile  # noqa: PLC0415

    key = KeyFile(query.key_file).key() if query and query.key_file else None
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    transport = HttpTransport(url.rstrip("/"))
    try:
        reply = transport.send("GET", f"{_API}{path}?{urlencode(parameters)}", None, headers, TIMEOUT)
    finally:
        transport.close()
    try:
        return reply.status, json.loads(reply.content)
    except ValueError:
        return reply.status, None
