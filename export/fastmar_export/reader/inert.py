"""Interprets a pickle without importing or calling what it names.

A name becomes a `Global`. A call becomes a `Record`, unless the table of reconstructions (plain values, arrays,
tensors) has a function of fastmar for it.
"""

from __future__ import annotations

import _compat_pickle
import sys
from collections import Counter
from typing import Any

import numpy as np

from .arrays import Arrays, set_dtype_state
from .keys import Keys
from .limits import WALKED, Budget
from .machine import Memo, PickleMachine
from .plain import Inert, PlainValues, Rebuild
from .records import Global, Record, is_alias
from .tensors import DTYPES, Tensors
from .torchzip import TorchZip

_CLOUDPICKLE = "cloudpickle.cloudpickle"
_ENTRY = 128  # cost of copying an entry
_CALL, _RECORD = 200, 320 + WALKED  # cost of a call, and of storing its record
_STORAGE, _NAME = 300, 30
_MAX_NAME = 500


class InertMachine(PickleMachine):
    """Interprets one pickle.

    Attributes:
        globals: how often the pickle names each dotted path.
        records: all records in the order of the pickle, including those that it discards.
    """

    def __init__(self, pickled: bytes, archive: TorchZip, budget: Budget) -> None:
        super().__init__(pickled, budget)
        self._keys = Keys(budget)
        self._arrays, self._tensors = Arrays(budget), Tensors(archive, budget)
        self._table: dict[str, Rebuild] = {
            **PlainValues(budget, self._keys).table(),
            **self._arrays.table(),
            **self._tensors.table(),
            "copyreg._reconstructor": self._reconstructor,
            "copyreg.__newobj__": self._newobj,
            "copyreg.__newobj_ex__": self._newobj_ex,
            f"{_CLOUDPICKLE}._class_setstate": self._set_state,
            f"{_CLOUDPICKLE}._function_setstate": self._set_state,
        }
        self._names: dict[tuple[str, str], Any] = {}
        self.globals: Counter[str] = Counter()
        self.records: list[Record] = []

    def release(self) -> None:
        """Release all references except records and names, so that memory is freed without garbage collection."""
        self.stack, self.outer, self.memo = [], [], Memo(self.budget)
        self._table.clear()
        self._tensors.table().clear()

    def name(self, module: str, name: str) -> Any:
        """A `Global` under its current name, or a torch dtype."""
        if len(module) + len(name) > _MAX_NAME:
            raise ValueError(f"a name has more than {_MAX_NAME} characters")
        if (module, name) not in self._names:
            self._names[module, name] = _current_name(module, name)
            self.budget.spend(_RECORD)
        self.budget.spend(_NAME)
        named = self._names[module, name]
        self.globals[named.path] += 1
        return DTYPES.get(named, named)

    def call(self, callee: Any, args: Any, kwargs: Any = None, *, is_instance: bool = False) -> Any:
        """The rebuilt value if the table has a function for `callee`, else a record."""
        if not isinstance(callee, Global | Record):
            raise TypeError(f"a {type(callee).__name__} is called")
        if type(args) is not tuple or not (kwargs is None or type(kwargs) is dict):
            raise TypeError("the arguments of a call are not a tuple")
        self.budget.spend(_CALL)
        if isinstance(callee, Global) and callee.path in self._table and not kwargs:
            try:
                return self._table[callee.path](*args)
            except Inert:
                pass  # the call becomes a record, which the audit reports
        return self._keep(Record(callee, args, kwargs or {}, is_instance, offset=self.at - 1))

    def persistent(self, pid: Any) -> Any:
        """A tensor's storage, which is read later."""
        self.budget.spend(_STORAGE)
        return self._tensors.storage(pid)

    def build(self, target: Any, state: Any) -> None:
        """Store a record's state, or fill an array or dtype."""
        if isinstance(target, np.ndarray):
            self._arrays.fill(target, state)
        elif isinstance(target, np.dtype):
            set_dtype_state(target, state)
        elif is_alias(target):
            self._record_outside_change(target, "__setstate__", (state,))
        elif isinstance(target, Record):
            self._set_state(target, state)
        # Otherwise a plain value, such as an OrderedDict or a parameter, whose attributes are dropped.

    def append(self, target: Any, items: list[Any]) -> None:
        """Extend a list, or store the items in a record."""
        if type(target) is list:
            target.extend(items)
        elif isinstance(target, Record) and not is_alias(target):
            target.items.extend(items)
        else:
            self._record_outside_change(target, "extend", (items,))

    def set_items(self, target: Any, flat: list[Any]) -> None:
        """Update a dict, or store the entries in a record."""
        pairs = list(zip(flat[::2], flat[1::2], strict=True))
        if type(target) is dict:
            for key, value in pairs:
                self._keys.check(key)
                target[key] = value
        elif isinstance(target, Record) and not is_alias(target):
            self.budget.spend((sys.getsizeof(()) + WALKED) * len(pairs))
            target.entries.extend(pairs)
        else:
            self._record_outside_change(target, "update", (pairs,))

    def add_items(self, target: Any, items: list[Any]) -> None:
        """Update a set, or store the items in a record."""
        if type(target) is set:
            for item in items:
                self._keys.check(item)
                target.add(item)
        elif isinstance(target, Record) and not is_alias(target):
            target.items.extend(items)
        else:
            self._record_outside_change(target, "update", (items,))

    def freeze(self, items: list[Any]) -> frozenset[Any]:
        """A frozenset, after checking that its elements can be hashed quickly."""
        for item in items:
            self._keys.check(item)
        return frozenset(items)

    def _keep(self, record: Record) -> Record:
        self.budget.spend(_RECORD)
        self.records.append(record)
        return record

    def _record_outside_change(self, target: Any, method: str, args: tuple[Any, ...]) -> None:
        # The pickle would change an object outside itself: a class, a module's attribute, sys.path.
        if not is_alias(target):
            raise TypeError(f"a {type(target).__name__} has no {method}")
        bound = Record(Global("builtins", "getattr"), (target, method), offset=self.at - 1)
        self._keep(Record(bound, args, offset=self.at - 1))

    def _reconstructor(self, cls: Any, base: Any, state: Any, /) -> Any:
        return self.call(cls, () if base == Global("builtins", "object") else (state,), is_instance=True)

    def _newobj(self, cls: Any, /, *args: Any) -> Any:
        return self.call(cls, args, is_instance=True)

    def _newobj_ex(self, cls: Any, args: Any, kwargs: Any, /) -> Any:
        return self.call(cls, args, kwargs, is_instance=True)

    def _set_state(self, target: Any, state: Any, /) -> Any:
        # A second state updates the first, as for a real object.
        if not isinstance(target, Record) or is_alias(target):
            raise Inert
        if type(target.state) is dict and type(state) is dict:
            self.budget.spend(_ENTRY * (len(target.state) + len(state)))
            state = target.state | state
        target.state = state
        return target


def _current_name(module: str, name: str) -> Global:
    """The `Global` with old names of Python 2, numpy 1 and cloudpickle replaced by current ones."""
    if (module, name) in _compat_pickle.NAME_MAPPING:
        module, name = _compat_pickle.NAME_MAPPING[module, name]
    else:
        module = _compat_pickle.IMPORT_MAPPING.get(module, module)
    if module == "numpy.core" or module.startswith("numpy.core."):
        module = "numpy._core" + module.removeprefix("numpy.core")
    if module == "cloudpickle.cloudpickle_fast":
        module = _CLOUDPICKLE
    return Global(module, name)
