"""Two audits of a learner's file: the code that `torch.load` would run, and the training rows in the file."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from .records import Global, Record, brief, is_function, is_pickled_by_value, path_of
from .walk import Node, walk

# Packages with classes of exported learners: their `cls.__new__` and `__setstate__` run library code only.
_LIBRARIES = frozenset({
    "IPython", "PIL", "beartype", "collections", "confection", "cymem", "datetime", "decimal", "enum", "fastai",
    "fastcore", "fastdownload", "fastprogress", "fasttransform", "fractions", "functools", "inspect", "numpy",
    "operator", "pandas", "pathlib", "plum", "preshed", "random", "re", "scipy", "sentencepiece", "sklearn", "spacy",
    "srsly", "thinc", "timm", "tokenizers", "torch", "torchvision", "transformers", "typing", "uuid",
})  # fmt: skip
_WRITES_FILES = frozenset({"numpy.memmap", "numpy._core.memmap.memmap"})  # classes whose `__new__` has side effects

# Functions that only construct an object, and classes that pickle calls instead of `__new__`.
_RECONSTRUCTIONS = frozenset({
    "_operator.attrgetter", "_operator.itemgetter", "builtins.object", "cloudpickle.cloudpickle._builtin_type",
    "cloudpickle.cloudpickle._make_cell", "cloudpickle.cloudpickle._make_empty_cell",
    "cloudpickle.cloudpickle._make_typevar", "confection._config.Config", "decimal.Decimal", "fractions.Fraction",
    "functools.partial", "inspect.Parameter", "inspect.Signature",
    "numpy.random._pickle.__bit_generator_ctor", "numpy.random._pickle.__generator_ctor",
    "numpy.random._pickle.__randomstate_ctor", "operator.attrgetter", "operator.itemgetter", "pandas.CategoricalDtype",
    "pandas.Interval", "pandas.Period", "pandas.PeriodDtype", "pandas.StringDtype", "pandas._libs.sparse.BlockIndex",
    "pandas._libs.sparse.IntIndex", "pandas._libs.tslibs.nattype._nat_unpickle",
    "pandas._libs.tslibs.timedeltas._timedelta_unpickle", "pandas.core.arrays.string_.StringDtype",
    "pandas.core.dtypes.dtypes.CategoricalDtype", "pandas.core.dtypes.dtypes.PeriodDtype",
    "pandas.core.internals.managers.BlockManager", "pandas.core.internals.managers.SingleBlockManager",
    "pathlib.Path", "pathlib.PosixPath", "pathlib.PurePath", "pathlib.PurePosixPath", "pathlib.PureWindowsPath",
    "pathlib.WindowsPath", "pathlib._local.PosixPath", "pathlib._local.WindowsPath", "PIL.Image.Resampling",
    "PIL.Image.Transpose", "pyarrow.lib.chunked_array", "pyarrow.lib.py_buffer", "pyarrow.lib.type_for_alias",
    "random.Random", "re._compile", "spacy.morphology.unpickle_morphology",
    "spacy.strings.StringStore", "spacy.tokenizer.Tokenizer", "spacy.vectors.unpickle_vectors",
    "spacy.vocab.unpickle_vocab", "uuid.UUID",
})  # fmt: skip
# Private functions of pandas and pyarrow that only restore an object from a pickle.
_RESTORE = re.compile(
    r"(pandas|pyarrow)\.([\w.]+\.)?(__pyx_unpickle_\w+|_new_\w*Index|_restore_\w+|_unpickle_\w+|_reconstruct_\w+)"
)
_OFFSETS = re.compile(r"pandas\._libs\.tslibs\.offsets\.[A-Z]\w*")  # date frequencies, such as MonthEnd
# Enumerations, whose class pickle calls with a member's value.
_ENUMS = frozenset({
    "fastai.callback.fp16.AMPMode", "inspect._ParameterKind", "torchvision.transforms.functional.InterpolationMode",
})  # fmt: skip
_DYNAMO = "torch._dynamo.eval_frame"  # module of the wrapper that torch.compile makes
_COMPILER_PACKAGES = ("contextlib", "torch")

_PARTS, _COLUMNS = 8, 50  # parts of a manager's state that are searched, and columns of a leak that are listed
_ARROW_PARTS = 5  # type, length, nulls, offset and buffers
_MIN_ROWS = 100  # one-dimensional arrays of at least this length are rows; shorter ones are statistics


@dataclass(frozen=True, slots=True)
class Leak:
    """Training rows in the file of a learner.

    Attributes:
        where: attribute path from the learner.
        what: the object that contains them: a class, or a kind of array.
        rows: number of rows.
        columns: names of their columns, if they have names.
    """

    where: str
    what: str
    rows: int
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        columns = f" with columns {', '.join(self.columns)}" if self.columns else ""
        return f"{self.where}: {self.rows:,} rows in {self.what}{columns}"


def calls_that_run_code(records: Iterable[Record]) -> list[Record]:
    """The records whose construction would run code other than library classes, in the pickle's order.

    Functions that are pickled by value are not included, because loading does not call them (see `pickled_functions`).

    An empty list does not mean that the file is safe to load: some library classes are harmful with a crafted state.
    Reading the file with fastmar is always safe.
    """
    return [record for record in records if not (is_function(record) or _is_harmless(record))]


def pickled_functions(records: Iterable[Record]) -> list[Record]:
    """Functions whose bytecode is in the file, in the pickle's order.

    cloudpickle pickles them by value, including some functions of fastai. A function with a library's name may differ
    from the library's function. Loading the file does not run them, but predictions with the loaded learner may.
    """
    return [record for record in records if is_function(record)]


def describe_call(record: Record) -> str:
    """One line about a call: its function, its arguments, and its position in the pickle."""
    at = f"(byte {record.offset:,} of data.pkl)"
    if is_pickled_by_value(record):
        kind = "function" if is_function(record) else "class"
        return f"{path_of(record)}: a {kind} whose bytecode is in the file {at}"
    if record.is_instance:
        return f"{record.path}: an object of a class outside the known libraries {at}"
    args = [brief(arg) for arg in record.args]
    args += [f"{name!s:.40}={brief(arg)}" for name, arg in record.kwargs.items()]
    return f"{record.path}({', '.join(args):.200}) {at}"


def _is_harmless(record: Record) -> bool:
    callee, args = record.callee, record.args
    match callee:
        case Record(callee=Global("cloudpickle.cloudpickle", "_builtin_type"), args=(str(name),)):
            return name in ("CodeType", "MethodType")
        case Record():
            return False
    package = callee.module.partition(".")[0]
    if record.is_instance:
        return package in _LIBRARIES and callee.path not in _WRITES_FILES
    match callee.path, args:
        case "builtins.type", (_,):  # the type of an object, usually None
            return True
        case path, (str() | int(),) if path in _ENUMS:
            return True
        case "torch._dynamo.eval_frame.OptimizedModule", (_, Record(callee=Global(module, "OptimizeContext"))):
            return module == _DYNAMO
        case "torch._dynamo.eval_frame.OptimizeContext", parts:
            callees = [part.callee if isinstance(part, Record) else part for part in parts]
            return all(_is_of_compiler(part) for part in callees if not isinstance(part, bool | str | None))
        case "builtins.getattr", (_, str(name), *_):
            return not name.startswith("__")
        case "functools.reduce", (Global("_operator", "or_"), tuple(types)):  # a union of types in an annotation
            return len(types) < 64 and all(isinstance(kind, Global) for kind in types)
        case "cloudpickle.cloudpickle.subimport", (str(module),):
            root = module.partition(".")[0]
            return root in _LIBRARIES or root in sys.stdlib_module_names
    return callee.path in _RECONSTRUCTIONS or bool(_RESTORE.fullmatch(callee.path) or _OFFSETS.fullmatch(callee.path))


def _is_of_compiler(callee: Any) -> bool:
    return isinstance(callee, Global) and callee.module.partition(".")[0] in _COMPILER_PACKAGES


def find_leaks(root: Any) -> list[Leak]:
    """Training rows in a learner: data frames, items of datasets, and arrays that callbacks stored.

    Weights, optimiser state, vocabularies and statistics are not rows. Exported learners normally contain no rows,
    because their frames and items are empty. A root that is not an object, such as a state dict, contains only weights.
    """
    leaks: list[Leak] = []
    if not isinstance(root, Record):
        return leaks
    for node in walk(root, enter=_may_hold_rows):
        leak = _leak_of(node)
        if leak is not None and leak.rows > 0:
            leaks.append(leak)
    return leaks


# Attributes below which arrays are weights, vocabularies, statistics or parameters of a transform.
_NOT_ROWS = frozenset({
    ".model", "._parameters", "._buffers", ".opt", ".loss_func", ".vocab", ".classes", ".o2i", ".na_dict", ".means",
    ".stds", ".rng", ".procs", ".tfms", ".fs", ".after_item", ".before_batch", ".after_batch",
    ".raw_out",  # activations of the last batch, which fastai's RNNCallback keeps
})  # fmt: skip
_VOCABULARIES = ("CategoryMap", "MultiCategoryMap", "_new_Index")
_FRAMES = ("DataFrame", "Series", "BlockManager", "SingleBlockManager")


def _may_hold_rows(node: Node) -> bool:
    # A frame is reported as a whole; arrays of random states and vocabularies are not rows.
    thing = node.thing
    if not isinstance(thing, Record):
        return True
    module, name = _library_class(thing)
    return name not in (*_VOCABULARIES, *_FRAMES) and not module.startswith("numpy.random")


def _library_class(record: Record) -> tuple[str, str]:
    return (record.callee.module, record.callee.name) if isinstance(record.callee, Global) else ("", "")


def _leak_of(node: Node) -> Leak | None:
    thing = node.thing
    if isinstance(thing, Record):
        module, name = _library_class(thing)
        if name in _FRAMES and module.partition(".")[0] == "pandas":
            axes = _axes(thing if "BlockManager" in name else thing.get("_mgr", thing.get("_data")))
            columns = _labels(axes[0]) if len(axes) > 1 else ()
            return Leak(node.where, f"a pandas {name}", _length(axes[-1]), columns) if axes else None
    elif isinstance(thing, list | tuple) and node.label == ".items":
        return Leak(node.where, f"a {type(thing).__name__} of items", len(thing))
    elif isinstance(thing, np.ndarray | torch.Tensor) and thing.ndim and not node.is_below(_NOT_ROWS):
        rows = thing.shape[0]
        if rows >= _MIN_ROWS or (rows > 1 and thing.ndim > 1):
            kind = "an array" if isinstance(thing, np.ndarray) else "a tensor"
            return Leak(node.where, f"{kind} of shape {tuple(thing.shape)} and {thing.dtype}", rows)
    return None


def _axes(manager: Any) -> list[Any]:
    """The axes of a BlockManager, columns and rows: in its arguments (pandas 2) or in its state (pandas 1)."""
    if not isinstance(manager, Record):
        return []
    for holder in (manager.args, manager.state):
        if isinstance(holder, tuple):
            for part in holder[:_PARTS]:
                if isinstance(part, list) and 0 < len(part) <= 2 and all(map(_is_index, part)):
                    return part
    return []


def _is_index(thing: Any) -> bool:
    return isinstance(thing, Record) and "Index" in _library_class(thing)[1]


def _index_data(index: Any) -> Any:
    args = index.args if isinstance(index, Record) else ()
    return args[1] if len(args) > 1 and isinstance(args[1], dict) else {}


def _length(index: Any) -> int:
    data = _index_data(index)
    if {"start", "stop", "step"} <= data.keys():
        bounds = [data[key] for key in ("start", "stop", "step")]
        if all(type(bound) is int and bound.bit_length() < 60 for bound in bounds) and bounds[2]:
            return len(range(*bounds))
        return 0
    values = _values(data.get("data"))
    return len(values) if values is not None else 0


def _arrow_texts(array: Any) -> list[str] | None:
    """The texts of an Arrow array: a buffer of offsets, and one of UTF-8. None if it is another array, or damaged."""
    state = array.args[0] if isinstance(array, Record) and array.args else None
    if isinstance(array, Record) and isinstance(state, list) and state:  # chunks
        return _arrow_texts(state[0])
    if not isinstance(state, tuple) or len(state) < _ARROW_PARTS or not isinstance(state[4], list):
        return None
    length, buffers = state[1], [each.args[0] for each in state[4] if isinstance(each, Record) and each.args]
    if type(length) is not int or len(buffers) < 2 or not all(isinstance(each, bytes | bytearray) for each in buffers):
        return None
    offsets, texts = buffers[-2:]
    width = len(offsets) // (length + 1) if length >= 0 else 0
    if width not in (4, 8) or len(offsets) % width:
        return None
    bounds = np.frombuffer(offsets, f"<i{width}").tolist()
    return [bytes(texts[start:end]).decode("utf-8", "replace") for start, end in pairwise(bounds)]


def _labels(index: Any) -> tuple[str, ...]:
    values = _values(_index_data(index).get("data"))
    labels = () if values is None else values[:_COLUMNS]
    return tuple(label[:80] if isinstance(label, str) else brief(label) for label in labels)


def _values(data: Any) -> Any:
    """The array of an index's data, which may be in a StringArray; that of Arrow, if pyarrow is installed."""
    if isinstance(data, np.ndarray):
        return data.reshape(-1)
    if isinstance(data, Record) and (arrow := data.get("_pa_array")) is not None:
        return _arrow_texts(arrow)
    if isinstance(data, Record) and isinstance(data.state, tuple):
        return next((part.reshape(-1) for part in data.state[:_PARTS] if isinstance(part, np.ndarray)), None)
    return None
