from __future__ import annotations

import pytest

from fastmar_contract.errors import FastmarError, RecordError, RequestError
from fastmar_runtime import errors


def subclasses_of(cls):
    return [cls, *(below for sub in cls.__subclasses__() for below in subclasses_of(sub))]


TABLES = [cls for cls in subclasses_of(FastmarError) if cls.__module__ == errors.__name__]


def make(cls):
    return (
        cls("some_code", "what was found.", fix="do this.")
        if cls is RecordError
        else cls("what was found.", fix="do this.")
    )


@pytest.mark.parametrize("cls", TABLES)
def test_every_message_ends_with_what_to_do(cls):
    assert str(make(cls)) == f"{cls.__name__}: what was found.\n  Fix: do this."


@pytest.mark.parametrize("cls", TABLES)
def test_every_error_is_in_the_docstrings_tree(cls):
    assert f" {cls.__name__} " in errors.__doc__ or errors.__doc__.split("\n\n")[1].strip().startswith(cls.__name__)


def test_codes_differ():
    codes = [cls.code for cls in TABLES]
    assert len(set(codes)) == len(codes)


def test_a_fix_is_required():
    with pytest.raises(TypeError):
        FastmarError("found")  # type: ignore[call-arg]


def test_an_error_may_have_another_code_than_its_class():
    assert RequestError("m", fix="f", code="internal").code == "internal"
    assert RequestError("m", fix="f").code == "bad_request"


def test_bodies():
    assert RequestError("m", fix="f").as_dict() == {
        "error": {"code": "bad_request", "field": None, "message": "m", "fix": "f"}
    }
    assert RecordError("c", "m", fix="f", field="age").as_dict(3) == {
        "error": {"code": "c", "field": "age", "record": 3, "message": "m", "fix": "f"}
    }
