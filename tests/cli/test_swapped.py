"""Arguments in the wrong order: the message says which one is wrong, and gives the right command."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.test_parser import refusal

MODEL, SERVED = "model_store/flights.mar", "http://127.0.0.1:8080/predictions/flights"


@pytest.mark.parametrize(
    ("given", "right"),
    [
        (f"predict rows.csv {MODEL}", f"predict {MODEL} rows.csv"),
        (f"score rows.csv {SERVED} -o scored.csv", f"score {SERVED} rows.csv"),
        (f"drift profiles {MODEL}", f"drift {MODEL} profiles"),
        (f"feedback requests truth.csv {MODEL}", f"feedback {MODEL} requests"),
        (f"new {MODEL} ui.yaml", "new ui.yaml model_store/flights.mar"),
    ],
)
def test_swapped_arguments(given: str, right: str, capsys: Any) -> None:
    assert refusal(capsys, *given.split()).rstrip().endswith(f"comes first: fastmar {right}")


def test_two_models(capsys: Any) -> None:
    assert f"other.mar is a model; fastmar drift takes one, and {MODEL}" in refusal(capsys, "drift", MODEL, "other.mar")
