"""Metrics of workers: sums are correct, no count is lost, all metrics are declared."""

from __future__ import annotations

import logging
import threading
import warnings
from importlib import resources

import pytest

from fastmar_runtime import metrics
from fastmar_runtime.metrics import Metrics
from tests.runtime import tiny
from tests.runtime.test_torchserve import Worker, post

MODEL = ["holes", "2.0"]
PLAIN = {"prediction": 1.0, "warnings": []}
WARNED = {"prediction": 1.0, "warnings": [{"code": "extra_column"}, {"code": "unknown_category"}]}
REFUSED = {"error": {"code": "missing_column"}}


class PrintedMetrics:
    """In place of TorchServe's metrics: sums of printed values by name and labels."""

    def __init__(self):
        self.values = {}
        self.lines = 0
        self.updated = threading.Condition()

    def __contains__(self, name):
        return True

    def get(self, name):
        printed = self

        class Metric:
            def add_or_update(self, value, dimension_values):
                with printed.updated:
                    key = (name, *dimension_values)
                    printed.values[key] = value if name == metrics.MEMORY else printed.values.get(key, 0) + value
                    printed.lines += 1
                    printed.updated.notify_all()

        return Metric()

    def of(self, name):
        """Values by the label after model and version."""
        return {key[3:] and key[3]: value for key, value in self.values.items() if key[0] == name}


@pytest.fixture
def printed():
    return PrintedMetrics()


@pytest.fixture
def worker_metrics(printed):
    return Metrics(printed, tuple(MODEL), "9000", interval=3600)


def test_metrics_start_at_zero(printed, worker_metrics):
    assert printed.of(metrics.STARTS) == {(): 1}
    assert printed.of(metrics.REQUESTS) == {"200": 0, "400": 0, "500": 0, "503": 0}
    assert set(printed.of("fastmar_request_seconds_bucket").values()) == {0}
    assert printed.of(metrics.MEMORY)["9000"] > 1_000_000
    assert all(list(key[1:3]) == MODEL for key in printed.values)


def test_sums_of_requests_records_and_codes(printed, worker_metrics):
    worker_metrics.computed([], [[PLAIN]], [])
    worker_metrics.computed([], [[WARNED, REFUSED, PLAIN]], [])
    worker_metrics.refused("bad_request")
    worker_metrics.responded([200, 200, 400], 0.004)
    worker_metrics.computed([], [[WARNED]], [])
    worker_metrics.responded([200], 0.3)
    before = printed.lines
    worker_metrics.flush()
    assert printed.of(metrics.REQUESTS) == {"200": 3, "400": 1, "500": 0, "503": 0}
    assert printed.of(metrics.RECORDS) == {(): 5}
    assert printed.of(metrics.BATCHES) == {(): 2}
    assert printed.of(metrics.WARNINGS) == {"extra_column": 2, "unknown_category": 2}
    assert printed.of(metrics.REFUSED) == {"missing_column": 1, "bad_request": 1}
    assert printed.lines - before < 30
    worker_metrics.flush()
    assert printed.of(metrics.BATCHES) == {(): 2}, "each count is printed once"


def test_buckets_form_a_prometheus_histogram(printed, worker_metrics):
    worker_metrics.responded([200] * 3, 0.0005)  # bounds are inclusive
    worker_metrics.responded([200, 400], 0.003)
    worker_metrics.responded([200], 60.0)
    worker_metrics.flush()
    buckets = printed.of("fastmar_request_seconds_bucket")
    assert list(buckets)[-1] == "+Inf"
    assert (buckets["0.0005"], buckets["0.0025"], buckets["0.005"], buckets["10.0"], buckets["+Inf"]) == (3, 3, 5, 5, 6)
    assert printed.of("fastmar_request_seconds_count") == {(): 6}
    assert printed.of("fastmar_request_seconds_sum")[()] == pytest.approx(60 + 2 * 0.003 + 3 * 0.0005)


def test_metrics_are_printed_regularly(printed):
    worker_metrics = Metrics(printed, tuple(MODEL), "9000", interval=0.01)
    for expected in (1, 2):
        worker_metrics.responded([200], 0.001)
        with printed.updated:
            printed.updated.wait_for(lambda n=expected: printed.of(metrics.BATCHES) == {(): n}, timeout=30)
        assert printed.of(metrics.BATCHES) == {(): expected}


