from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmar_contract.errors import RequestError
from fastmar_runtime.bodies import multipart
from fastmar_runtime.bodies.multipart import Part, parse

BODY = (
    b'--x\r\nContent-Disposition: form-data; name="a"; filename="caf\xc3\xa9 %22.png"\r\nContent-Type: image/png\r\n'
    b"\r\n\r\n--xy\r\n\x00\r\n--x  \r\ncontent-disposition: form-data; name=b\r\n\r\n\r\n--x--\r\n"
)


def test_parts():
    assert parse(b"preamble\r\n" + BODY, "x") == [
        Part("a", b"\r\n--xy\r\n\x00", 'café ".png', "image/png"),
        Part("b", b""),
    ]


def test_an_extended_file_name():
    body = b"--x\r\nContent-Disposition: form-data; name=\"a\"; filename*=UTF-8''caf%C3%A9.png\r\n\r\n1\r\n--x--"
    assert parse(body, "x") == [Part("a", b"1", "café.png")]


@pytest.mark.parametrize("cut", range(len(BODY) - 4))
def test_a_truncated_form_is_refused(cut):
    with pytest.raises(RequestError) as caught:
        parse(BODY[:cut], "x")
    assert caught.value.code == "bad_multipart"


@pytest.mark.parametrize("boundary", [None, "", "x" * 71, "é", "a\r\nb", "y"])
def test_invalid_boundaries(boundary):
    with pytest.raises(RequestError) as caught:
        parse(BODY, boundary)
    assert caught.value.code == "bad_multipart"


@pytest.mark.parametrize(
    "headers",
    [
        b"",
        b"X: 1\r\n",
        b"Content-Disposition: attachment; name=a\r\n",
        b"Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n",
        b"Content-Disposition: form-data; name=a\r\nX: " + b"x" * 20_000 + b"\r\n",
    ],
)
def test_invalid_headers_of_parts(headers):
    with pytest.raises(RequestError):
        parse(b"--x\r\n" + headers + b"\r\n1\r\n--x--\r\n", "x")


def test_too_many_parts():
    part = b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n"
    assert len(parse(part * multipart.MAX_PARTS + b"--x--", "x")) == multipart.MAX_PARTS
    with pytest.raises(RequestError) as caught:
        parse(part * (multipart.MAX_PARTS + 1) + b"--x--", "x")
    assert caught.value.code == "too_many_records"


@given(st.lists(st.tuples(st.text("abc._ é", min_size=1), st.binary())))
def test_round_trip(parts):
    body = b"".join(
        f'--boundary-9\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\n\r\n'.encode() + data + b"\r\n"
        for name, data in parts
    )
    found = parse(body + b"--boundary-9--\r\n", "boundary-9")
    assert [(part.filename, part.content) for part in found] == parts


@given(
    st.binary() | st.lists(st.sampled_from([b"--x", b"\r\n", b"--", b"form-data; name=a", b":", b"a"])).map(b"".join)
)
def test_any_bytes_are_parsed_or_refused(body):
    try:
        code = parse(body, "x") and None
    except RequestError as error:
        code = error.code
    assert code in (None, [], "bad_multipart")
