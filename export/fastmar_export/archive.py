"""Writes archives in TorchServe's layout. The same learner always gives the same bytes."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import yaml
from model_archiver.manifest_components.manifest import Manifest
from model_archiver.manifest_components.model import Model

import fastmar_contract
import fastmar_runtime
from fastmar_contract.members import (
    ANSWERS,
    ARRAYS,
    CONFIG,
    GRAPH,
    MANIFEST,
    OPENAPI,
    PROFILE,
    RECORDS,
    SAMPLES,
    SCHEMA,
    SPEC,
    MemberRefused,
    check_member,
)
from fastmar_export.bundle import Bundle
from fastmar_export.errors import ExportError
from fastmar_export.extensions import package_sources, sources_of
from fastmar_export.modalities import modalities
from fastmar_runtime import spec as spec_format
from fastmar_runtime.openapi import openapi
from fastmar_runtime.samples import write_samples
from fastmar_runtime.schema import describe
from fastmar_runtime.spec import Spec

SUFFIX = ".mar"

HANDLER = "fastmar_handler.py"

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip can hold
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


def creation_date() -> datetime | None:
    """The archive's creation date: SOURCE_DATE_EPOCH, or None, because the clock would change the archive's bytes."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch is None:
        return None
    try:
        return datetime.fromtimestamp(int(epoch), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ExportError(
            f"the environment variable SOURCE_DATE_EPOCH is {epoch!r}.",
            fix="set it to seconds since 1970, or unset it.",
            code="invalid_source_date_epoch",
        ) from error


def write_archive(bundle: Bundle, folder: Path) -> Path:
    """Write ``NAME.mar`` atomically into `folder`, and return its path. An existing archive is replaced.

    Raises:
        ExportError: `folder` is not writable, or the model is too large for an archive.
    """
    path = check_output(folder, bundle.spec.name)
    descriptor, partial_name = tempfile.mkstemp(prefix=f".{bundle.spec.name}-", suffix=".partial", dir=folder)
    partial = Path(partial_name)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            with zipfile.ZipFile(file, "w") as archive:
                for name, data in sorted(_files(bundle)):
                    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    entry.external_attr = 0o644 << 16
                    archive.writestr(entry, data)
                    _check_limits(entry)
            file.flush()
            os.fsync(file.fileno())  # otherwise a power failure may leave an empty file under the final name
        partial.chmod(0o644)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _check_limits(member: zipfile.ZipInfo) -> None:
    """Refuse a member that runtimes refuse to read, such as a spec with millions of categories."""
    try:
        check_member(member)
    except MemberRefused as error:
        raise ExportError(
            f"the model is too large for an archive: {error}.",
            fix="train with fewer categories or a smaller network, and export again.",
            code=error.code,
        ) from error


def check_output(folder: Path, name: str) -> Path:
    """Create `folder` if it is missing, and return the archive's path in it.

    Raises:
        ExportError: `folder` is not writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ExportError(
            f"the folder {folder} is not writable ({error.strerror}).",
            fix="pass another folder with --output.",
            code="output_not_writable",
        ) from error
    return folder / f"{name}{SUFFIX}"


def _files(bundle: Bundle) -> Iterator[tuple[str, bytes]]:
    spec = bundle.spec
    yield MANIFEST, _manifest(spec)
    yield CONFIG, yaml.safe_dump(modalities()[spec.kind].workers(), sort_keys=False).encode()
    yield HANDLER, _handler_source()
    for package in (fastmar_contract, fastmar_runtime):
        yield from package_sources(package.__name__)
    yield from sources_of(spec)
    yield GRAPH, bundle.graph
    yield SPEC, orjson.dumps(spec_format.to_dict(spec), option=_JSON)
    yield SCHEMA, orjson.dumps(describe(spec), option=_JSON)
    yield OPENAPI, orjson.dumps(openapi(spec), option=_JSON)
    if bundle.profile is not None:
        yield PROFILE, orjson.dumps(bundle.profile.as_dict()) + b"\n"
    if bundle.samples:
        yield SAMPLES, write_samples(bundle.samples) + b"\n"
    yield RECORDS, orjson.dumps(bundle.golden.records, option=_JSON)
    yield ANSWERS, orjson.dumps(bundle.golden.answers, option=_JSON)
    for name, array in bundle.golden.arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        yield ARRAYS.format(name=name), buffer.getvalue()


def _manifest(spec: Spec) -> bytes:
    """torch-model-archiver's manifest, with `creation_date` instead of the current time."""
    model = Model(spec.name, serialized_file=GRAPH, handler=HANDLER, model_version=spec.version, config_file=CONFIG)
    manifest: dict[str, Any] = Manifest("python", model).manifest_dict
    date = creation_date()
    manifest["createdOn"] = date.strftime("%d/%m/%Y %H:%M:%S") if date else "01/01/1980 00:00:00"
    return json.dumps(manifest, indent=2).encode()


def _handler_source() -> bytes:
    """The source of the handler, which is installed beside the runtime."""
    return (Path(fastmar_runtime.__file__).parents[1] / HANDLER).read_bytes()
