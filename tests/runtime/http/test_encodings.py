from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmar_runtime.http.encodings import Damaged, TooLarge, UnknownEncoding, decompress

LIMIT = 1000


def raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


@given(st.binary(max_size=LIMIT), st.sampled_from(["gzip", "x-gzip", " GZIP ", "deflate", "", "identity"]))
def test_compressed_bodies(body: bytes, encoding: str) -> None:
    compress = {"gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress}
    sent = compress.get(encoding.strip().lower(), bytes)(body)
    assert decompress(sent, encoding, LIMIT) == body


@given(st.binary(max_size=LIMIT))
def test_raw_deflate(body: bytes) -> None:
    assert decompress(raw_deflate(body), "deflate", LIMIT) == body


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress"])
def test_unknown_encodings(encoding: str) -> None:
    with pytest.raises(UnknownEncoding):
        decompress(b"", encoding, LIMIT)


def test_limit_applies_to_the_decompressed_body() -> None:
    assert len(decompress(gzip.compress(bytes(LIMIT)), "gzip", LIMIT)) == LIMIT
    with pytest.raises(TooLarge):
        decompress(gzip.compress(bytes(LIMIT + 1)), "gzip", LIMIT)


@pytest.mark.parametrize("body", [b"", b"{}", b"\x1f\x8b", b"\x78\x9c\xff"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_invalid_bodies(body: bytes, encoding: str) -> None:
    with pytest.raises(Damaged):
        decompress(body, encoding, LIMIT)


def test_truncated_body() -> None:
    with pytest.raises(Damaged):
        decompress(gzip.compress(b"a" * 99)[:-9], "gzip", LIMIT)
