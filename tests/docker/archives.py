"""Two versions of the tiny model as archives; the second one predicts the other label."""

from __future__ import annotations

from pathlib import Path

from tests.runtime import tiny

from fastmar_export.archive import write_archive
from fastmar_export.bundle import Bundle
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.profiles.building import build_reference

NAME = "tiny"
RECORD = tiny.record()
OLD, NEW = ">=50k", "<50k"  # predictions of 1.0 and 2.0 for RECORD


def write_version(store: Path, version: str) -> Path:
    """Write NAME-VERSION.mar to `store`."""
    model = tiny.spec(version=version)
    network = tiny.graph(tiny.WEIGHTS if version == "1.0" else -tiny.WEIGHTS)
    folder = store / f".{version}"
    folder.mkdir(parents=True)
    predictor = Predictor(model, network)
    records = [tiny.record(age=age, workclass=job) for age in [None, *range(60)] for job in (" Private", "Nobody")]
    profile = build_reference(predictor, [records])
    path = write_archive(Bundle(model, network, tiny.golden(predictor), profile), folder)
    path = path.rename(store / f"{NAME}-{version}.mar")
    folder.rmdir()
    return path
