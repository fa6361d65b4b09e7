"""Rebuilds a recorded network as a torch module: instances of allowed classes, made without `__init__`, with the
recorded attributes. The recorded tree of layers is used instead of hyperparameters, because the order of layers differs
between versions of fastai.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import torch
from torch import nn

from fastmar_export.errors import UnsupportedModule
from fastmar_export.networks.allow_list import resolve_class, resolve_value, unsupported_layer
from fastmar_export.networks.fastai_layers import Prepared
from fastmar_export.networks.fastai_unet import UNET, find_taps, hook_of_method
from fastmar_export.networks.weight_hooks import fold, is_norm
from fastmar_export.networks.wrappers import unwrapped
from fastmar_export.reader import Global, Record
from fastmar_export.reader.records import is_pickled_by_value

__all__ = ["UnsupportedValue", "is_module", "rebuild", "resolve_class"]

# Internal attributes of nn.Module that do not influence answers, or are empty in an exported learner.
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
_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.Tensor, torch.dtype, torch.device)
_MAX_DEPTH = 200


class UnsupportedValue:
    """A placeholder for a recorded attribute that fastmar does not rebuild. Any use raises `UnsupportedModule`.

    Comparisons raise too, because a result of False could change the branch that `forward` takes.
    """

    def __init__(self, where: str, path: str) -> None:
        object.__setattr__(self, "_facts", (where, path))

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        where, path = object.__getattribute__(self, "_facts")
        raise UnsupportedModule(where, path)

    __call__ = __getattr__ = __bool__ = __iter__ = __len__ = __getitem__ = __setattr__ = __contains__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _refuse
    __int__ = __float__ = __index__ = __neg__ = __enter__ = __exit__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse


def rebuild(record: Any, where: str = "model", modules: Sequence[str] = ()) -> nn.Module:
    """The network of `record`, in evaluation mode, in float32, on the CPU.

    Args:
        record: the record of an nn.Module.
        where: place of the network in the learner, for messages.
        modules: top-level packages of the user, whose layers are imported and run. No other package is imported.

    Raises:
        UnsupportedModule: a layer is not in the allow-list, or has its own code, such as hooks.
    """
    return _Rebuilder(modules).module(record, where, 0).float().eval()


def is_module(value: Any) -> bool:
    """Whether `value` records an nn.Module."""
    return isinstance(value, Record) and "_modules" in value.attrs and "_parameters" in value.attrs


class _Rebuilder:
    """Rebuilds a tree of records; a module that occurs in two places is rebuilt once."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = modules
        self._made: dict[int, nn.Module] = {}
        self._unet_hooks: set[int] = set()

    def module(self, record: Any, where: str, depth: int) -> nn.Module:
        record = unwrapped(record)
        if not is_module(record):
            raise UnsupportedModule(where, _name(record), why="which is not a layer")
        if id(record) in self._made:
            return self._made[id(record)]
        cls = self._class_of(record)
        if cls is None:
            raise unsupported_layer(where, record.path, by_value=is_pickled_by_value(record.callee))
        if depth > _MAX_DEPTH:
            raise UnsupportedModule(where, record.path, why=f"nested more than {_MAX_DEPTH} layers deep")
        more: dict[str, Any] = {}
        if record.path == UNET:
            more["taps"], hooks = find_taps(record, where)
            self._unet_hooks |= {id(hook) for hook in hooks}
        norms = self._refuse_code(record, where)
        layer = cls.__new__(cls)
        self._made[id(record)] = layer
        nn.Module.__init__(layer)
        layer.__setstate__(self._state(record, where, depth) | more)  # type: ignore[no-untyped-call]
        for norm in norms:
            fold(layer, norm, where)
        if isinstance(layer, Prepared):
            layer.prepare(where)
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and getattr(layer, "running_mean", None) is None:
            raise UnsupportedModule(
                where,
                record.path,
                why="which has no running statistics, so that an answer depends on the other records of its batch",
                fix="train with track_running_stats=True, torch's default, and export that learner.",
                code="no_running_statistics",
            )
        return layer

    def _class_of(self, record: Record) -> type[nn.Module] | None:
        """The class of `record`; None if it is pickled by value, because its path may then be that of another class."""
        return None if is_pickled_by_value(record.callee) else resolve_class(record.path, self._modules)

    def _refuse_code(self, record: Record, where: str) -> list[Record]:
        """Refuse hooks and a `forward` on the instance, which change the layer's output; return known weight norms."""
        norms = []
        for name in _HOOKS:
            hooks = record.get(name)
            for hook in hooks.values() if isinstance(hooks, dict) else [hooks] if hooks else []:
                if name == "_forward_pre_hooks" and is_norm(hook):
                    norms.append(hook)
                elif name != "_forward_hooks" or id(hook_of_method(hook)) not in self._unet_hooks:
                    kind = name.strip("_").replace("_", " ")
                    raise UnsupportedModule(
                        where,
                        record.path,
                        why=f"which has {kind} ({_name(hook)})",
                        fix=f"remove it: {_in_notebook(where)}.{name}.clear(), and export the learner again.",
                        code="layer_hooks",
                    )
        if "forward" in record.attrs:
            raise UnsupportedModule(
                where,
                record.path,
                why="whose `forward` was replaced on the instance",
                fix=f"restore it: del {_in_notebook(where)}.forward, and export the learner again.",
                code="forward_replaced",
            )
        return norms

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
        """The value of an attribute: plain data, a rebuilt layer, an allowed function, or an `UnsupportedValue`."""
        if depth > _MAX_DEPTH:
            return UnsupportedValue(where, "nested too deeply")
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, np.number | np.bool_):  # such as a y_range from the largest rating of a table
            return value.item()
        if type(value) in (list, tuple, set, frozenset, torch.Size):
            return type(value)(self._value(item, where, depth + 1) for item in value)
        if isinstance(value, dict):
            return {key: self._value(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
        value = unwrapped(value)
        if is_module(value) and self._class_of(value):
            return self.module(value, where, depth + 1)
        found = resolve_value(value, self._modules)
        return UnsupportedValue(where, _name(value)) if found is None else found


def _dict(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnsupportedModule(where, _name(value), why="and must be a dict of layers by name")
    return value


def _in_notebook(where: str) -> str:
    """The Python expression for the layer at `where`, such as model.layers.0."""
    name = where.partition(".")[2]
    return f"learn.model.get_submodule({name!r})" if name else "learn.model"


def _name(value: Any) -> str:
    return value.path if isinstance(value, Global | Record) else type(value).__name__
