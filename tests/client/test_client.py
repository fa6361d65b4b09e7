from __future__ import annotations

from typing import Any

import pandas
import pytest
from tests.client.scripted import Reply, Scripted, Seen, echo, torchserve

from fastmar_client import (
    Client,
    ClientError,
    Timeout,
)


def test_one_record(scripted: Scripted) -> None:
    scripted.reply = echo
    with Client(scripted.url + "/") as client:
        assert client.predict("a b", {"x": 1}, version="1.0") == {"prediction": {"x": 1}}
    (seen,) = scripted.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/predictions/a%20b/1.0", b'{"x":1}')
    assert seen.headers["content-type"] == "application/json"
    assert "authorization" not in seen.headers


def test_a_list(scripted: Scripted) -> None:
    scripted.reply = echo
    with Client(scripted.url) as client:
        assert client.predict("m", ({"x": i} for i in range(2)))[1] == {"prediction": {"x": 1}}  # type: ignore[call-overload]


def test_a_list_of_which_none_can_be_scored_comes_back_in_place(scripted: Scripted) -> None:
    answers = [{"error": {"code": "missing_field", "field": "age"}}] * 2
    scripted.replies(Reply(400, answers))
    with Client(scripted.url) as client:
        assert client.predict("m", [{}, {}]) == answers


@pytest.mark.parametrize(
    ("reply", "answers"),
    [
        (Reply(body={"predictions": [{"a": 1}]}), [{"a": 1}]),
        (Reply(body={"prediction": 1}), [{"prediction": 1}]),
        (
            Reply(body=b'{"a":1}\n{"a":2}\n', headers={"Content-Type": "application/jsonlines"}),
            [{"a": 1}, {"a": 2}],
        ),
    ],
)
def test_a_body_as_it_is(scripted: Scripted, reply: Reply, answers: list[Any]) -> None:
    scripted.replies(reply)
    with Client(scripted.url) as client:
        assert client.predict_body("m", b"age\n1\n", "text/csv") == answers
    assert (scripted.seen[0].body, scripted.seen[0].headers["content-type"]) == (b"age\n1\n", "text/csv")


def test_schema(scripted: Scripted) -> None:
    scripted.replies(Reply(body={"title": "m"}))
    with Client(scripted.url) as client:
        assert client.schema("m") == client.schema("m", "1.0") == {"title": "m"}
    unknown, known = scripted.seen
    assert (unknown.method, unknown.path) == ("POST", "/predictions/m")
    assert unknown.headers["content-type"] == "application/schema-request+json"
    assert (known.method, known.path) == ("GET", "/predictions/m/1.0/schema")


def test_models(scripted: Scripted) -> None:
    def reply(seen: Seen) -> Reply:
        if seen.path == "/models?limit=100":
            return Reply(body={"models": [{"modelName": "a"}], "nextPageToken": "1"})
        if seen.path.startswith("/models?"):
            return Reply(body={"models": [{"modelName": "b"}]})
        return Reply(body=[{"modelName": seen.path.split("/")[2], "modelVersion": "1.0"}])

    scripted.reply = reply
    with Client(management_url=scripted.url) as client:
        assert [model["modelName"] for model in client.models()] == ["a", "b"]
    with Client(scripted.url) as client, pytest.raises(ClientError, match="no list of models"):
        client.models()


def test_wait_until_ready(scripted: Scripted) -> None:
    scripted.replies(None, torchserve(404, "ModelNotFoundException", "no"), Reply(body={}))
    with Client(scripted.url) as client:
        client.wait_until_ready("m", timeout=5)
        scripted.replies(torchserve(404, "ModelNotFoundException", "no m"))
        with pytest.raises(Timeout, match=r"m is not ready after 0\.3 s: no m"):
            client.wait_until_ready("m", timeout=0.3)


class TestWhatIsNoListOfRecords:
    """Iterating it would ask nonsense, and answers to nonsense look like answers."""

    @pytest.mark.parametrize("ask", ["predict", "predict_many"])
    def test_frames_and_series_are_told_how_to_be_records(self, ask: str) -> None:
        frame = pandas.DataFrame({"age": [1, 2]})
        with Client("http://127.0.0.1:9") as client:
            with pytest.raises(TypeError, match="to_dict"):
                list(getattr(client, ask)("m", frame))
            with pytest.raises(TypeError, match=r"series.to_dict\(\)"):
                list(getattr(client, ask)("m", frame.iloc[0]))

    def test_one_record_is_not_many(self) -> None:
        with Client("http://127.0.0.1:9") as client, pytest.raises(TypeError, match="into a list"):
            list(client.predict_many("m", {"age": 1}))  # type: ignore[arg-type]
