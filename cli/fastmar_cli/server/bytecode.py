"""Java bytecode by hand: the few pieces that the edits of TorchServe's classes are made of."""

from __future__ import annotations

import struct
from pathlib import Path

from fastmar_cli.server.classfile import UTF8, ClassFile, Method


def rename(classfile: ClassFile, name: str, descriptor: str) -> str:
    """Give a method another name, so that one of ours can take its place."""
    renamed = f"{name}AsBefore"
    classfile.method(name, descriptor).name = classfile.add_text(renamed)
    return renamed


def file_exists(classfile: ClassFile, file: Path) -> bytes:
    """Code for `new File(file).exists()`."""
    return b"".join(
        [
            b"\xbb" + index(classfile.add_class("java/io/File")) + b"\x59",  # new, dup
            text(classfile, str(file)),
            b"\xb7" + index(classfile.add_method_reference("java/io/File", "<init>", "(Ljava/lang/String;)V")),
            call(classfile, "java/io/File", "exists", "()Z"),
        ]
    )


def add_method(
    classfile: ClassFile,
    name: str,
    descriptor: str,
    *,
    flags: int,
    code: bytes,
    stack: int,
    variables: int,
    frames: bytes = b"",
) -> None:
    """Add a method: its code, how deep the stack gets, how many variables it has.

    `frames` is the body of its StackMapTable, where it has branches (`same_frames`).
    """
    inner = b""
    if frames:
        inner = struct.pack(">HI", classfile.add_text("StackMapTable"), len(frames)) + frames
    body = struct.pack(">HHI", stack, variables, len(code)) + code
    body += struct.pack(">HH", 0, 1 if frames else 0) + inner  # no exception table
    attribute = struct.pack(">HHI", 1, classfile.add_text("Code"), len(body)) + body
    classfile.methods.append(Method(flags, classfile.add_text(name), classfile.add_text(descriptor), attribute))


def text_constant(text: str) -> bytes:
    """A Utf8 constant."""
    return struct.pack(">BH", UTF8, len(text)) + text.encode()


def index(number: int) -> bytes:
    """An index into the constant pool, as it stands behind an instruction."""
    return struct.pack(">H", number)


def call(classfile: ClassFile, owner: str, name: str, descriptor: str, *, static: bool = False) -> bytes:
    """Code that calls a method of a class on what lies on the stack."""
    return (b"\xb8" if static else b"\xb6") + index(classfile.add_method_reference(owner, name, descriptor))


def field(classfile: ClassFile, owner: str, name: str, descriptor: str) -> bytes:
    """Code that puts a static field on the stack."""
    return b"\xb2" + index(classfile.add_field_reference(owner, name, descriptor))


def text(classfile: ClassFile, value: str) -> bytes:
    """Code that puts a string on the stack."""
    return b"\x13" + index(classfile.add_string(value))


def if_false_skip(code: bytes) -> bytes:
    """Code that goes around `code` when the boolean on the stack is false. The place behind it needs a frame."""
    return b"\x99" + struct.pack(">h", 3 + len(code)) + code


def same_frames(places: list[int]) -> bytes:
    """A StackMapTable that says of each place, in order: the variables are those at the start, the stack is empty."""
    before = [-1, *places]
    deltas = [place - last - 1 for last, place in zip(before, places, strict=False)]
    return struct.pack(">H", len(places)) + b"".join(struct.pack(">BH", 251, delta) for delta in deltas)
