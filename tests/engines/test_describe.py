"""The description of a model in the management API."""

from __future__ import annotations

import json

from fastmar_serving.management import UnixConnection
from fastmar_serving.testing import RunningServer
from tests.engines import needs
from tests.engines.conftest import TABLES


@needs("launcher")
def test_description_has_the_schema(server: RunningServer) -> None:
    connection = UnixConnection(server.management.removeprefix("unix:"), timeout=30)
    try:
        connection.request("GET", f"/models/{TABLES}?customized=true")
        response = connection.getresponse()
        assert response.status == 200
        [model] = json.loads(response.read())
    finally:
        connection.close()
    described = model["customizedMetadata"]
    described = json.loads(described) if isinstance(described, str) else described
    assert described["record"]["required"] == ["color", "size", "age", "weight"]
