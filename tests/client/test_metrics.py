"""The reader of metrics, against prometheus_client's writer."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, generate_latest, start_http_server

from fastmar_client import ClientError
from fastmar_client.metrics import Sample, parse_metrics, read_metrics

TORCHSERVE = """\
# HELP fastmar_requests_total Torchserve prometheus counter metric with unit: count
# TYPE fastmar_requests_total counter
fastmar_requests_total{model_name="a",model_version="1.0",status="200",} 40.0
ts_queue_latency_microseconds{uuid="1",} 3.5
fastmar_requests_total{model_name="a",model_version="1.0",status="400",} 1.0E2 1700000000000
"""


@given(st.lists(st.tuples(st.text(), st.integers(0, 1 << 53)), unique_by=lambda pair: pair[0], max_size=5))
def test_it_reads_what_prometheus_client_writes(pairs: list[tuple[str, int]]) -> None:
    pairs = [(value.encode("utf-8", "replace").decode(), count) for value, count in pairs]
    registry = CollectorRegistry()
    counter = Counter("records_total", "Records.", ["code"], registry=registry)
    expected: dict[str, float] = {}
    for value, count in pairs:
        counter.labels(value).inc(count)
        expected[value] = expected.get(value, 0) + count
    text = generate_latest(registry).decode()
    assert {each.labels["code"]: each.value for each in parse_metrics(text, ["records_total"])} == expected


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        list(parse_metrics(f"a{text}\na{{{text}}} 1", ["a"]))


def test_it_reads_torchserve() -> None:
    labels = {"model_name": "a", "model_version": "1.0"}
    assert list(parse_metrics(TORCHSERVE, {"fastmar_requests_total"})) == [
        Sample("fastmar_requests_total", {**labels, "status": "200"}, 40),
        Sample("fastmar_requests_total", {**labels, "status": "400"}, 100),
    ]
    [sample] = parse_metrics('up{x="a } b, \\"c\\" \\\\n\\n"} NaN', ["up"])
    assert sample.labels == {"x": 'a } b, "c" \\n\n'}
    assert math.isnan(sample.value)


@pytest.mark.parametrize("line", ["up", "up{", "up{a=1} 1", 'up{a="b"} one', 'up{a="b" c="d"} 1', "up 1 2 3"])
def test_a_broken_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"line 2|could not convert"):
        list(parse_metrics(f"\n{line}\nother{{", ["up"]))


def test_it_reads_a_server() -> None:
    registry = CollectorRegistry()
    Counter("records_total", "Records.", registry=registry).inc(3)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        assert [each.value for each in read_metrics(f"{url}/metrics", ["records_total"])] == [3]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    with pytest.raises(ClientError) as caught:
        read_metrics(url, ["records_total"])
    assert caught.value.code == "server_unreachable"
