"""The counts of requests and refusals."""

from __future__ import annotations

from pathlib import Path

import requests
from prometheus_client.parser import text_string_to_metric_families

from fastmar_serving.testing import RunningServer
from tests.engines import Engine, needs
from tests.engines.calls import TIMEOUT, post, wait_for

pytestmark = needs("launcher")

SAMPLES = [
    ("fastmar_requests_total", {"status": "200"}),
    ("fastmar_requests_total", {"status": "400"}),
    ("fastmar_refused_total", {"code": "bad_request"}),
]


def counts(server: RunningServer) -> list[float]:
    text = requests.get(server.metrics, timeout=TIMEOUT).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return [
        sum(sample.value for sample in samples if sample.name == name and sample.labels.items() >= labels.items())
        for name, labels in SAMPLES
    ]


def test_requests_are_counted(engine: Engine, tiny_store: Path) -> None:
    with engine.serve(tiny_store) as server:
        for _ in range(20):
            assert post(server, key=None).status == 200
        assert post(server, b"{", key=None).code == "bad_request"
        wait_for(lambda: counts(server) == [20, 1, 1])
