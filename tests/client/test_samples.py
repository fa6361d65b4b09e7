"""The sample pictures of a model."""

from __future__ import annotations

import base64

import pytest
from tests.client.blocking import Connect
from tests.client.scripted import Reply, Scripted

from fastmar_client import ModelNotFound, ServerFailed
from fastmar_client.served import SAMPLES_REQUEST
from fastmar_client.testing import FakeServer

DOCUMENT = {"samples": [{"image": {"b64": base64.b64encode(data).decode()}} for data in (b"one", b"two")]}


def test_samples_of_the_default_version_and_of_another(connect: Connect, scripted: Scripted) -> None:
    scripted.replies(Reply(body=DOCUMENT), Reply(body=DOCUMENT))
    with connect(scripted.url) as client:
        assert client.samples("pets") == [b"one", b"two"]
        assert client.samples("pets", "2.0") == [b"one", b"two"]
    default, second = scripted.seen
    assert (default.method, default.path) == ("POST", "/predictions/pets")
    assert default.headers["content-type"] == SAMPLES_REQUEST
    assert (second.method, second.path) == ("GET", "/predictions/pets/2.0/samples")


def test_a_model_without_samples_has_none(connect: Connect, scripted: Scripted) -> None:
    error = {"code": "not_found", "message": "the model has no document 'samples'.", "fix": "request one of schema."}
    missing = {"code": 404, "type": "ModelNotFoundException", "message": "Model not found: pets"}
    scripted.replies(Reply(404, {"error": error}), Reply(404, missing))
    with connect(scripted.url) as client:
        assert client.samples("pets") == []
        with pytest.raises(ModelNotFound):
            client.samples("pets")


@pytest.mark.parametrize("body", [[], {}, {"samples": 3}, {"samples": [{"image": {"b64": "%"}}]}, {"samples": ["a"]}])
def test_other_documents_are_refused(connect: Connect, scripted: Scripted, body: object) -> None:
    scripted.replies(Reply(body=body))
    with connect(scripted.url) as client, pytest.raises(ServerFailed) as caught:
        client.samples("pets")
    assert caught.value.code == "samples_unreadable"


def test_the_fake_server_has_none() -> None:
    schema = {"name": "pets", "version": "1.0", "kind": "vision", "targets": [], "record": {"properties": {}}}
    with FakeServer(schema).client() as client:
        assert client.samples("pets") == []
