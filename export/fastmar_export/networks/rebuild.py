"""A network's record to a torch module: classes out of an allow-list, made without their `__init__`, filled with what
was recorded. The recorded tree is what runs; hyperparameters are never read, since fastai's versions order layers
differently.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from torch import nn

from fastmar_export.errors import UnsupportedModule
from fastmar_export.networks.allowed import refused_layer, resolve_class, resolve_value
from fastmar_export.networks.fastai_unet import UNET, find_taps, hook_behind
from fastmar_export.networks.weight_hooks import fold, is_norm
from fastmar_export.networks.wrappers import unwrapped
from fastmar_export.reader import Global, Record
from fastmar_export.reader.records import is_written_out

__all__ = ["NotServed", "is_module", "rebuild", "resolve_class"]

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
_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.Tensor, torch.dtype, torch.device)
_MAX_DEPTH = 200


class NotServed:
    """Stands where a network recorded something that fastmar does not rebuild; any use of it is refused by name.

    Comparing is a use: an answer of False could send `forward` down another branch.
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
        record: of an nn.Module, as the reader gives it.
        where: how messages name it.
        modules: top packages of the user's own: their layers are imported and run as they are, since the user asks
            for it. Of anyone else's, nothing is.

    Raises:
        UnsupportedModule: a layer is outside the allow-list, or carries code of its own; the message names it.
    """
    return _Rebuilder(modules).module(record, where, 0).float().eval()


def is_module(value: Any) -> bool:
    """Whether `value` records an nn.Module."""
    return isinstance(value, Record) and "_modules" in value.attrs and "_parameters" in value.attrs


class _Rebuilder:
    """One walk over a tree of records; a module that stands in two places is made once."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = modules
        self._made: dict[int, nn.Module] = {}
        self._unet_hooks: set[int] = set()

    def module(self, record: Any, where: str, depth: int) -> nn.Module:
        record = unwrapped(record)
        if not is_module(record):
            raise UnsupportedModule(where, _name(record), why="which is no recorded layer")
        if id(record) in self._made:
            return self._made[id(record)]
        cls = self._class_of(record)
        if cls is None:
            raise refused_layer(where, record.path, written_out=is_written_out(record.callee))
        if depth > _MAX_DEPTH:
            raise UnsupportedModule(where, record.path, why=f"nested more than {_MAX_DEPTH} layers deep")
        more: dict[str, Any] = {}
        if record.path == UNET:
            more["taps"], hooks = find_taps(record, where)
            self._unet_hooks |= {id(hook) for hook in hooks}
        norms = self._refuse_code(record, where)
        made = cls.__new__(cls)
        self._made[id(record)] = made
        nn.Module.__init__(made)
        made.__setstate__(self._state(record, where, depth) | more)  # type: ignore[no-untyped-call]
        for norm in norms:
            fold(made, norm, where)
        if isinstance(made, nn.modules.batchnorm._BatchNorm) and getattr(made, "running_mean", None) is None:
            raise UnsupportedModule(
                where,
                record.path,
                why="which keeps no running statistics: an answer would depend on the other records of its batch",
                fix="train with track_running_stats=True, torch's default, and export that learner.",
            )
        return made

    def _class_of(self, record: Record) -> type[nn.Module] | None:
        """A class that the pickle wrote out may say that it lies anywhere; it is nobody's but the pickle's."""
        return None if is_written_out(record.callee) else resolve_class(record.path, self._modules)

    def _refuse_code(self, record: Record, where: str) -> list[Record]:
        """Hooks and methods on the instance would change what the layer computes; those that we know are given back."""
        norms = []
        for name in _HOOKS:
            hooks = record.get(name)
            for hook in hooks.values() if isinstance(hooks, dict) else [hooks] if hooks else []:
                if name == "_forward_pre_hooks" and is_norm(hook):
                    norms.append(hook)
                elif name != "_forward_hooks" or id(hook_behind(hook)) not in self._unet_hooks:
                    words = name.strip("_").replace("_", " ")
                    raise UnsupportedModule(
                        where,
                        record.path,
                        why=f"which carries {words} ({_name(hook)})",
                        fix=f"remove it: {_in_notebook(where)}.{name}.clear(), and export the learner again.",
                    )
        if "forward" in record.attrs:
            raise UnsupportedModule(
                where,
                record.path,
                why="whose `forward` was replaced on the instance",
                fix=f"give the layer its own back: del {_in_notebook(where)}.forward, and export the learner again.",
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
        """An attribute: plain data as it is, layers rebuilt, functions by allow-list; the rest is refused when used."""
        if depth > _MAX_DEPTH:
            return NotServed(where, "nested too deep")
        if isinstance(value, _PLAIN):
            return value
        if type(value) in (list, tuple, set, frozenset, torch.Size):
            return type(value)(self._value(item, where, depth + 1) for item in value)
        if isinstance(value, dict):
            return {key: self._value(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
        value = unwrapped(value)
        if is_module(value) and self._class_of(value):
            return self.module(value, where, depth + 1)
        found = resolve_value(value, self._modules)
        return NotServed(where, _name(value)) if found is None else found


def _dict(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnsupportedModule(where, _name(value), why="where layers by name belong")
    return value


def _in_notebook(where: str) -> str:
    """Python for the layer at `where`, such as model.layers.0."""
    name = where.partition(".")[2]
    return f"learn.model.get_submodule({name!r})" if name else "learn.model"


def _name(value: Any) -> str:
    return value.path if isinstance(value, Global | Record) else type(value).__name__
