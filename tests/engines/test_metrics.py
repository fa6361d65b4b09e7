"""The counts of requests and refusals."""

from __future__ import annotations

import time

import requests
from prometheus_client.parser import text_string_to_metric_families

from fastmar_serving.testing import RunningServer
from tests.engines import needs
from tests.engines.calls import post, wait_for

pytestmark = needs("launcher")

SAMPLES = [
    ("fastmar_requests_total", {"status": "200"}),
    ("fastmar_requests_total", {"status": "400"}),
    ("fastmar_refused_total", {"code": "bad_request"}),
]


def counts(server: RunningServer) -> list[float]:
    text = requests.get(server.metrics, timeout=30).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return [
        sum(sample.value for sample in samples if sample.name == name and sample.labels.items() >= labels.items())
        for name, labels in SAMPLES
    ]


def test_requests_are_counted(keyed: RunningServer) -> None:
    time.sleep(1.5)  # earlier requests have been reported
    answered, refused, codes = counts(keyed)
    for _ in range(20):
        post(keyed)
    assert post(keyed, b"{").code == "bad_request"
    wait_for(lambda: counts(keyed) == [answered + 20, refused + 1, codes + 1], 5)
