"""Walks the objects of a pickle without recursion, because a file may be nested deeply."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .records import Global, Record, brief

_LIST_CLASS = Global("fastcore.foundation", "L")
_LEAVES = frozenset({str, bytes, bytearray, int, float, bool, complex, type(None)})
_CONTAINERS = frozenset({list, tuple, dict, set, frozenset})
_MAX_LABELS = 64  # steps of a path in messages; a hostile file can have longer paths


@dataclass(slots=True, eq=False)
class Node:
    """An object, and its path from the root.

    Attributes:
        thing: the object.
        label: the step from the parent to the object: ``.model``, ``[0]``.
        parent: the parent's node; None for the root.
        is_state: whether the object is a record's state, so that its entries are the record's attributes.
    """

    thing: Any
    label: str = ""
    parent: Node | None = None
    is_state: bool = False

    @property
    def where(self) -> str:
        """Attribute path from the root: ``dls.loaders[0].dataset.items``."""
        return "".join(reversed(list(self._labels()))).removeprefix(".")

    def is_below(self, labels: frozenset[str]) -> bool:
        """Whether the path passes through one of `labels`."""
        return not labels.isdisjoint(self._labels())

    def _labels(self) -> Iterator[str]:
        node: Node | None = self
        for _ in range(_MAX_LABELS):
            if node is None:
                return
            yield node.label
            node = node.parent


Child = tuple[Any, str, bool]  # an object, its label, and whether it is a record's state


def _children(node: Node) -> Iterator[Child]:
    """The objects that an object refers to directly: state, arguments, elements and values."""
    thing = node.thing
    if isinstance(thing, Record):
        if thing.callee == _LIST_CLASS and isinstance(thing.get("items"), list):
            yield thing.get("items"), "", False  # fastai writes dls.loaders[0], not dls.loaders.items[0]
            return
        yield thing.state, "", True
        yield thing.args, "(...)", False
        yield thing.kwargs, "(...)", False
        yield thing.items, "", False
        for key, value in thing.entries:
            if _is_walked(value):
                yield value, f"[{brief(key)}]", False
    elif isinstance(thing, dict):
        for key, value in thing.items():
            if _is_walked(value):
                label = f".{key:.60}" if node.is_state and isinstance(key, str) else f"[{brief(key)}]"
                yield value, label, False
    elif isinstance(thing, list | tuple | set | frozenset):
        for index, part in enumerate(thing):
            if _is_walked(part):
                in_state = node.is_state and isinstance(part, dict)  # a dict of attributes and one of slots
                yield part, "" if in_state else f"[{index}]", in_state
    elif isinstance(thing, np.ndarray) and thing.dtype.hasobject:
        for index, part in enumerate(thing.reshape(-1)):
            if _is_walked(part):
                yield part, f"[{index}]", False


def _is_walked(thing: Any) -> bool:
    """Whether `thing` may refer to other objects, or is an array; most objects of a large file are neither."""
    kind = type(thing)
    return kind not in _LEAVES and not (kind in _CONTAINERS and not thing)


def walk(root: Any, enter: Callable[[Node], bool] = lambda _: True) -> Iterator[Node]:
    """All reachable objects, each once with its shortest path. Nodes for which `enter` is False are not entered.

    Numbers, text and empty containers are skipped.
    """
    start = Node(root)
    seen, queue = {id(root)}, deque([start])
    while queue:
        node = queue.popleft()
        yield node
        if not enter(node):
            continue
        for thing, label, is_state in _children(node):
            if id(thing) not in seen and _is_walked(thing):
                seen.add(id(thing))
                queue.append(Node(thing, label, node, is_state))
