"""Normalize for pictures: a mean and a standard deviation for each channel."""

from __future__ import annotations

from typing import Any

import torch

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.errors import UnsupportedTransform
from fastmar_export.modalities.vision.pictures import BATCH, Pictures
from fastmar_export.reader import Record

_MAX_CHANNELS = 64


@converter("fastai.data.transforms.Normalize", domain=BATCH)
def normalize(record: Record, where: str, pictures: Pictures) -> State:  # noqa: ARG001
    """``{"mean": [float], "std": [float]}``, by channel."""
    mean, std = _channels(record, "mean", where), _channels(record, "std", where)
    return {"layer": "normalize", "mean": mean, "std": std}


def _channels(record: Record, name: str, where: str) -> list[float]:
    value: Any = record.get(name)
    if not isinstance(value, torch.Tensor) or not 0 < value.numel() <= _MAX_CHANNELS:
        raise UnsupportedTransform(where, record.path, why=f"which has no {name} for each channel")
    channels: list[float] = value.detach().float().flatten().tolist()
    return channels
