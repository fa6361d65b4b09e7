"""Edits of TorchServe's classes, made at start on copies that Java finds before the originals.

TorchServe can't be told to close connections as it answers: it writes `Connection: keep-alive` over whatever a handler
sets, so a client that keeps its connection is cut off in mid-request when the server stops. Nor can it be told to stop
listening. And it closes with SO_LINGER 0, that is with a reset, which may throw away an answer that is still on its
way. None of this is a setting.

- `NettyUtils.sendHttpResponse(context, response, keepAlive)` is wrapped: once the drain file exists, a whole answer
  goes out with keepAlive false, which makes TorchServe write `Connection: close` and close behind the answer.
- `ServerInitializer.initChannel(connection)` is wrapped: once the refuse file exists, the connection that is accepted
  next closes the socket that it came in by. It is for systems where the launcher can't do that from outside.
- `ModelServer` names another socket option where it named SO_LINGER, so connections close by a FIN; and it waits for
  the end of the management API's socket, not of the inference API's, which may now end first.

A class that is not laid out as expected is left alone, and the server runs, and stops, as upstream made it.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

from fastmar_cli.server.bytecode import add_method, file_exists, index, rename, text_constant
from fastmar_cli.server.classfile import ClassFile, UnexpectedClass, read_class

MODEL_SERVER = "org/pytorch/serve/ModelServer"
NETTY_UTILS = "org/pytorch/serve/util/NettyUtils"
SERVER_INITIALIZER = "org/pytorch/serve/ServerInitializer"
CHANNEL = "io/netty/channel/Channel"
RESPONSE = "io/netty/handler/codec/http/HttpResponse"
FULL_RESPONSE = "io/netty/handler/codec/http/FullHttpResponse"
SEND = "sendHttpResponse"
SEND_DESCRIPTOR = f"(Lio/netty/channel/ChannelHandlerContext;L{RESPONSE};Z)V"
INITIALIZE = "initChannel"
INITIALIZE_DESCRIPTOR = f"(L{CHANNEL};)V"


Edits = dict[str, list[Callable[[ClassFile], None]]]


def write_patched_classes(
    jar: Path, folder: Path, *, drain_file: Path, refuse_file: Path, more: Edits | None = None
) -> list[str]:
    """Write the edited classes below `folder`, a class path entry; returns what could not be edited, for the log."""
    edits: Edits = {
        NETTY_UTILS: [lambda classfile: close_while_draining(classfile, drain_file)],
        MODEL_SERVER: [close_by_fin, outlive_inference],
        SERVER_INITIALIZER: [lambda classfile: refuse_when_told(classfile, refuse_file)],
        **(more or {}),
    }
    problems = []
    with zipfile.ZipFile(jar) as archive:
        for name, changes in edits.items():
            try:
                classfile = read_class(archive.read(f"{name}.class"))
                for change in changes:
                    change(classfile)
            except (UnexpectedClass, KeyError) as error:
                problems.append(f"{name}: {error}")
                continue
            target = folder / f"{name}.class"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(classfile.to_bytes())
    return problems


def close_while_draining(classfile: ClassFile, drain_file: Path) -> None:
    """Wrap the method that every answer goes through.

        send(context, response, keepAlive & !(new File(drainFile).exists() & response instanceof FullHttpResponse))

    There is no branch in it, so the class file's verifier needs no stack map. A streamed answer (one that is not a
    full response) is left alone: closing behind its head would cut its body off.
    """
    renamed = rename(classfile, SEND, SEND_DESCRIPTOR)
    code = b"".join(
        [
            b"\x2a\x2b\x1c",  # aload_0, aload_1, iload_2: context, response, keepAlive
            file_exists(classfile, drain_file),
            b"\x2b\xc1" + index(classfile.add_class(FULL_RESPONSE)),  # aload_1, instanceof
            b"\x7e\x04\x82\x7e",  # iand, iconst_1, ixor (not), iand
            b"\xb8" + index(classfile.add_method_reference(NETTY_UTILS, renamed, SEND_DESCRIPTOR)),
            b"\xb1",  # return
        ]
    )
    add_method(classfile, SEND, SEND_DESCRIPTOR, flags=0x0009, code=code, stack=6, variables=3)  # public static


def refuse_when_told(classfile: ClassFile, refuse_file: Path) -> None:
    """Wrap the method that every accepted connection goes through.

    initChannelAsBefore(connection)
    if (new File(refuseFile).exists()) connection.parent().close()
    """
    renamed = rename(classfile, INITIALIZE, INITIALIZE_DESCRIPTOR)
    parent = classfile.add_method_reference(CHANNEL, "parent", f"()L{CHANNEL};", interface=True)
    close = classfile.add_method_reference(CHANNEL, "close", "()Lio/netty/channel/ChannelFuture;", interface=True)
    closing = b"".join(
        [
            b"\x2b",  # aload_1
            b"\xb9" + index(parent) + b"\x01\x00",  # invokeinterface
            b"\xb9" + index(close) + b"\x01\x00",
            b"\x57",  # pop
        ]
    )
    before = b"".join(
        [
            b"\x2a\x2b",  # aload_0, aload_1
            b"\xb6" + index(classfile.add_method_reference(SERVER_INITIALIZER, renamed, INITIALIZE_DESCRIPTOR)),
            file_exists(classfile, refuse_file),
        ]
    )
    skip = b"\x99" + struct.pack(">h", 3 + len(closing))  # ifeq, to the return
    code = before + skip + closing + b"\xb1"
    # One place to jump to, with the variables that the method began with: a same_frame of the stack map.
    frames = struct.pack(">HB", 1, len(code) - 1)
    add_method(
        classfile, INITIALIZE, INITIALIZE_DESCRIPTOR, flags=0x0001, code=code, stack=3, variables=2, frames=frames
    )


def close_by_fin(classfile: ClassFile) -> None:
    """Turn `childOption(SO_LINGER, 0)` into `childOption(CONNECT_TIMEOUT_MILLIS, 0)`.

    That option is an integer too, every kind of channel knows it, and it means nothing to a connection that was
    accepted.
    """
    linger = text_constant("SO_LINGER")
    if classfile.constants.count(linger) != 1:
        raise UnexpectedClass("SO_LINGER is not named once")
    classfile.constants[classfile.constants.index(linger)] = text_constant("CONNECT_TIMEOUT_MILLIS")


def outlive_inference(classfile: ClassFile) -> None:
    """Turn `channelFutures.get(0).sync()` into `get(1)`: 0 is the inference API's socket, 1 the management API's."""
    method = classfile.method("startAndWait", "()V")
    get_first = b"\x2b\x03\xb9"  # aload_1, iconst_0, invokeinterface
    if method.attributes.count(get_first) != 1:
        raise UnexpectedClass("startAndWait does not wait for the first socket")
    method.attributes = method.attributes.replace(get_first, b"\x2b\x04\xb9")
