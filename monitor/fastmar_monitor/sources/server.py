"""The metrics of a server: counts of all its workers since its start."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastmar_contract.profiles import COUNTS, ROWS, SHARES
from fastmar_monitor.errors import NoTimes
from fastmar_monitor.sources.live import Live, Query
from fastmar_monitor.sources.series import check_shares, model_labels, no_records, to_profile
from fastmar_runtime.metrics import REFUSED

SCHEMES = ("http://", "https://")
PATH = "/metrics"


def matches(data: str) -> bool:
    """Whether it is the URL of a server."""
    return data.startswith(SCHEMES)


def read(query: Query) -> Live:
    """See `read_live`.

    Raises:
        ClientError: there is no server, or it returns no metrics.
    """
    from fastmar_client.metrics import read_metrics  # noqa: PLC0415 - requests is an optional dependency

    if query.since is not None or query.by is not None:
        raise NoTimes(
            f"{query.data} has the counts since the start of the server, without times.",
            fix="leave out --since and --by, or pass the URL of Prometheus or profile files.",
        )
    url = query.data if urlsplit(query.data).path.strip("/") else query.data.rstrip("/") + PATH
    labels = model_labels(query)
    rows, refused, others = 0.0, 0.0, set()
    slots: dict[str, dict[tuple[str, str], float]] = {COUNTS: {}, SHARES: {}}
    for sample in read_metrics(url, (ROWS, COUNTS, SHARES, REFUSED)):
        if sample.name == REFUSED:
            refused += sample.value if sample.labels.items() >= labels.items() else 0.0
        elif not sample.labels.items() >= labels.items():
            others.add(f"{sample.labels.get('model_name')} {sample.labels.get('model_version')}")
        elif sample.name == ROWS:
            rows = sample.value
        else:
            slots[sample.name][sample.labels.get("variable", ""), sample.labels.get("slot", "")] = sample.value
    notices = check_shares(query, slots[SHARES], others)
    if not rows:
        raise no_records(query)
    profile = to_profile(query, rows, slots[COUNTS])
    query.on_progress(profile.rows)
    return Live(profile, refused=round(refused), notices=notices)
