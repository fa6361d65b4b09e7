"""Java class files as data: as much of the format as small edits of TorchServe need.

The layout is chapter 4 of the Java Virtual Machine Specification: magic and version, the constant pool, flags and
names, interfaces, fields, methods, attributes. Only the constant pool and the methods are looked into.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

UTF8, CLASS, STRING, FIELD, METHOD, INTERFACE_METHOD, NAME_AND_TYPE = 1, 7, 8, 9, 10, 11, 12
# Bytes behind the tag of every fixed-size constant (table 4.4-A); a Utf8 has its own length.
SIZES = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4, 19: 2, 20: 2}
WIDE = (5, 6)  # long and double take two places in the pool


class UnexpectedClass(Exception):
    """The class file is not laid out as the edit needs it."""


@dataclass
class Method:
    """One method: indices into the constant pool, and its attributes as they stand."""

    flags: int
    name: int
    descriptor: int
    attributes: bytes


@dataclass
class ClassFile:
    """A class whose constant pool and methods can be added to."""

    version: bytes
    constants: list[bytes]  # by index; places that are not constants (0, behind a long) are empty
    head: bytes  # flags, names, interfaces and fields, untouched
    methods: list[Method]
    tail: bytes  # attributes of the class, untouched

    def text(self, index: int) -> str:
        """The Utf8 constant at an index."""
        return self.constants[index][3:].decode("utf-8", "surrogatepass")

    def add(self, constant: bytes) -> int:
        """Index of a constant, added when the pool has none like it."""
        if constant in self.constants:
            return self.constants.index(constant)
        self.constants.append(constant)
        return len(self.constants) - 1

    def add_text(self, text: str) -> int:
        """Index of a Utf8 constant."""
        raw = text.encode()
        return self.add(struct.pack(">BH", UTF8, len(raw)) + raw)

    def add_class(self, name: str) -> int:
        """Index of a class reference, `java/io/File`."""
        return self.add(struct.pack(">BH", CLASS, self.add_text(name)))

    def add_string(self, text: str) -> int:
        """Index of a string literal."""
        return self.add(struct.pack(">BH", STRING, self.add_text(text)))

    def add_method_reference(self, owner: str, name: str, descriptor: str, *, interface: bool = False) -> int:
        """Index of a reference to a method of a class, or of an interface."""
        return self._add_member(INTERFACE_METHOD if interface else METHOD, owner, name, descriptor)

    def add_field_reference(self, owner: str, name: str, descriptor: str) -> int:
        """Index of a reference to a field of a class."""
        return self._add_member(FIELD, owner, name, descriptor)

    def _add_member(self, tag: int, owner: str, name: str, descriptor: str) -> int:
        name_and_type = self.add(struct.pack(">BHH", NAME_AND_TYPE, self.add_text(name), self.add_text(descriptor)))
        return self.add(struct.pack(">BHH", tag, self.add_class(owner), name_and_type))

    def method(self, name: str, descriptor: str) -> Method:
        """The method of that name and descriptor."""
        for method in self.methods:
            if (self.text(method.name), self.text(method.descriptor)) == (name, descriptor):
                return method
        raise UnexpectedClass(f"no method {name}{descriptor}")

    def to_bytes(self) -> bytes:
        """The class file."""
        pool = struct.pack(">H", len(self.constants)) + b"".join(self.constants)
        methods = b"".join(
            struct.pack(">HHH", method.flags, method.name, method.descriptor) + method.attributes
            for method in self.methods
        )
        return self.version + pool + self.head + struct.pack(">H", len(self.methods)) + methods + self.tail


def read_class(data: bytes) -> ClassFile:
    """Parse a class file."""
    if data[:4] != b"\xca\xfe\xba\xbe":
        raise UnexpectedClass("not a class file")
    try:
        constants, end_of_pool = _read_constants(data)
        (interfaces,) = struct.unpack_from(">H", data, end_of_pool + 6)
        _, start_of_methods = _read_members(data, end_of_pool + 8 + 2 * interfaces)
        methods, end_of_methods = _read_members(data, start_of_methods)
    except (struct.error, IndexError, KeyError) as error:
        raise UnexpectedClass("the class file ends early or has an unknown constant") from error
    head, tail = data[end_of_pool:start_of_methods], data[end_of_methods:]
    return ClassFile(version=data[:8], constants=constants, head=head, methods=methods, tail=tail)


def _read_constants(data: bytes) -> tuple[list[bytes], int]:
    (count,) = struct.unpack_from(">H", data, 8)
    constants, at = [b""], 10
    while len(constants) < count:
        tag = data[at]
        size = 3 + struct.unpack_from(">H", data, at + 1)[0] if tag == UTF8 else 1 + SIZES[tag]
        constants.append(data[at : at + size])
        at += size
        if tag in WIDE:
            constants.append(b"")
    return constants, at


def _read_members(data: bytes, at: int) -> tuple[list[Method], int]:
    """Fields or methods, which have one layout: the members, and where they end."""
    (count,) = struct.unpack_from(">H", data, at)
    at += 2
    members = []
    for _ in range(count):
        flags, name, descriptor, attributes = struct.unpack_from(">HHHH", data, at)
        end = at + 8
        for _ in range(attributes):
            end += 6 + struct.unpack_from(">I", data, end + 2)[0]
        members.append(Method(flags, name, descriptor, data[at + 6 : end]))
        at = end
    return members, at
