"""A network's record to a torch module: classes out of an allow-list, made without their `__init__`, filled with what
was recorded. The recorded tree is what runs; hyperparameters are never read, since fastai's versions order layers
differently.
"""

from __future__ import annotations

import importlib
from collections import OrderedDict
from typing import Any, NoReturn

import torch
from torch import nn

from fastmar_export.errors import UnsupportedModule
from fastmar_export.networks.fastai_layers import LAYERS
from fastmar_export.reader import Global, Record

# Folders whose nn.Module classes are taken as they are. Only classes: no function that a file names is ever called.
_PACKAGES = ("torch.nn.modules.", "torchvision.models.", "torchvision.ops.", "timm.models.", "timm.layers.")
_FUNCTIONS = ("torch.nn.functional.", "torch._C._nn.")  # attributes such as a transformer layer's activation

# Bookkeeping of nn.Module that has no part in an answer, or is empty in an exported learner.
_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
)
_IGNORED = (
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
    "_non_persistent_buffers_set",
    "_is_full_backward_hook",
)
_WRAPPERS = (
    "torch.nn.parallel.data_parallel.DataParallel",
    "torch.nn.parallel.distributed.DistributedDataParallel",
)
_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.Tensor, torch.dtype, torch.device)
_MAX_DEPTH = 200


class NotServed:
    """Stands where a network recorded something that fastmar does not rebuild; any use of it is refused by name."""

    def __init__(self, where: str, path: str) -> None:
        object.__setattr__(self, "_facts", (where, path))

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        where, path = object.__getattribute__(self, "_facts")
        raise UnsupportedModule(where, path)

    __call__ = __getattr__ = __bool__ = __iter__ = __len__ = __getitem__ = __setattr__ = _refuse


def rebuild(record: Any, where: str = "model") -> nn.Module:
    """The network of `record`, in evaluation mode, in float32, on the CPU.

    Args:
        record: of an nn.Module, as the reader gives it.
        where: how messages name it.

    Raises:
        UnsupportedModule: a layer is outside the allow-list, or carries code of its own; the message names it.
    """
    while isinstance(record, Record) and record.path in _WRAPPERS:
        record = record.get("_modules", {}).get("module")
        where += ".module"
    return _Rebuilder().module(record, where, 0).float().eval()


def is_module(value: Any) -> bool:
    """Whether `value` records an nn.Module."""
    return isinstance(value, Record) and "_modules" in value.attrs and "_parameters" in value.attrs


def resolve_class(path: str) -> type[nn.Module] | None:
    """The class that stands for `path`, or None where it is outside the allow-list."""
    if path in LAYERS:
        return LAYERS[path]
    if not path.startswith(_PACKAGES):
        return None
    module_name, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), name, None)
    except ImportError:
        return None
    return found if isinstance(found, type) and issubclass(found, nn.Module) else None


class _Rebuilder:
    """One walk over a tree of records; a module that stands in two places is made once."""

    def __init__(self) -> None:
        self._made: dict[int, nn.Module] = {}

    def module(self, record: Any, where: str, depth: int) -> nn.Module:
        if not is_module(record):
            raise UnsupportedModule(where, _name(record), why="which is no recorded layer")
        if id(record) in self._made:
            return self._made[id(record)]
        cls = resolve_class(record.path)
        if cls is None:
            raise UnsupportedModule(where, record.path, why=_why_refused(record.path))
        if depth > _MAX_DEPTH:
            raise UnsupportedModule(where, record.path, why=f"nested more than {_MAX_DEPTH} layers deep")
        self._refuse_code(record, where)
        made = cls.__new__(cls)
        self._made[id(record)] = made
        nn.Module.__init__(made)
        made.__setstate__(self._state(record, where, depth))  # type: ignore[no-untyped-call]
        return made

    def _refuse_code(self, record: Record, where: str) -> None:
        """Hooks and methods on the instance would change what the layer computes."""
        for name in _HOOKS:
            if record.get(name):
                raise UnsupportedModule(where, record.path, why=f"which carries {name.strip('_').replace('_', ' ')}")
        if "forward" in record.attrs:
            raise UnsupportedModule(where, record.path, why="whose `forward` was replaced on the instance")

    def _state(self, record: Record, where: str, depth: int) -> dict[str, Any]:
        state: dict[str, Any] = {name: OrderedDict() for name in _HOOKS}
        for name, value in record.attrs.items():
            here = f"{where}.{name}"
            if name in _HOOKS or name in _IGNORED:
                continue
            if name == "_modules":
                state[name] = {
                    child: None if value is None else self.module(value, f"{where}.{child}", depth + 1)
                    for child, value in _dict(value, here).items()
                }
            else:
                state[name] = self._value(value, here, depth)
        return state

    def _value(self, value: Any, where: str, depth: int) -> Any:
        """An attribute: plain data as it is, layers rebuilt, functions by allow-list; the rest is refused when used."""
        if depth > _MAX_DEPTH:
            return NotServed(where, "nested too deep")
        if isinstance(value, _PLAIN):
            return value
        if type(value) in (list, tuple, set, frozenset, torch.Size):
            return type(value)(self._value(item, where, depth + 1) for item in value)
        if isinstance(value, dict):
            return {key: self._value(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
        if is_module(value) and resolve_class(value.path):
            return self.module(value, where, depth + 1)
        if isinstance(value, Global) and value.path.startswith(_FUNCTIONS):
            function = getattr(torch.nn.functional, value.name, None)
            if callable(function):
                return function
        return NotServed(where, _name(value))


def _dict(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnsupportedModule(where, _name(value), why="where layers by name belong")
    return value


def _name(value: Any) -> str:
    return value.path if isinstance(value, Global | Record) else type(value).__name__


def _why_refused(path: str) -> str:
    package = path.partition(".")[0]
    if path.startswith(_PACKAGES) and package != "torch":
        return f"and {package} is not installed here or has no such layer (pip install {package})"
    return "which is not in fastmar's allow-list of layers"
