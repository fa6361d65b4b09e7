"""The form of a language model: the next tokens, or a longer text."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from fastmar_client import RecordRefused
from fastmar_runtime.schema import describe
from fastmar_runtime.spec import Field
from tests.runtime import tiny_language
from tests.web.fake import HOSTILE, FakeClient

NAME = "words"
PREDICTED = {"prediction": "good", "index": 8, "probabilities": {"good": 0.9, "it": 0.1}, "warnings": []}
REMARK = {"field": "min_p", "code": "min_p_too_high", "value": 0.5, "message": "all tokens were improbable."}
GENERATED = {"text": f"it was {HOSTILE}", "generated": HOSTILE, "warnings": [REMARK]}


@pytest.fixture
def words(fake: FakeClient) -> FakeClient:
    fake.schemas = {NAME: describe(tiny_language.spec())}
    fake.answers = {NAME: lambda record: GENERATED if "generate" in record else PREDICTED}
    return fake


def send(web: FlaskClient, **values: str) -> Any:
    return web.post(f"/models/{NAME}", data={"text": "it was", **values})


def test_the_form_has_the_options(words: FakeClient, web: FlaskClient) -> None:
    page = web.get(f"/models/{NAME}").text
    assert re.findall(r'name="(\w+)"', page.partition("<form")[2])[:3] == ["text", "generate", "temperature"]
    assert "Tokens to generate" in page
    assert ">1 value<" in web.get("/").text.replace("\n", "")


@pytest.mark.parametrize("temperature", ["", "0.5"])
def test_without_a_number_of_tokens_the_next_one_is_predicted(
    words: FakeClient, web: FlaskClient, temperature: str
) -> None:
    page = send(web, generate="", temperature=temperature)
    assert (page.status_code, words.requests[-1]) == (200, {"text": "it was"})
    assert "Prediction: good" in page.text


def test_a_text(words: FakeClient, web: FlaskClient) -> None:
    page = send(web, generate="3", temperature="0.5")
    assert (page.status_code, words.requests[-1]) == (200, {"text": "it was", "generate": 3, "temperature": 0.5})
    assert '<p class="sentence">it was &lt;script&gt;alert(1)&lt;/script&gt;</p>' in page.text
    assert page.text.count("alert(1)") == 1, "the new part is not shown again"
    assert 'data-code="min_p_too_high"' in page.text
    send(web, generate="3", temperature="")
    assert words.requests[-1] == {"text": "it was", "generate": 3}


@pytest.mark.parametrize("tokens", ["0", "1001", "2.5", "many"])
def test_invalid_numbers_are_not_sent(words: FakeClient, web: FlaskClient, tokens: str) -> None:
    assert send(web, generate=tokens).status_code == 422
    assert words.requests == []


def test_refused_options_are_marked(words: FakeClient, web: FlaskClient) -> None:
    words.answers[NAME] = RecordRefused("no.", fix="send more.", code="invalid_option", field="temperature", status=400)
    page = send(web, generate="3", temperature="0")
    assert page.status_code == 400
    assert '<p class="problem" data-code="invalid_option">' in page.text


def test_a_model_with_a_column_of_that_name_has_a_plain_form(words: FakeClient, web: FlaskClient) -> None:
    columns = (Field("text", "text"), Field("generate", "text"))
    words.schemas = {NAME: describe(tiny_language.spec(fields=columns))}
    page = web.get(f"/models/{NAME}").text
    assert "Tokens to generate" not in page
    assert 'name="generate"' in page
