from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastmar_serving.torchserve.logs import ServerLog, reason


def worker(model: str, text: str) -> str:
    return f"worker\tW-9000-{model}_1.0-stdout\tINFO\t{text}\n"


def test_collects_load_failures_and_hides_irrelevant_lines() -> None:
    shown: list[str] = []
    lines = [
        "Model server started.\n",
        "\n",
        worker("my_model", "Torch worker started."),
        worker("my_model", "fastmar: my_model can't be served: no graph. Fix: export it again."),
        "server\tBatchAggregator\tWARN\tLoad model failed: my_model, error: Worker died. \n",
        "java.lang.OutOfMemoryError\n",
    ]
    log = ServerLog(lines, shown.append)
    log.wait_for_end(60)
    assert log.failures == {"my_model": "Worker died."}
    assert log.reason("my_model") == ("my_model can't be served: no graph.", "export it again.")
    assert log.reason("another")[1] is None
    assert shown == ["java.lang.OutOfMemoryError"]
    assert log.last_server_line() == "java.lang.OutOfMemoryError"


def test_shows_output_of_workers_after_loading() -> None:
    shown: list[str] = []
    go = threading.Event()

    def lines() -> Iterator[str]:
        yield worker("m", "loading")
        go.wait(60)
        yield worker("m", "ValueError: in a prediction\t with a tab")
        yield worker("m", "Python runtime: 3.11")
        yield "server\tWorkerThread\tWARN\tit restarts \n"

    log = ServerLog(lines(), shown.append)
    log.models_are_loaded()
    go.set()
    log.wait_for_end(60)
    assert [line for line in shown if "loading" not in line] == [
        "m: ValueError: in a prediction\t with a tab",
        "torchserve: it restarts",
    ]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["Failed to load model m, exception no graph", "  Fix: export.", "Traceback "], ("no graph", "export.")),
        (["Failed to load model m, exception no graph", "Traceback (m"], ("no graph", None)),
        (["Fatal Python error: Aborted", "", "Extension modules: a"], ("Fatal Python error: Aborted", None)),
        (
            ["Traceback (most", "  File", "ImportError: x", "", "During handling", "Traceback (", "KeyError: y"],
            ("ImportError: x", None),
        ),
        (["Traceback (most", "  File", "KeyboardInterrupt"], ("KeyboardInterrupt", None)),
        (["killed"], ("killed", None)),
        ([], (None, None)),
    ],
)
def test_the_reason(lines: list[str], found: tuple[str | None, str | None]) -> None:
    assert reason("m", lines) == found


def test_writes_failures_of_workers_to_a_file(tmp_path: Path) -> None:
    def line(worker: int, version: str, text: str) -> str:
        return f"worker\tW-{worker}-my_model_{version}-stdout\tINFO\t{text}\n"

    file = tmp_path / "failures.json"
    file.write_text("of an earlier server")
    lines = [
        line(9000, "1.0", "all is well"),
        line(9001, "2.0", "fastmar: my_model can't be served: no graph. Fix: export it again."),
        line(9002, "3.0", "Traceback (most recent call last):"),
        line(9002, "3.0", "ValueError: no weights"),
        line(9002, "3.0", "Backend worker process died."),
        line(9003, "4.0", "Fatal Python error: Segmentation fault"),
        line(9004, "5.0", "Failed to load model my_model, exception no weights"),  # and then TorchServe kills it
        line(9004, "5.0", "Fix: copy them."),
        line(9005, "6.0", "Failed to load model my_model, exception no weights"),
        line(9005, "6.0", "Traceback (most recent call last):"),
    ]
    ServerLog(lines, lambda _: None, file).wait_for_end(5)
    assert json.loads(file.read_text()) == {
        "9001": {"model": "my_model", "reason": "my_model can't be served: no graph.", "fix": "export it again."},
        "9002": {"model": "my_model", "reason": "ValueError: no weights", "fix": None},
        "9003": {"model": "my_model", "reason": "Fatal Python error: Segmentation fault", "fix": None},
        "9004": {"model": "my_model", "reason": "no weights", "fix": "copy them."},
        "9005": {"model": "my_model", "reason": "no weights", "fix": None},
    }
    assert [path.name for path in tmp_path.iterdir()] == ["failures.json"]
