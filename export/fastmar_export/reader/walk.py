"""Walking through what the reader made, without recursion: a file may nest as deep as it likes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .records import Global, Record, brief

_LIST_CLASS = Global("fastcore.foundation", "L")
_LEAVES = (str, bytes, bytearray, int, float, bool, type(None))
_LONGEST = 64  # steps of a path that are told; a hostile file can make it as long as the file


@dataclass(slots=True, eq=False)
class Node:
    """An object, and where it hangs.

    Attributes:
        thing: the object.
        label: how it is reached from its parent: ``.model``, ``[0]``.
        parent: the node it hangs on; None for the root.
        is_state: whether it is a record's state, so that what it holds are the record's attributes.
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
        for _ in range(_LONGEST):
            if node is None:
                return
            yield node.label
            node = node.parent


def children(node: Node) -> Iterator[Node]:
    """What hangs directly on an object: state, arguments, elements and values."""
    thing = node.thing
    if isinstance(thing, Record):
        if thing.callee == _LIST_CLASS and isinstance(thing.get("items"), list):
            yield Node(thing.get("items"), "", node)  # fastai writes dls.loaders[0], not dls.loaders.items[0]
            return
        yield Node(thing.state, "", node, is_state=True)
        yield Node(thing.args, "(...)", node)
        yield Node(thing.kwargs, "(...)", node)
        yield Node(thing.items, "", node)
        for key, value in thing.entries:
            yield Node(value, f"[{brief(key)}]", node)
    elif isinstance(thing, dict):
        for key, value in thing.items():
            yield Node(value, f".{key:.60}" if node.is_state and isinstance(key, str) else f"[{brief(key)}]", node)
    elif isinstance(thing, list | tuple | set | frozenset):
        for index, part in enumerate(thing):
            in_state = node.is_state and isinstance(part, dict)  # a dict of attributes and one of slots
            yield Node(part, "" if in_state else f"[{index}]", node, is_state=in_state)
    elif isinstance(thing, np.ndarray) and thing.dtype.hasobject:
        for index, part in enumerate(thing.reshape(-1)):
            yield Node(part, f"[{index}]", node)


def walk(root: Any, enter: Callable[[Node], bool] = lambda _: True) -> Iterator[Node]:
    """Every object that can be reached, once, along its shortest path; below a node only where `enter` says so."""
    start = Node(root)
    seen, queue = {id(root)}, deque([start])
    while queue:
        node = queue.popleft()
        yield node
        if not enter(node):
            continue
        for child in children(node):
            if not isinstance(child.thing, _LEAVES) and id(child.thing) not in seen:
                seen.add(id(child.thing))
                queue.append(child)
