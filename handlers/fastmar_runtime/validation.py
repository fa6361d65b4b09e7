"""Builds dataclasses from JSON, and checks each part against its annotation.

    build(Field, {"name": "age", "kind": "number"}, "spec.json: fields[0]")

The annotations are the schema. Errors contain the path of the part: ``spec.json: steps[2].means['age'] must be a
number; got a list``.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from fastmar_runtime.errors import BundleUnreadable

T = TypeVar("T")

MAX_DEPTH = 64  # levels of lists and objects in the JSON of a bundle


def build(cls: type[T], data: Any, path: str, *, ignored: Iterable[str] = ()) -> T:
    """An instance of the dataclass `cls`, made from the JSON object `data`.

    Args:
        cls: a dataclass, whose annotations are checked.
        data: parsed JSON.
        path: place of `data`, for messages.
        ignored: keys of `data` that are not attributes of `cls`.

    Raises:
        BundleUnreadable: a part is missing or unknown, or has another type.
    """
    if not isinstance(data, dict):
        raise invalid(path, "an object", data)
    values = {}
    described: Any = cls
    for name, hint, is_required in _attributes(described):
        if name in data:
            values[name] = check(hint, data[name], f"{path} {name}" if path.endswith(":") else f"{path}.{name}")
        elif is_required:
            raise unreadable(f"{path} has no {name!r}")
    unknown = data.keys() - values.keys() - set(ignored)
    if unknown:
        raise unreadable(f"{path} has an unknown part {min(unknown)!r:.80}")
    return cls(**values)


def check(hint: Any, value: Any, path: str) -> Any:
    """`value` converted to the type `hint`: JSON lists become tuples.

    Raises:
        BundleUnreadable: it has another type.
    """
    if hint is Any:
        return value
    if hint in _PLAIN:
        what, is_right = _PLAIN[hint]
        if not is_right(value):
            raise invalid(path, what, value)
        return value
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _one_of(args, value, path)
    if origin is Literal:
        if not any(type(value) is type(choice) and value == choice for choice in args):
            raise invalid(path, f"one of {', '.join(map(repr, args))}", value)
        return value
    if origin in (tuple, list):
        return _items(origin, args, value, path)
    if origin is dict:
        if not isinstance(value, dict):
            raise invalid(path, "an object", value)
        return {key: check(args[1], item, f"{path}[{key!r:.60}]") for key, item in value.items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value, path)
    raise TypeError(f"{path} has the annotation {hint!r}, which can't be checked")


def _one_of(hints: tuple[Any, ...], value: Any, path: str) -> Any:
    errors = []
    for hint in hints:
        try:
            return check(hint, value, path)
        except BundleUnreadable as error:
            errors.append(error)
    raise errors[0]


def _items(origin: Any, args: tuple[Any, ...], value: Any, path: str) -> Any:
    if not isinstance(value, list | tuple):
        raise invalid(path, "a list", value)
    if origin is list or args[-1] is Ellipsis:
        hints = [args[0]] * len(value)
    elif len(value) == len(args):
        hints = list(args)
    else:
        raise invalid(path, f"a list of {len(args)} items", value)
    return origin(check(hint, item, f"{path}[{at}]") for at, (hint, item) in enumerate(zip(hints, value, strict=True)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_PLAIN: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    str: ("text", lambda value: isinstance(value, str)),
    int: ("an integer", _is_integer),
    float: ("a number", _is_number),
    bool: ("true or false", lambda value: isinstance(value, bool)),
    type(None): ("null", lambda value: value is None),
}


@lru_cache(maxsize=64)
def _attributes(cls: Any) -> tuple[tuple[str, Any, bool], ...]:
    hints = get_type_hints(cls)
    missing = dataclasses.MISSING
    return tuple(
        (field.name, hints[field.name], field.default is missing and field.default_factory is missing)
        for field in dataclasses.fields(cls)
    )


def check_depth(value: Any, path: str) -> None:
    """Raise `BundleUnreadable` for deeply nested JSON, which other code processes recursively."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise unreadable(f"{path} has more than {MAX_DEPTH} levels of lists and objects")
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += [part for part in item.values() if isinstance(part, dict | list)]
            elif isinstance(item, list):
                below += [part for part in item if isinstance(part, dict | list)]
        level = below


_KINDS = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "an integer", float: "a number"}


def invalid(path: str, what: str, value: Any) -> BundleUnreadable:
    """The error for a part with another type or value than expected."""
    kind = _KINDS.get(type(value), "null")
    got = f"{value!r:.60}" if isinstance(value, str | int | float) else kind
    return unreadable(f"{path} must be {what}; got {got}")


def unreadable(sentence: str) -> BundleUnreadable:
    """A `BundleUnreadable` with a sentence, given without its full stop."""
    return BundleUnreadable(f"{sentence}.", fix="copy the archive again, or export the learner again.")
