"""What workers tell Prometheus: sums are right, nothing is lost between two times, everything is declared."""

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


class Told:
    """TorchServe's metrics: what was printed, by name and labels."""

    def __init__(self):
        self.values = {}
        self.lines = 0
        self.at_least = threading.Condition()

    def __contains__(self, name):
        return True

    def get(self, name):
        told = self

        class Metric:
            def add_or_update(self, value, dimension_values):
                with told.at_least:
                    key = (name, *dimension_values)
                    told.values[key] = value if name == metrics.MEMORY else told.values.get(key, 0) + value
                    told.lines += 1
                    told.at_least.notify_all()

        return Metric()

    def of(self, name):
        """Values by the label behind model and version."""
        return {key[3:] and key[3]: value for key, value in self.values.items() if key[0] == name}


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def counted(told):
    return Metrics(told, tuple(MODEL), "9000", interval=3600)


def test_it_starts_at_zero_so_that_the_first_request_is_an_increase(told, counted):
    assert told.of(metrics.STARTS) == {(): 1}
    assert told.of(metrics.REQUESTS) == {"200": 0, "400": 0, "500": 0}
    assert set(told.of("fastmar_request_seconds_bucket").values()) == {0}
    assert told.of(metrics.MEMORY)["9000"] > 1_000_000
    assert all(list(key[1:3]) == MODEL for key in told.values)


def test_requests_records_and_codes_of_several_batches_are_summed_up(told, counted):
    counted.answered([PLAIN])
    counted.answered([WARNED, REFUSED, PLAIN])
    counted.refused("bad_request")
    counted.responded([200, 200, 400], 0.004)
    counted.answered([WARNED])
    counted.responded([200], 0.3)
    before = told.lines
    counted.flush()
    assert told.of(metrics.REQUESTS) == {"200": 3, "400": 1, "500": 0}
    assert told.of(metrics.RECORDS) == {(): 5}
    assert told.of(metrics.BATCHES) == {(): 2}
    assert told.of(metrics.WARNINGS) == {"extra_column": 2, "unknown_category": 2}
    assert told.of(metrics.REFUSED) == {"missing_column": 1, "bad_request": 1}
    assert told.lines - before < 30
    counted.flush()
    assert told.of(metrics.BATCHES) == {(): 2}, "said once"


def test_buckets_are_a_histogram_of_prometheus(told, counted):
    counted.responded([200] * 3, 0.0005)  # on a bound: it belongs to it
    counted.responded([200, 400], 0.003)
    counted.responded([200], 60.0)
    counted.flush()
    buckets = told.of("fastmar_request_seconds_bucket")
    assert list(buckets)[-1] == "+Inf"
    assert (buckets["0.0005"], buckets["0.0025"], buckets["0.005"], buckets["10.0"], buckets["+Inf"]) == (3, 3, 5, 5, 6)
    assert told.of("fastmar_request_seconds_count") == {(): 6}
    assert told.of("fastmar_request_seconds_sum")[()] == pytest.approx(60 + 2 * 0.003 + 3 * 0.0005)


def test_it_speaks_by_itself(told):
    counted = Metrics(told, tuple(MODEL), "9000", interval=0.01)
    for expected in (1, 2):
        counted.responded([200], 0.001)
        with told.at_least:
            told.at_least.wait_for(lambda n=expected: told.of(metrics.BATCHES) == {(): n}, timeout=30)
        assert told.of(metrics.BATCHES) == {(): expected}


def test_nothing_is_lost_while_it_speaks(told, counted):
    stop = threading.Event()

    def speak():
        while not stop.is_set():
            counted.flush()

    speaker = threading.Thread(target=speak)
    speaker.start()
    for _ in range(2000):
        counted.answered([WARNED])
        counted.responded([200, 200], 0.001)
    stop.set()
    speaker.join()
    counted.flush()
    assert told.of(metrics.REQUESTS)["200"] == 4000
    assert told.of(metrics.WARNINGS)["extra_column"] == told.of(metrics.RECORDS)[()] == 2000


def test_a_name_that_would_break_torchserves_line(told):
    Metrics(told, ("a,b:c|d e", "1.0"), "0", interval=3600)
    assert {key[1] for key in told.values} == {"a_b_c_d_e"}


def test_a_server_that_does_not_declare_them_is_served_all_the_same():
    counted = Metrics({}, tuple(MODEL), "9000", interval=0.0)
    counted.answered([WARNED])
    counted.responded([200], 0.001)
    counted.flush()


def test_torchserve_declares_all_of_them(tmp_path, monkeypatch, caplog):
    """The handler under TorchServe's own code, with the metrics.yaml that `fastmar serve` gives to it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cache_module = pytest.importorskip("ts.metrics.metric_cache_yaml_impl", exc_type=ImportError)
    config = tmp_path / "metrics.yaml"
    config.write_text(resources.files("fastmar_serving.torchserve").joinpath("metrics.yaml").read_text("utf-8"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves the file open
        cache = cache_module.MetricsCacheYamlImpl(str(config))
        cache.initialize_cache()
    cache.model_name = "tiny"
    monkeypatch.setattr("sys.argv", ["worker", "--sock-name", "/tmp/.ts.sock.9003"])
    with caplog.at_level(logging.INFO, logger="ts.metrics.caching_metric"):
        worker = Worker(tiny.write_bundle(tmp_path / "model"), cache)
        worker.ask(post(tiny.record(extra=1)), post({}), post(b"{"))
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
