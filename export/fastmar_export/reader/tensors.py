"""Rebuilds tensors of a torch zip on the CPU, after checking all bounds."""

from __future__ import annotations

import sys
from typing import Any

import torch

from ..errors import HostileFile, TruncatedFile, UnreadableFile
from .limits import Budget, limit_exceeded
from .plain import Inert, Rebuild
from .records import Global, brief
from .torchzip import FIX_DAMAGED, TorchZip

_MAX_DIMS = 64
_INT64 = 1 << 63
_TENSOR = 2_000  # cost of a tensor object, which takes torch about 15 microseconds

_STORAGES = {
    "DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
    "ComplexDoubleStorage": torch.complex128, "ComplexFloatStorage": torch.complex64, "UntypedStorage": torch.uint8,
}  # fmt: skip
_STORAGE_MODULES = ("torch", "torch.cuda", "torch.storage")

DTYPES = {
    Global("torch", name): dtype for name, dtype in vars(torch).items() if isinstance(dtype, torch.dtype)
}  # fmt: skip
"""torch's dtypes by their names in a pickle, including aliases such as ``torch.half``."""


class Storage:
    """A storage of the file, which is read when a tensor needs it for the first time."""

    def __init__(self, archive: TorchZip, name: str, dtype: torch.dtype) -> None:
        self._archive, self._name, self.dtype = archive, name, dtype
        self.nbytes = archive.nbytes(self._name)
        self._data: torch.UntypedStorage | None = None

    def data(self) -> torch.UntypedStorage:
        """The bytes in this machine's byte order."""
        if self._data is None:
            data = self._archive.load(self._name)
            if self._archive.byteorder != sys.byteorder:
                word = self.dtype.itemsize // (2 if self.dtype.is_complex else 1)
                data = data.view(-1, word).flip(1).reshape(-1)
            self._data = data.untyped_storage()
        return self._data


