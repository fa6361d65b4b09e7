"""Scheduling for pytest-xdist: whole files or parts of them, the slowest first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from xdist.scheduler.loadscope import LoadScopeScheduling

from tests.engines import ENGINES

ROOT = Path(__file__).resolve().parents[1]

# Files that take more than a minute, the slowest first: if one started last, the other processes would be idle. Files
# in the same row run in one process, because they share a server, or because names of containers would conflict.
LONGEST = (
    (
        "tests/docker/test_compose.py",
        "tests/docker/test_image.py",
        "tests/docker/test_image_contents.py",
        "tests/docker/test_monitoring.py",
        "tests/docker/test_sagemaker.py",
        "tests/docker/test_azure.py",
        "tests/docker/test_vertex.py",
        "tests/docker/test_tls.py",
        "tests/deploy/test_pod.py",
        "tests/serving/torchserve/test_drain_in_container.py",
    ),
    ("tests/ray/test_data.py",),
    ("tests/ray/test_cluster.py",),
    (
        "tests/serving/torchserve/test_serve.py",
        "tests/serving/torchserve/test_served_client.py",
        "tests/serving/torchserve/test_front.py",
        "tests/serving/torchserve/test_routes.py",
    ),
    ("tests/documents/test_commands.py",),
    ("tests/spark/test_executors.py", "tests/spark/test_scorer.py"),
    ("tests/docker/test_bundle.py",),
    (
        "tests/engines/test_http.py",
        "tests/engines/test_cases.py",
        "tests/engines/test_kserve.py",
        "tests/engines/test_describe.py",
        "tests/engines/test_pictures.py",
        "tests/engines/test_texts.py",
        "tests/engines/test_generation.py",
        "tests/engines/test_item_lists.py",
    ),
    ("tests/clients/test_tools.py",),
    (
        "tests/engines/test_deployments.py",
        "tests/engines/test_protocol.py",
        "tests/engines/test_keys.py",
        "tests/engines/test_metrics.py",
    ),
    ("tests/openapi/test_generated_clients.py",),
    ("tests/serving/asgi/test_front.py",),
    ("tests/web/test_scripts.py",),
    ("tests/export/test_vision_architectures.py",),
    ("tests/export/test_tabular_parity.py",),
    ("tests/export/networks/test_rebuild.py",),
    ("tests/engines/test_workers.py", "tests/engines/test_stopping.py"),
    ("tests/engines/test_left_out.py", "tests/engines/test_removal.py"),
    ("tests/export/test_older_fastai.py",),
    ("tests/export/test_exporter.py",),
    ("tests/export/test_text_parity.py",),
    ("tests/engines/test_profiles.py",),
    ("tests/examples/test_notebooks.py",),
    ("tests/export/test_vision_parity.py",),
    ("tests/serving/test_upkeep.py",),
    ("tests/serving/test_canary.py",),
    ("tests/client/test_served.py", "tests/client/test_docs.py"),
    ("tests/web/pictures/test_page.py",),
    ("tests/bulk/test_equality.py",),
    ("tests/web/test_browser.py",),
    ("tests/web/monitoring/test_pages.py",),
    ("tests/engines/test_drift.py",),
    ("tests/export/modalities/tabular/test_dates.py",),
    ("tests/cli/test_commands.py",),
    ("tests/export/networks/test_graph.py",),
)
ROWS = {file: row for row, files in enumerate(LONGEST) for file in files}

# Files whose tests share nothing that takes long to make, so that each test can run in another process.
TEST_BY_TEST = {
    "tests/documents/test_commands.py",
    "tests/examples/test_notebooks.py",
    "tests/export/test_vision_architectures.py",
}
# Rows of these folders are divided by engine, since each engine has a server of its own.
DIVIDED = ("tests/engines/", "tests/clients/")
ENGINE = re.compile(rf"\[(?:[^]]*-)?({'|'.join(engine.name for engine in ENGINES)})\b")

if MISSING := [file for file in [*ROWS, *TEST_BY_TEST] if not (ROOT / file).is_file()]:
    raise FileNotFoundError(f"tests/scheduling.py names {', '.join(MISSING)}, which do not exist")


def row_of(nodeid: str) -> int:
    """The position of a test's file in `LONGEST`; other files come last."""
    return ROWS.get(nodeid.partition("::")[0], len(LONGEST))


def scope_of(nodeid: str) -> str:
    """The name of the group of tests that run in one process: of a file, of a row, or of a part of it."""
    file = nodeid.partition("::")[0]
    if file in TEST_BY_TEST:
        return nodeid
    if file not in ROWS:
        return file
    row = LONGEST[ROWS[file]][0]
    engine = ENGINE.search(nodeid) if row.startswith(DIVIDED) else None
    return f"{row}[{engine[1]}]" if engine else row


def seconds_by_scope(reports: Iterable[Any]) -> list[tuple[float, str]]:
    """The seconds that each group took, from reports of set-up, tests and tear-down; the longest group first."""
    seconds: Counter[str] = Counter()
    for report in reports:
        if hasattr(report, "duration"):  # not warnings, deselected tests, and files that can't be imported
            seconds[scope_of(report.nodeid)] += report.duration
    return [(took, scope) for scope, took in seconds.most_common()]


class LongestFirst(LoadScopeScheduling):
    """Gives an idle process the next group of tests."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)
