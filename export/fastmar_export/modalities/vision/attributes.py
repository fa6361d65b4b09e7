"""Reads attributes of recorded picture transforms, in the forms of all fastai versions."""

from __future__ import annotations

from typing import Any

from fastmar_export.errors import UnsupportedTransform
from fastmar_export.reader import Record, path_of

# Pillow's filters. A pickle contains their numbers, or their names if Python 3.11.0 to 3.11.3 wrote it.
_FILTERS = {"NEAREST": 0, "LANCZOS": 1, "BILINEAR": 2, "BICUBIC": 3, "BOX": 4, "HAMMING": 5}
_BY_NAME = {f"PIL.Image.Resampling.{name}": number for name, number in _FILTERS.items()}


def size_of(record: Record, where: str, name: str = "size", *, swapped: bool = False) -> tuple[int, int]:
    """Width and height in the attribute `name`.

    Args:
        record: record of the transform.
        where: place of the transform, for messages.
        name: name of the attribute.
        swapped: whether the attribute is height and width.

    Raises:
        UnsupportedTransform: the attribute is not a size.
    """
    value = _unwrapped(record.get(name))
    if isinstance(value, int) and not isinstance(value, bool):
        value = (value, value)
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(type(x) is int and x > 0 for x in value):
        raise UnsupportedTransform(where, record.path, why=f"whose {name} is {record.get(name)!r:.60}, not a size")
    first, second = value
    return (second, first) if swapped else (first, second)


def _unwrapped(value: Any) -> Any:
    """The items of a fastuple's record, where they are arguments or one tuple."""
    for _ in range(4):
        if isinstance(value, Record):
            value = value.items or value.args
        elif isinstance(value, list | tuple) and len(value) == 1:
            value = value[0]
    return value


def resample_of(record: Record, where: str) -> int:
    """Pillow's number of the filter for resizing."""
    value = record.get("mode")
    if value is None:
        found = _unwrapped(record.get("resamples"))
        value = found[0] if isinstance(found, list | tuple) and found else None
    value = _BY_NAME.get(path_of(value), _unwrapped(value))
    if not isinstance(value, int) or value not in _FILTERS.values():
        raise UnsupportedTransform(where, record.path, why=f"whose filter is {value!r:.60}", code="unknown_filter")
    return int(value)


def choice_of(record: Record, where: str, name: str, choices: tuple[str, ...]) -> str:
    """The attribute `name`, which must be one of `choices`."""
    value = record.get(name)
    if value not in choices:
        raise UnsupportedTransform(where, record.path, why=f"whose {name} is {value!r:.60}")
    return str(value)


def number_of(record: Record, where: str, name: str, default: float | None = None) -> float:
    """The attribute `name` as a float."""
    value = record.get(name, default)
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnsupportedTransform(where, record.path, why=f"whose {name} is {value!r:.60}, not a number")
    return float(value)


def require_always(record: Record, where: str) -> None:
    """Refuse a transform that a user made random, because fastai's answers are then random.

    Raises:
        UnsupportedTransform: its `p` is not 1.
    """
    if record.get("p", 1.0) != 1.0:
        raise UnsupportedTransform(
            where,
            record.path,
            why=f"which runs with a probability of {record.get('p')!r:.20}, also when the learner predicts",
            fix="remove its `p`, train and export again.",
            code="random_transform",
        )
