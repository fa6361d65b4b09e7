"""Tells URLs from paths, and completes addresses of servers."""

from __future__ import annotations


def is_url(text: str) -> bool:
    """Whether it is a URL, such as ``s3://bucket/table.parquet``, and not a path."""
    return "://" in text


def http_url(address: str) -> str:
    """The URL of a server; without a scheme it is http."""
    return address if is_url(address) else f"http://{address}"
