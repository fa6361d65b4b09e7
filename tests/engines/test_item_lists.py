"""Lists of items on a real server: by HTTP and with the client."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from fastmar_client import Client, RecordRefused
from fastmar_serving.testing import RunningServer

TIMEOUT = 60
RECORD = {"user": 1, "recommend": 2, "seen": ["Alien"]}
LIST = {
    "user": 1,
    "recommendations": [{"item": "Brazil", "prediction": 3.0}, {"item": "Casablanca", "prediction": 2.0}],
    "warnings": [],
}
PATHS = [
    "/predictions/films",
    "/predictions/films/1.0",
    "/models/films/invoke",
    "/models/films/recommend",
    "/models/films/versions/1.0/recommend",
    "/invocations?model_name=films",
]


def post(server: RunningServer, path: str, body: Any) -> requests.Response:
    return requests.post(f"{server.url}{path}", json=body, timeout=TIMEOUT)


@pytest.mark.parametrize("path", PATHS)
def test_a_list_on_every_path(server: RunningServer, path: str) -> None:
    response = post(server, path, RECORD)
    assert (response.status_code, response.json()) == (200, LIST)
    assert response.headers["Content-Type"] == "application/json"


def test_lists_among_records(server: RunningServer) -> None:
    similar = {"title": "Casablanca", "similar": 1}
    response = post(server, "/v1/models/films:predict", {"instances": [RECORD, {"user": 1, "title": "Dune"}, similar]})
    first, pair, last = response.json()["predictions"]
    assert first == LIST
    assert pair == {"prediction": 1.0, "warnings": []}
    assert [entry["item"] for entry in last["similar"]] == ["Eraserhead"]


def test_refusals(server: RunningServer) -> None:
    response = post(server, "/predictions/films", {"user": 1, "recommend": 0})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "k_out_of_range")
    tensors = [{"name": name, "shape": [1], "datatype": "INT64", "data": [1]} for name in ("user", "recommend")]
    response = post(server, "/v2/models/films/infer", {"inputs": tensors})
    assert response.status_code == 400
    assert "protocol v2" in response.json()["error"]


def test_the_client(server: RunningServer) -> None:
    with Client(server.url) as client:
        assert client.recommend("films", 1, 2, seen=["Alien"]) == LIST
        assert len(client.similar("films", "Alien", 3)["similar"]) == 3
        with pytest.raises(RecordRefused) as caught:
            client.recommend("holes", 1)
        assert caught.value.code == "not_a_recommender"
