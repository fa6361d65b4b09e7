"""Implementations of pickle's opcodes, protocols 0 to 5, equivalent to `pickle._Unpickler`."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from typing import Any

from ..errors import TruncatedFile
from .limits import limit_exceeded
from .machine import PickleMachine
from .torchzip import FIX_DAMAGED

_U1, _U2, _I4, _U4, _U8, _F8 = (struct.Struct(code) for code in ("<B", "<H", "<i", "<I", "<Q", ">d"))
# Exceptions that an opcode, numpy or torch (RuntimeError) raises for an invalid pickle.
_DAMAGE = (IndexError, KeyError, TypeError, ValueError, OverflowError, RuntimeError, struct.error)

Opcode = Callable[[PickleMachine], None]
_OPCODES: dict[int, Opcode] = {}


def _opcode(code: bytes) -> Callable[[Opcode], Opcode]:
    def register(run: Opcode) -> Opcode:
        _OPCODES[code[0]] = run
        return run

    return register


def run(m: PickleMachine) -> Any:
    """Run the opcodes of the pickle, and return its object.

    Raises:
        TruncatedFile: the pickle ends too early, or is invalid.
        HostileFile: it exceeds a limit.
    """
    opcodes, start = 0, 0
    try:
        while True:
            start = m.at
            code = m.data[start]
            m.at = start + 1
            if code == pickle.STOP[0]:
                return m.stack.pop()
            _OPCODES[code](m)
            opcodes += 1
            if opcodes > m.limits.opcodes:
                raise limit_exceeded("the number of the pickle's opcodes", f"{m.limits.opcodes:,} opcodes")
    except _DAMAGE as problem:
        raise TruncatedFile(
            f"data.pkl is damaged at byte {start:,}: {type(problem).__name__} ({problem!s:.120}).",
            fix=FIX_DAMAGED,
            code="damaged_pickle",
        ) from problem


# Framing and stack


@_opcode(pickle.PROTO)
def _proto(m: PickleMachine) -> None:
    m.protocol = m.unpack(_U1)
    if m.protocol > pickle.HIGHEST_PROTOCOL:
        raise ValueError(f"protocol {m.protocol} is unknown")


@_opcode(pickle.FRAME)
def _frame(m: PickleMachine) -> None:
    m.take(8)  # frames are for reading ahead, and the pickle is already in memory


@_opcode(pickle.MARK)
def _mark(m: PickleMachine) -> None:
    if len(m.outer) >= m.limits.marks:
        raise limit_exceeded("the nesting of lists and calls", f"{m.limits.marks:,} levels")
    m.outer.append(m.stack)
    m.stack = []


@_opcode(pickle.POP)
def _pop(m: PickleMachine) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.pop_mark()


@_opcode(pickle.POP_MARK)
def _pop_mark(m: PickleMachine) -> None:
    m.pop_mark()


@_opcode(pickle.DUP)
def _dup(m: PickleMachine) -> None:
    m.stack.append(m.stack[-1])


# Memo


@_opcode(pickle.MEMOIZE)
def _memoize(m: PickleMachine) -> None:
    m.memo[len(m.memo)] = m.stack[-1]


def _memo_opcodes(put: bytes, get: bytes, index: Callable[[PickleMachine], int]) -> None:
    def run_put(m: PickleMachine) -> None:
        m.memo[index(m)] = m.stack[-1]

    def run_get(m: PickleMachine) -> None:
        m.stack.append(m.memo[index(m)])

    _OPCODES[put[0]], _OPCODES[get[0]] = run_put, run_get


_memo_opcodes(pickle.PUT, pickle.GET, lambda m: int(m.line()))
_memo_opcodes(pickle.BINPUT, pickle.BINGET, lambda m: m.byte())
_memo_opcodes(pickle.LONG_BINPUT, pickle.LONG_BINGET, lambda m: int(m.unpack(_U4)))


# Values


def _value_opcode(code: bytes, value: Callable[[PickleMachine], Any]) -> None:
    def run(m: PickleMachine) -> None:
        m.push(value(m))

    _OPCODES[code[0]] = run


def _container_opcode(code: bytes, make: Callable[[PickleMachine], Any]) -> None:
    def run(m: PickleMachine) -> None:
        m.push_container(make(m))

    _OPCODES[code[0]] = run


def _shared_opcode(code: bytes, value: Callable[[PickleMachine], Any]) -> None:
    # Values that the interpreter shares, so that they need no memory.
    def run(m: PickleMachine) -> None:
        m.stack.append(value(m))

    _OPCODES[code[0]] = run


def _old_string(raw: bytes) -> str | bytes:
    # Python 2 wrote text and bytes in the same way.
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw


def _quoted(m: PickleMachine) -> str:
    line = m.line().decode()
    if len(line) < 2 or line[0] != line[-1] or line[0] not in "\"'":
        raise ValueError("a string has no quotes")
    if "\\" in line:  # escapes of Python 2, which does not exist in torch's zip files
        raise ValueError("a string has escapes")
    return line[1:-1]


def _int_line(m: PickleMachine) -> int | bool:
    line = m.line()
    return {b"00": False, b"01": True}.get(line, int(line))


def _utf8(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


for _code, _value in {
    pickle.INT: _int_line,
    pickle.LONG: lambda m: int(m.line().removesuffix(b"L")),
    pickle.BININT: lambda m: m.unpack(_I4),
    pickle.BININT2: lambda m: m.unpack(_U2),
    pickle.LONG1: lambda m: int.from_bytes(m.take(m.unpack(_U1)), "little", signed=True),
    pickle.LONG4: lambda m: int.from_bytes(m.take(m.unpack(_I4)), "little", signed=True),
    pickle.FLOAT: lambda m: float(m.line()),
    pickle.BINFLOAT: lambda m: m.unpack(_F8),
    pickle.STRING: _quoted,
    pickle.BINSTRING: lambda m: _old_string(m.take(m.unpack(_I4))),
    pickle.SHORT_BINSTRING: lambda m: _old_string(m.take(m.unpack(_U1))),
    pickle.UNICODE: lambda m: m.line().decode("raw-unicode-escape"),
    pickle.SHORT_BINUNICODE: lambda m: _utf8(m.take(m.unpack(_U1))),
    pickle.BINUNICODE: lambda m: _utf8(m.take(m.unpack(_U4))),
    pickle.BINUNICODE8: lambda m: _utf8(m.take(m.unpack(_U8))),
    pickle.SHORT_BINBYTES: lambda m: m.take(m.unpack(_U1)),
    pickle.BINBYTES: lambda m: m.take(m.unpack(_U4)),
    pickle.BINBYTES8: lambda m: m.take(m.unpack(_U8)),
    pickle.BYTEARRAY8: lambda m: bytearray(m.take(m.unpack(_U8))),
}.items():
    _value_opcode(_code, _value)

for _code, _value in {
    pickle.NONE: lambda _: None,
    pickle.NEWTRUE: lambda _: True,
    pickle.NEWFALSE: lambda _: False,
    pickle.BININT1: lambda m: m.byte(),
    pickle.EMPTY_TUPLE: lambda _: (),
}.items():
    _shared_opcode(_code, _value)

for _code, _value in {
    pickle.EMPTY_LIST: lambda _: [],
    pickle.EMPTY_DICT: lambda _: {},
    pickle.EMPTY_SET: lambda _: set(),
}.items():
    _container_opcode(_code, _value)


# Containers


def _top(m: PickleMachine, count: int) -> list[Any]:
    if len(m.stack) < count:
        raise IndexError("the stack has too few values")
    items = m.stack[-count:]
    del m.stack[-count:]
    return items


@_opcode(pickle.TUPLE)
def _tuple(m: PickleMachine) -> None:
    items = m.pop_mark()
    m.push_container(tuple(items))


_container_opcode(pickle.TUPLE1, lambda m: tuple(_top(m, 1)))
_container_opcode(pickle.TUPLE2, lambda m: tuple(_top(m, 2)))
_container_opcode(pickle.TUPLE3, lambda m: tuple(_top(m, 3)))


@_opcode(pickle.LIST)
def _list(m: PickleMachine) -> None:
    items = m.pop_mark()
    m.push_container(items)


@_opcode(pickle.DICT)
def _dict(m: PickleMachine) -> None:
    flat = m.pop_mark()
    made: dict[Any, Any] = {}
    m.set_items(made, flat)
    m.push_container(made)


@_opcode(pickle.FROZENSET)
def _frozenset(m: PickleMachine) -> None:
    items = m.pop_mark()
    m.push_container(m.freeze(items))


@_opcode(pickle.APPEND)
def _append(m: PickleMachine) -> None:
    item = m.stack.pop()
    m.append(m.stack[-1], [item])


@_opcode(pickle.APPENDS)
def _appends(m: PickleMachine) -> None:
    items = m.pop_mark()
    m.append(m.stack[-1], items)


@_opcode(pickle.SETITEM)
def _setitem(m: PickleMachine) -> None:
    flat = _top(m, 2)
    m.set_items(m.stack[-1], flat)


@_opcode(pickle.SETITEMS)
def _setitems(m: PickleMachine) -> None:
    flat = m.pop_mark()
    m.set_items(m.stack[-1], flat)


@_opcode(pickle.ADDITEMS)
def _additems(m: PickleMachine) -> None:
    items = m.pop_mark()
    m.add_items(m.stack[-1], items)


# Names, calls and state


def _named(m: PickleMachine) -> Any:
    module, name = m.line().decode(), m.line().decode()
    return m.name(module, name)


@_opcode(pickle.GLOBAL)
def _global(m: PickleMachine) -> None:
    m.stack.append(_named(m))


@_opcode(pickle.STACK_GLOBAL)
def _stack_global(m: PickleMachine) -> None:
    module, name = _top(m, 2)
    if type(module) is not str or type(name) is not str:
        raise TypeError("a name is not text")
    m.stack.append(m.name(module, name))


def _extension(m: PickleMachine, code: int) -> None:
    # A number that copyreg.add_extension assigned to a name in the interpreter that wrote the pickle.
    m.stack.append(m.name("copyreg", f"extension_{code}"))


_OPCODES[pickle.EXT1[0]] = lambda m: _extension(m, m.unpack(_U1))
_OPCODES[pickle.EXT2[0]] = lambda m: _extension(m, m.unpack(_U2))
_OPCODES[pickle.EXT4[0]] = lambda m: _extension(m, m.unpack(_I4))


@_opcode(pickle.PERSID)
def _persid(m: PickleMachine) -> None:
    m.stack.append(m.persistent(m.line()))


@_opcode(pickle.BINPERSID)
def _binpersid(m: PickleMachine) -> None:
    m.stack.append(m.persistent(m.stack.pop()))


@_opcode(pickle.REDUCE)
def _reduce(m: PickleMachine) -> None:
    callee, args = _top(m, 2)
    m.stack.append(m.call(callee, args))


@_opcode(pickle.NEWOBJ)
def _newobj(m: PickleMachine) -> None:
    cls, args = _top(m, 2)
    m.stack.append(m.call(cls, args, is_instance=True))


@_opcode(pickle.NEWOBJ_EX)
def _newobj_ex(m: PickleMachine) -> None:
    cls, args, kwargs = _top(m, 3)
    m.stack.append(m.call(cls, args, kwargs, is_instance=True))


@_opcode(pickle.INST)
def _inst(m: PickleMachine) -> None:
    callee = _named(m)
    args = m.pop_mark()
    m.stack.append(m.call(callee, tuple(args)))


@_opcode(pickle.OBJ)
def _obj(m: PickleMachine) -> None:
    callee, *args = m.pop_mark()
    m.stack.append(m.call(callee, tuple(args)))


@_opcode(pickle.BUILD)
def _build(m: PickleMachine) -> None:
    state = m.stack.pop()
    m.build(m.stack[-1], state)
