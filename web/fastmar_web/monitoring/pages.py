"""The route of the monitoring page. It shows sums and shares, and of the request log the unknown categories."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Flask, render_template

from fastmar_web.backend import JSON, Backend, Model
from fastmar_web.errors import PageError, Unavailable
from fastmar_web.monitoring.deployments import deployments
from fastmar_web.monitoring.drift import DriftSource
from fastmar_web.monitoring.tiles import tiles
from fastmar_web.monitoring.traffic import PERIOD, Poller
from fastmar_web.monitoring.unknown import RequestLog
from fastmar_web.presentation import Presentation
from fastmar_web.references import other_versions, split_reference
from fastmar_web.settings import Settings


def register(app: Flask, backend: Backend, settings: Settings) -> None:
    """Add the page to the app, if the settings have the folder of the archives.

    `app.extensions["fastmar_poller"]` has the poller, which runs until it is closed.
    """
    if (store := settings.monitor) is None:
        return
    app.extensions["fastmar_poller"] = poller = Poller(settings.metrics)
    poller.start()
    drift = DriftSource(store, settings.metrics)
    log = RequestLog(settings.request_log) if settings.request_log else None
    seen: dict[str, tuple[Model, JSON]] = {}  # by reference, when the server answered last

    @app.get("/models/<reference>/monitoring")
    def monitoring(reference: str) -> str:
        name, chosen = split_reference(reference)
        stopped = None
        try:
            seen[reference] = backend.model(name, chosen), backend.schema(name, chosen)
        except Unavailable as error:
            if reference not in seen:
                raise
            stopped = error
        model, schema = seen[reference]
        version = chosen or model.version
        now = datetime.now(UTC)
        traffic = poller.traffic(name, version, last_known=stopped is not None)
        found = (drift.last(name, version) if stopped else None) or drift.view(name, version)
        return render_template(
            "monitoring.html",
            texts=Presentation(schema),
            schema=schema,
            reference=reference,
            versions=other_versions(model, chosen),
            version=version,
            now=now,
            stopped=stopped,
            read_at=now - timedelta(seconds=traffic.age) if traffic else None,
            period=PERIOD,
            traffic=traffic,
            tiles=tiles(traffic) if traffic else [],
            drift=None if isinstance(found, PageError) else found,
            drift_error=found if isinstance(found, PageError) else None,
            unknown=log.view(name, version) if log else None,
            deployments=deployments(store, name),
            loaded=model,
        )
