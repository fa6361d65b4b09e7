"""Scheduling for pytest-xdist: whole files, the slowest first."""

from __future__ import annotations

from pathlib import Path

from xdist.scheduler.loadscope import LoadScopeScheduling

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
    (
        "tests/serving/torchserve/test_serve.py",
        "tests/serving/torchserve/test_served_client.py",
        "tests/serving/torchserve/test_front.py",
        "tests/serving/torchserve/test_routes.py",
    ),
    ("tests/documents/test_commands.py",),
    ("tests/ray/test_cluster.py",),
    ("tests/ray/test_data.py",),
    ("tests/spark/test_executors.py", "tests/spark/test_scorer.py"),
    ("tests/web/test_scripts.py",),
    ("tests/export/test_vision_architectures.py",),
    ("tests/export/test_tabular_parity.py",),
    (
        "tests/engines/test_http.py",
        "tests/engines/test_cases.py",
        "tests/engines/test_kserve.py",
        "tests/engines/test_describe.py",
        "tests/engines/test_pictures.py",
    ),
    (
        "tests/engines/test_deployments.py",
        "tests/engines/test_protocol.py",
        "tests/engines/test_keys.py",
        "tests/engines/test_metrics.py",
    ),
    ("tests/engines/test_workers.py", "tests/engines/test_stopping.py"),
    ("tests/clients/test_tools.py",),
    ("tests/export/test_older_fastai.py",),
    ("tests/serving/asgi/test_front.py",),
    ("tests/export/networks/test_rebuild.py",),
    ("tests/export/test_vision_parity.py",),
    ("tests/serving/test_upkeep.py",),
    ("tests/serving/test_canary.py",),
    ("tests/client/test_served.py", "tests/client/test_docs.py"),
    ("tests/export/test_exporter.py",),
    ("tests/web/test_browser.py",),
    ("tests/examples/test_notebooks.py",),
    ("tests/cli/test_commands.py",),
    ("tests/export/networks/test_graph.py",),
)
ROWS = {file: row for row, files in enumerate(LONGEST) for file in files}

if MISSING := [file for file in ROWS if not (ROOT / file).is_file()]:
    raise FileNotFoundError(f"tests/scheduling.py names {', '.join(MISSING)}, which do not exist")


def row_of(nodeid: str) -> int:
    """The position of a test's file in `LONGEST`; other files come last."""
    return ROWS.get(nodeid.partition("::")[0], len(LONGEST))


class LongestFirst(LoadScopeScheduling):
    """Gives an idle process the next file, or all files of a row."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return LONGEST[ROWS[file]][0] if file in ROWS else file
