"""Other HTTP clients, used in their usual ways, against each engine with a tabular model and a picture model.

The clients are installed in a separate environment by `.ci/clients`.
"""

from __future__ import annotations

import functools
import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.client.conftest import adult, colours  # noqa: F401 - fixtures
from tests.client.models import people
from tests.engines import Engine
from tests.pictures import COLOURS, picture

from fastmar_client import Client
from fastmar_serving.testing import RunningServer

# ruff: noqa: F811 - fixtures are imported, and named again as arguments

TOOLS = Path(__file__).parent / "tools"
BIN = Path(__file__).parents[2] / ".build" / "clients" / "bin"
CASES = ["json", "invocations", "csv", "csv part", "gzip", "picture", "pictures"]
RECORD = {"workclass": " Private", "education": " Masters", "age": 49, "hours-per-week": 40}


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    data = json.dumps(RECORD).encode()
    (folder / "record.json").write_bytes(data)
    (folder / "record.json.gz").write_bytes(gzip.compress(data))
    people(5).drop(columns="salary").to_csv(folder / "rows.csv", index=False)
    for number, colour in enumerate(COLOURS):
        picture(colour, number).save(folder / f"{colour}.png")
    return folder


@pytest.fixture(scope="session")
def served(engine: Engine, adult: Path, colours: Path) -> Iterator[RunningServer]:
    with engine.serve(adult.parent) as running:
        yield running


@pytest.fixture(scope="session")
def expected(served: RunningServer, inputs: Path) -> dict[str, Any]:
    """The answers of each case, from `fastmar_client`."""
    with Client(served.url) as client:
        one = client.predict("adult", RECORD)
        rows = client.predict("adult", people(5).drop(columns="salary"))
        colours = [
            client.predict("colours", (inputs / f"{name}.png").read_bytes()) for name in ("red", "green", "blue")
        ]
    return {
        "json": one,
        "invocations": one,
        "csv": rows,
        "csv part": rows,
        "gzip": one,
        "picture": colours[0],
        "pictures": colours,
    }


def answers(command: list[str | Path], server: RunningServer, inputs: Path) -> dict[str, Any]:
    """The output of a client; skips the test if the client is missing."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is missing; `.ci/clients` installs it")
    done = subprocess.run([*command, server.url, inputs], capture_output=True, text=True, check=False, timeout=120)
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


COMMANDS: dict[str, list[str | Path]] = {
    "curl": ["bash", TOOLS / "send_curl.sh"],
    "requests": [BIN / "python", TOOLS / "send_requests.py"],
    "httpx": [BIN / "python", TOOLS / "send_httpx.py"],
    "fetch": ["node", TOOLS / "send_fetch.mjs"],
}


@pytest.fixture(scope="session")
def sent(served: RunningServer, inputs: Path) -> Callable[[str], dict[str, Any]]:
    """Returns the answers of a tool, which runs once."""
    # The tool is no parameter of a fixture: pytest would sort tests by it, and start each engine several times.
    return functools.cache(lambda tool: answers(COMMANDS[tool], served, inputs))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tool", COMMANDS)
def test_http_tools(sent: Callable[[str], dict[str, Any]], expected: dict[str, Any], tool: str, case: str) -> None:
    if tool == "curl" and shutil.which("curl") is None:
        pytest.skip("curl is missing")
    assert _comparable(sent(tool)[case]) == _comparable(expected[case])


def test_kserve(served: RunningServer, inputs: Path, expected: dict[str, Any]) -> None:
    found = answers([BIN / "python", TOOLS / "send_kserve.py"], served, inputs)
    assert _comparable(found["v1"]["predictions"]) == _comparable([expected["json"]])
    assert found["v2"]["prediction"] == [expected["json"]["prediction"]]
    ready = {name: value for name, value in found.items() if name not in ("v1", "v2")}
    assert ready == dict.fromkeys(["v1 live", "v1 ready", "v2 live", "v2 server ready", "v2 ready"], True)


def test_case_tritonclient_binary(served: RunningServer, inputs: Path, expected: dict[str, Any]) -> None:
    found = answers([BIN / "python", TOOLS / "send_triton.py"], served, inputs)
    assert found["json"] == found["binary"] == [expected["json"]["prediction"]]
    assert (found["live"], found["server ready"], found["ready"]) == (True, True, True)
    assert "workclass" in found["refused"], "the message names the missing column"


def test_locust(served: RunningServer, inputs: Path, tmp_path: Path) -> None:
    if not (BIN / "locust").exists():
        pytest.skip("locust is missing; `.ci/clients` installs it")
    report = tmp_path / "report"
    options = ["--headless", "-u", "8", "-r", "8", "-t", "3s", "--only-summary"]
    done = subprocess.run(
        [BIN / "locust", "-f", TOOLS / "locustfile.py", *options, "--host", served.url, "--csv", report],
        env=os.environ | {"INPUTS": str(inputs)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    total = (tmp_path / "report_stats.csv").read_text().splitlines()[-1].split(",")
    assert int(total[2]) >= 8, "each user got an answer"
    assert int(total[3]) == 0


def _comparable(found: Any) -> Any:
    """Answers without names, and with rounded probabilities: those of a batch differ in the last digits."""
    if isinstance(found, list):
        return [_comparable(answer) for answer in found]
    kept = {name: value for name, value in found.items() if name != "name"}
    probabilities = {label: round(value, 4) for label, value in kept.get("probabilities", {}).items()}
    return {**kept, "probabilities": probabilities}
