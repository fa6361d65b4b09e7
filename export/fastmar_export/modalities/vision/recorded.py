"""Numbers that transforms of pictures recorded, whatever fastai's version wrapped them in."""

from __future__ import annotations

from typing import Any

from fastmar_export.errors import UnsupportedTransform
from fastmar_export.reader import Record, path_of

# Pillow's filters. A pickle holds them by number; by name where Python 3.11.0 to 3.11.3 wrote it.
_FILTERS = {"NEAREST": 0, "LANCZOS": 1, "BILINEAR": 2, "BICUBIC": 3, "BOX": 4, "HAMMING": 5}
_BY_NAME = {f"PIL.Image.Resampling.{name}": number for name, number in _FILTERS.items()}


def size_of(record: Record, where: str, name: str = "size", *, swapped: bool = False) -> tuple[int, int]:
    """Width and height out of attribute `name`.

    Args:
        record: of the transform.
        where: how messages name it.
        name: of the attribute.
        swapped: whether it was recorded as height and width.

    Raises:
        UnsupportedTransform: it is no size.
    """
    value = _unwrapped(record.get(name))
    if isinstance(value, int) and not isinstance(value, bool):
        value = (value, value)
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(type(x) is int and x > 0 for x in value):
        raise UnsupportedTransform(where, record.path, why=f"whose {name} is {record.get(name)!r:.60}, no size")
    first, second = value
    return (second, first) if swapped else (first, second)


def _unwrapped(value: Any) -> Any:
    """A fastuple's items: they are arguments of a call, sometimes as one tuple."""
    for _ in range(4):
        if isinstance(value, Record):
            value = value.items or value.args
        elif isinstance(value, list | tuple) and len(value) == 1:
            value = value[0]
    return value


def resample_of(record: Record, where: str) -> int:
    """Pillow's number of the filter that pictures are resized with."""
    value = record.get("mode")
    if value is None:
        found = _unwrapped(record.get("resamples"))
        value = found[0] if isinstance(found, list | tuple) and found else None
    value = _BY_NAME.get(path_of(value), _unwrapped(value))
    if not isinstance(value, int) or value not in _FILTERS.values():
        raise UnsupportedTransform(where, record.path, why=f"whose filter is {value!r:.60}")
    return int(value)


def choice_of(record: Record, where: str, name: str, choices: tuple[str, ...]) -> str:
    """Attribute `name`, one of `choices`."""
    value = record.get(name)
    if value not in choices:
        raise UnsupportedTransform(where, record.path, why=f"whose {name} is {value!r:.60}")
    return str(value)


def number_of(record: Record, where: str, name: str, default: float | None = None) -> float:
    """Attribute `name` as a float."""
    value = record.get(name, default)
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnsupportedTransform(where, record.path, why=f"whose {name} is {value!r:.60}, no number")
    return float(value)


def require_always(record: Record, where: str) -> None:
    """Refuse a transform that a user made random: fastai then answers by chance.

    Raises:
        UnsupportedTransform: its `p` is not 1.
    """
    if record.get("p", 1.0) != 1.0:
        raise UnsupportedTransform(
            where,
            record.path,
            why=f"which runs with a probability of {record.get('p')!r:.20}, also when the learner predicts",
            fix="take `p` out of it, train and export again.",
        )
