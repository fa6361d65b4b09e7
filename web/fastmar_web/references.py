"""References to a model in addresses: "adult", or "adult@2.0" for one version."""

from __future__ import annotations

from typing import Any

from fastmar_web.backend import Model

JSON = dict[str, Any]


def split_reference(reference: str) -> tuple[str, str | None]:
    """Name and version of "adult" or "adult@2.0"."""
    name, at, version = reference.partition("@")
    return name, version if at and version else None


def join_reference(name: str, version: str | None) -> str:
    """The inverse of `split`, for addresses."""
    return f"{name}@{version}" if version else name


def other_versions(model: Model, chosen: str | None) -> list[JSON]:
    """Links to the versions of a model; empty if it has only one."""
    if len(model.versions) < 2:
        return []
    current = chosen or model.version
    return [
        {
            "version": version,
            "reference": model.name if version == model.version else join_reference(model.name, version),
            "default": version == model.version,
            "current": version == current,
        }
        for version in model.versions
    ]