def test_no_count_is_lost_while_printing(printed, worker_metrics):
    stop = threading.Event()

    def flush_repeatedly():
        while not stop.is_set():
            worker_metrics.flush()

    printer = threading.Thread(target=flush_repeatedly)
    printer.start()
    for _ in range(2000):
        worker_metrics.computed([], [[WARNED]], [])
        worker_metrics.responded([200, 200], 0.001)
    stop.set()
    printer.join()
    worker_metrics.flush()
    assert printed.of(metrics.REQUESTS)["200"] == 4000
    assert printed.of(metrics.WARNINGS)["extra_column"] == printed.of(metrics.RECORDS)[()] == 2000


def test_refused_request_is_printed_before_the_next_batch(printed):
    worker_metrics = Metrics(printed, tuple(MODEL), "9000", interval=0.01)
    worker_metrics.refused("bad_request")
    with printed.updated:
        assert printed.updated.wait_for(lambda: printed.of(metrics.REFUSED) == {"bad_request": 1}, timeout=30)


def test_no_count_is_lost_if_two_threads_answer(printed, worker_metrics):
    """A model that computes in a thread answers there; its requests are refused in the thread of the event loop."""

    def refuse():
        for _ in range(20_000):
            worker_metrics.refused("bad_request")
            worker_metrics.responded([400], 0.0)

    refusing = threading.Thread(target=refuse)
    refusing.start()
    for _ in range(20_000):
        worker_metrics.computed([], [[WARNED]], [])
        worker_metrics.responded([200], 0.001)
    refusing.join()
    worker_metrics.flush()
    assert printed.of(metrics.REFUSED) == {"bad_request": 20_000}
    assert printed.of(metrics.RECORDS) == {(): 20_000}
    assert printed.of(metrics.REQUESTS) == {"200": 20_000, "400": 20_000, "500": 0, "503": 0}


def test_separators_in_model_names_are_replaced(printed):
    Metrics(printed, ("a,b:c|d e", "1.0"), "0", interval=3600)
    assert {key[1] for key in printed.values} == {"a_b_c_d_e"}


def test_undeclared_metrics_are_dropped():
    worker_metrics = Metrics({}, tuple(MODEL), "9000", interval=0.0)
    worker_metrics.computed([], [[WARNED]], [])
    worker_metrics.responded([200], 0.001)
    worker_metrics.flush()


def test_metrics_yaml_declares_all_metrics(tmp_path, monkeypatch, caplog):
    """Runs the handler with TorchServe's code and the metrics.yaml of `fastmar serve`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cache_module = pytest.importorskip("ts.metrics.metric_cache_yaml_impl", exc_type=ImportError)
    config = tmp_path / "metrics.yaml"
    config.write_text(resources.files("fastmar_serving.torchserve").joinpath("metrics.yaml").read_text("utf-8"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # TorchServe leaves the file open
        cache = cache_module.MetricsCacheYamlImpl(str(config))
        cache.initialize_cache()
    cache.model_name = "tiny"
    monkeypatch.setattr("sys.argv", ["worker", "--sock-name", "/tmp/.ts.sock.9003"])
    with caplog.at_level(logging.INFO, logger="ts.metrics.caching_metric"):
        worker = Worker(tiny.write_bundle(tmp_path / "model"), cache)
        worker.send(post(tiny.record(extra=1)), post({}), post(b"{"))
        worker.handler._service._observers[0].flush()
    lines = [message for message in caplog.messages if "fastmar_" in message]
    assert {line.partition("]")[2].partition(".")[0] for line in lines} == {
        name
        for key, name in vars(metrics).items()
        if key.isupper() and isinstance(name, str) and name.startswith("fastmar_") and name != metrics.SECONDS
    } | {f"{metrics.SECONDS}_{part}" for part in ("bucket", "sum", "count")}
    assert "[METRICS]fastmar_warnings_total.Count:1|#model_name:tiny,model_version:1.0,code:extra_column|" in str(lines)
    assert "|#model_name:tiny,model_version:1.0,worker:9003|#type:GAUGE|" in str(lines)
    assert not [message for message in caplog.messages if "Failed to update" in message]