class Tensors:
    """Rebuilds tensors, parameters and devices; `table` has the functions by dotted path."""

    def __init__(self, archive: TorchZip, budget: Budget) -> None:
        self._archive, self._budget = archive, budget
        self._storages: dict[str, Storage] = {}
        self._table: dict[str, Rebuild] = {
            "torch._utils._rebuild_tensor": self.tensor,
            "torch._utils._rebuild_tensor_v2": self.tensor,
            "torch._utils._rebuild_tensor_v3": self.tensor_v3,
            "torch._utils._rebuild_parameter": self.parameter,
            "torch._utils._rebuild_parameter_with_state": self.parameter,
            "torch._utils._rebuild_qtensor": _refuse_quantized,
            "torch._tensor._rebuild_from_type": self.from_type,
            "torch._tensor._rebuild_from_type_v2": self.from_type,
            "fastai.torch_core._rebuild_from_type": self.from_type,
            "fastai.torch_core._fa_rebuild_tensor": self.fastai_tensor,
            "torch.device": _device,
            "torch.Size": _size,
        }

    def table(self) -> dict[str, Rebuild]:
        """The rebuilding functions by the dotted path of the callable that they replace."""
        return self._table

    def storage(self, pid: Any) -> Storage:
        """The storage for a persistent id ``("storage", class, key, location, count)``."""
        if type(pid) is not tuple or len(pid) < 5 or pid[0] != "storage" or type(pid[2]) is not str:
            raise ValueError("a persistent id is not that of a storage")
        _tag, cls, key, _location, count = pid[:5]
        dtype = _STORAGES.get(cls.name) if isinstance(cls, Global) and cls.module in _STORAGE_MODULES else None
        if dtype is None:
            raise UnreadableFile(
                f"a tensor has the storage {brief(cls)}, which fastmar can't read.",
                fix="export the learner with a network in float32, float16 or bfloat16 that is not quantised.",
                code="unsupported_storage",
            )
        if f"data/{key}" not in self._archive:
            raise TruncatedFile(f"the storage {key!r:.40} is missing in the file.", fix=FIX_DAMAGED)
        if key not in self._storages:
            if len(self._storages) >= self._budget.limits.storages:
                raise limit_exceeded("the number of storages", f"{self._budget.limits.storages:,} storages")
            self._storages[key] = Storage(self._archive, f"data/{key}", dtype)
        storage = self._storages[key]
        if storage.dtype != dtype or type(count) is not int or storage.nbytes != count * dtype.itemsize:
            raise TruncatedFile(
                f"the storage {key!r:.40} has {storage.nbytes} bytes; the pickle expects {brief(count)} of {dtype}.",
                fix=FIX_DAMAGED,
            )
        return storage

    def tensor(
        self,
        storage: Any,
        offset: Any,
        size: Any,
        stride: Any,
        requires_grad: Any = False,
        _hooks: Any = None,
        metadata: Any = None,
        /,
    ) -> torch.Tensor:
        """A view of a storage, with the storage's dtype."""
        if not isinstance(storage, Storage):
            raise TypeError("a tensor has no storage")
        return self._view(storage, storage.dtype, (offset, size, stride), requires_grad, metadata)

    def tensor_v3(
        self,
        storage: Any,
        offset: Any,
        size: Any,
        stride: Any,
        requires_grad: Any,
        _hooks: Any,
        dtype: Any,
        metadata: Any = None,
        /,
    ) -> torch.Tensor:
        """A view of an untyped storage."""
        if not isinstance(storage, Storage) or not isinstance(dtype, torch.dtype):
            raise TypeError("a tensor has no storage or no dtype")
        return self._view(storage, dtype, (offset, size, stride), requires_grad, metadata)

    def parameter(self, data: Any, requires_grad: Any, _hooks: Any = None, _state: Any = None, /) -> Any:
        """A parameter, without additional attributes."""
        if not isinstance(data, torch.Tensor):
            raise Inert
        self._budget.spend(_TENSOR)
        return torch.nn.Parameter(data.detach(), _grad(data.dtype, requires_grad))

    def from_type(self, rebuild: Any, _cls: Any, args: Any, _state: Any, /) -> Any:
        """A tensor of a subclass (fastai's TensorImage, TensorCategory, ...) as a plain tensor."""
        known = self._table.get(rebuild.path) if isinstance(rebuild, Global) else None
        if known is None or known == self.from_type or type(args) is not tuple:
            raise Inert
        return known(*args)

    def fastai_tensor(self, _cls: Any, /, *args: Any) -> torch.Tensor:
        """A tensor of a subclass, in the form of fastai 2.0."""
        return self.tensor(*args)

    def _view(
        self, storage: Storage, dtype: torch.dtype, layout: tuple[Any, Any, Any], grad: Any, metadata: Any
    ) -> torch.Tensor:
        offset, size, stride = layout
        sizes, strides = _size(size), _size(stride)
        if len(sizes) != len(strides) or type(offset) is not int or not 0 <= offset < _INT64:
            raise ValueError("a tensor's sizes, strides and offset do not match")
        count, last = 1, offset
        for length, step in zip(sizes, strides, strict=True):
            count *= length
            last += (length - 1) * step
        if max(count, last) >= _INT64 or (count and (last + 1) * dtype.itemsize > storage.nbytes):
            raise HostileFile(
                f"a tensor of size {sizes!r:.80} exceeds its storage of {storage.nbytes} bytes.", fix=FIX_DAMAGED
            )
        self._budget.spend(_TENSOR + count * dtype.itemsize)
        tensor = torch.empty(0, dtype=dtype)
        if count:
            tensor.set_(storage.data(), offset, sizes, strides)
        else:
            tensor = torch.empty_strided(sizes, strides, dtype=dtype)
        if isinstance(metadata, dict):
            # Flags of views that are conjugated or negated lazily.
            tensor = tensor.conj() if metadata.get("conj") is True else tensor
            tensor = torch._neg_view(tensor) if metadata.get("neg") is True else tensor
        return tensor.requires_grad_(_grad(dtype, grad))


def _grad(dtype: torch.dtype, requires_grad: Any) -> bool:
    if type(requires_grad) is not bool or (requires_grad and not (dtype.is_floating_point or dtype.is_complex)):
        raise ValueError(f"a tensor of {dtype} has the invalid requires_grad {brief(requires_grad)}")
    return requires_grad


def _size(dims: Any, /) -> tuple[int, ...]:
    if (
        type(dims) not in (tuple, list)
        or len(dims) > _MAX_DIMS
        or not all(type(n) is int and 0 <= n < _INT64 for n in dims)
    ):
        raise ValueError(f"a tensor has the invalid sizes or strides {brief(dims)}")
    return tuple(dims)


def _device(kind: Any = "cpu", index: Any = None, /) -> torch.device:
    if type(kind) is not str or not (index is None or (type(index) is int and 0 <= index < 128)):
        raise Inert
    try:
        return torch.device(kind) if index is None else torch.device(kind, index)
    except RuntimeError as problem:
        raise Inert from problem


def _refuse_quantized(*_args: Any) -> Any:
    raise UnreadableFile(
        "the network contains quantised tensors, which fastmar can't read.",
        fix="export the learner before its network is quantised.",
        code="quantized_tensors",
    )
