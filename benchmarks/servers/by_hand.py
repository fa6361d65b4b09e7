"""Preprocessing as an engineer would write it for one model, around the graph of an archive; used by the peers.

It reads the vocabularies and statistics from `spec.json` once, and checks nothing in requests. It imports neither
fastmar nor fastai.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from PIL import Image


def open_model(folder: Path, threads: int = 1) -> Tabular | Pictures:
    """The model whose `spec.json` and `model.onnx` are in `folder`."""
    spec = json.loads((folder / "spec.json").read_text("utf-8"))
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(folder / "model.onnx", options, ["CPUExecutionProvider"])
    return (Pictures if spec["kind"] == "vision" else Tabular)(spec, session)


class Tabular:
    """A tabular classifier; records are JSON objects."""

    is_slow = False

    def __init__(self, spec: dict[str, Any], session: ort.InferenceSession) -> None:
        self._session = session
        self._labels = spec["decode"]["vocab"]
        steps = {step["step"]: step for step in spec["steps"]}
        vocabularies = steps["categorify"]["vocabularies"]
        fills = steps.get("fill_missing", {}).get("fills", {})
        normalize = steps.get("normalize", {"means": {}, "stds": {}})
        columns = steps["read_tab_batch"]
        fields = {field["name"] for field in spec["fields"]}
        self._categories = [
            (name, {value: code for code, value in enumerate(vocabularies[name], 1)})
            for name in columns["cats"]
            if name in fields
        ]
        self._flags = [name.removesuffix("_na") for name in columns["cats"] if name not in fields]
        self._numbers = [
            (name, fills.get(name), normalize["means"].get(name, 0.0), normalize["stds"].get(name, 1.0))
            for name in columns["conts"]
        ]

    def answer(self, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Answer a batch of records."""
        codes = [
            [known.get(record[name], 0) for name, known in self._categories]
            + [1 if record[name] is not None else 2 for name in self._flags]
            for record in records
        ]
        numbers = [
            [((fill if record[name] is None else record[name]) - mean) / std for name, fill, mean, std in self._numbers]
            for record in records
        ]
        inputs = {"x_cat": np.array(codes, np.int64), "x_cont": np.array(numbers, np.float32)}
        return _classes(self._session.run(None, inputs)[0], self._labels)


class Pictures:
    """A classifier of pictures; records are bytes of files."""

    is_slow = True

    def __init__(self, spec: dict[str, Any], session: ort.InferenceSession) -> None:
        self._session = session
        self._labels = spec["decode"]["vocab"]
        self._size = next(step for step in spec["steps"] if step["step"] == "resize")["size"]

    def answer(self, records: Sequence[bytes]) -> list[dict[str, Any]]:
        """Answer a batch of pictures."""
        pixels = np.stack([self._pixels(record) for record in records])
        return _classes(self._session.run(None, {"image": pixels})[0], self._labels)

    def _pixels(self, data: bytes) -> Any:
        """Decode, crop the centre, and resize."""
        image = Image.open(io.BytesIO(data)).convert("RGB")
        ratio = min(image.width / self._size[0], image.height / self._size[1])
        width, height = int(ratio * self._size[0]), int(ratio * self._size[1])
        left, top = int((image.width - width) / 2), int((image.height - height) / 2)
        cropped = image.crop((left, top, left + width, top + height))
        return np.asarray(cropped.resize(self._size, Image.Resampling.BILINEAR)).transpose(2, 0, 1)


def _classes(output: Any, labels: list[str]) -> list[dict[str, Any]]:
    answers = []
    for logits in output.tolist():
        largest = max(logits)
        exponentials = [math.exp(logit - largest) for logit in logits]
        total = sum(exponentials)
        answers.append(
            {
                "prediction": labels[logits.index(largest)],
                "probabilities": {label: value / total for label, value in zip(labels, exponentials, strict=True)},
            }
        )
    return answers
