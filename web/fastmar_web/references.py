"""How addresses name a model and its version: "adult" or "adult@2.0"."""

from __future__ import annotations

from typing import Any

from fastmar_web.backend import Model

JSON = dict[str, Any]


def split(reference: str) -> tuple[str, str | None]:
    """Name and version of "adult" or "adult@2.0"."""
    name, at, version = reference.partition("@")
    return name, version if at and version else None


def joined(name: str, version: str | None) -> str:
    """The inverse of `split`, for addresses."""
    return f"{name}@{version}" if version else name


def other_versions(model: Model, chosen: str | None) -> list[JSON]:
    """What a page lists where there are several versions."""
    if len(model.versions) < 2:
        return []
    current = chosen or model.version
    return [
        {
            "version": version,
            "reference": model.name if version == model.version else joined(model.name, version),
            "default": version == model.version,
            "current": version == current,
        }
        for version in model.versions
    ]
