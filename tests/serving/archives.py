"""Tiny archives with handlers of any kind."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from textwrap import dedent


def make_archive(
    folder: Path, name: str, handler: str, *, version: str = "1.0", workers: int = 1, raw_bodies: bool = False
) -> Path:
    path = folder / f"{name}-{version}.mar"
    model = {"modelName": name, "modelVersion": version, "handler": "handler.py", "configFile": "model-config.yaml"}
    config: dict[str, object] = {"minWorkers": workers, "maxWorkers": workers, "batchSize": 8, "maxBatchDelay": 5}
    if raw_bodies:
        config["fastmar"] = "{raw_bodies: true}"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "MAR-INF/MANIFEST.json", json.dumps({"runtime": "python", "model": model, "archiverVersion": "0.12.0"})
        )
        archive.writestr("handler.py", dedent(handler))
        archive.writestr("model-config.yaml", "".join(f"{key}: {value}\n" for key, value in config.items()))
        archive.writestr("spec.json", json.dumps({"name": name, "version": version, "kind": "tabular", "protocol": 1}))
        archive.writestr("golden/records.json", json.dumps([{"it's": "a 'record'", "n": 1.5, "é": "$HOME"}]))
    return path
