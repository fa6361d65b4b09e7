"""Edits of TorchServe's classes, made at start on copies that Java finds before the originals.

TorchServe can't be told to close connections as it answers: it writes `Connection: keep-alive` over whatever a handler
sets, so a client that keeps its connection is cut off in mid-request when the server stops. Nor can it be told to stop
listening. And it closes with SO_LINGER 0, that is with a reset, which may throw away an answer that is still on its
way. And it ends workers with the program `kill`, which small containers don't have: no version can be unloaded there.
None of this is a setting.

- `NettyUtils.sendHttpResponse(context, response, keepAlive)` is wrapped: once the drain file exists, a whole answer
  goes out with keepAlive false, which makes TorchServe write `Connection: close` and close behind the answer.
- `ModelServer` leaves each socket that it listens on with the launcher as well, which closes the port by it when the
  time comes. And it names another socket option where it named SO_LINGER, so connections close by a FIN.

- `OSUtils` names this Python where it named `kill`.

A class that is not laid out as expected is left alone, and the server runs, and stops, as upstream made it.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from fastmar_cli.server.bytecode import (
    add_method,
    call,
    file_exists,
    if_false_skip,
    index,
    rename,
    same_frames,
    text,
    text_constant,
)
from fastmar_cli.server.classfile import ClassFile, UnexpectedClass, read_class

OS_UTILS = "org/pytorch/serve/util/OSUtils"
MODEL_SERVER = "org/pytorch/serve/ModelServer"
NETTY_UTILS = "org/pytorch/serve/util/NettyUtils"
CHANNEL = "io/netty/channel/Channel"
FUTURE = "io/netty/channel/ChannelFuture"
UNIX_CHANNEL = "io/netty/channel/unix/UnixChannel"
UNIX_SOCKET = "io/netty/channel/unix/Socket"
UNIX_ADDRESS = "io/netty/channel/unix/DomainSocketAddress"
DESCRIPTOR = "io/netty/channel/unix/FileDescriptor"
RESPONSE = "io/netty/handler/codec/http/HttpResponse"
FULL_RESPONSE = "io/netty/handler/codec/http/FullHttpResponse"
SEND = "sendHttpResponse"
SEND_DESCRIPTOR = f"(Lio/netty/channel/ChannelHandlerContext;L{RESPONSE};Z)V"
CONNECTOR = "org/pytorch/serve/util/Connector"
GROUP = "io/netty/channel/EventLoopGroup"
INITIALIZE = "initializeServer"
INITIALIZE_DESCRIPTOR = f"(L{CONNECTOR};L{GROUP};L{GROUP};Lorg/pytorch/serve/util/ConnectorType;)L{FUTURE};"
HAND_OVER = "handOver"
HAND_OVER_DESCRIPTOR = f"(L{FUTURE};)L{CHANNEL};"


Edits = dict[str, list[Callable[[ClassFile], None]]]


def write_patched_classes(
    jar: Path, folder: Path, *, drain_file: Path, handover: Path, more: Edits | None = None
) -> list[str]:
    """Write the edited classes below `folder`, a class path entry; returns what could not be edited, for the log."""
    edits: Edits = {
        NETTY_UTILS: [lambda classfile: close_while_draining(classfile, drain_file)],
        MODEL_SERVER: [close_by_fin, lambda classfile: hand_listeners_over(classfile, handover)],
        OS_UTILS: [kill_with_python],
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


def hand_listeners_over(classfile: ClassFile, handover: Path) -> None:
    """Send a copy of each listening socket to the launcher's Unix socket, once it is bound.

        Channel handOver(ChannelFuture future)
            if (future.channel() instanceof UnixChannel)
                socket = Socket.newSocketDomain()
                socket.connect(new DomainSocketAddress(handover))
                socket.sendFd(((UnixChannel) future.channel()).fd().intValue())
                socket.close()
            return future.channel()

    It takes the place of the one `future.channel()` in the method that binds.
    """
    method = classfile.method(INITIALIZE, INITIALIZE_DESCRIPTOR)
    channel = _ask(classfile, FUTURE, "channel", CHANNEL)
    if method.attributes.count(channel) != 1:
        raise UnexpectedClass("initializeServer does not ask for the channel once")
    unix_channel = index(classfile.add_class(UNIX_CHANNEL))
    send = b"".join(
        [
            call(classfile, UNIX_SOCKET, "newSocketDomain", f"()L{UNIX_SOCKET};", static=True),
            b"\x59\x59",  # dup, dup: to connect, to send, to close
            b"\xbb" + index(classfile.add_class(UNIX_ADDRESS)) + b"\x59",  # new, dup
            text(classfile, str(handover)),
            b"\xb7" + index(classfile.add_method_reference(UNIX_ADDRESS, "<init>", "(Ljava/lang/String;)V")),
            call(classfile, UNIX_SOCKET, "connect", "(Ljava/net/SocketAddress;)Z") + b"\x57",  # pop
            b"\x2a" + channel + b"\xc0" + unix_channel,  # aload_0, checkcast
            _ask(classfile, UNIX_CHANNEL, "fd", DESCRIPTOR),
            call(classfile, DESCRIPTOR, "intValue", "()I"),
            call(classfile, UNIX_SOCKET, "sendFd", "(I)I") + b"\x57",  # pop
            call(classfile, UNIX_SOCKET, "close", "()V"),
        ]
    )
    code = b"\x2a" + channel + b"\xc1" + unix_channel + if_false_skip(send)  # aload_0, instanceof
    frames = same_frames([len(code)])
    code += b"\x2a" + channel + b"\xb0"  # aload_0, areturn
    add_method(classfile, HAND_OVER, HAND_OVER_DESCRIPTOR, flags=0x0009, code=code, stack=6, variables=1, frames=frames)
    hand_over = call(classfile, MODEL_SERVER, HAND_OVER, HAND_OVER_DESCRIPTOR, static=True)
    method.attributes = method.attributes.replace(channel, hand_over + b"\x00\x00")  # two nops: as long as before


def close_by_fin(classfile: ClassFile) -> None:
    """Turn `childOption(SO_LINGER, 0)` into `childOption(CONNECT_TIMEOUT_MILLIS, 0)`.

    That option is an integer too, every kind of channel knows it, and it means nothing to a connection that was
    accepted.
    """
    linger = text_constant("SO_LINGER")
    if classfile.constants.count(linger) != 1:
        raise UnexpectedClass("SO_LINGER is not named once")
    classfile.constants[classfile.constants.index(linger)] = text_constant("CONNECT_TIMEOUT_MILLIS")


def kill_with_python(classfile: ClassFile) -> None:
    """Replace the command for ending a process, a format for its number that Java cuts into words at white space."""
    kill = text_constant("kill -9 %s")
    if classfile.constants.count(kill) != 1:
        raise UnexpectedClass("`kill` is not named once")
    if not sys.executable or any(map(str.isspace, sys.executable)):
        raise UnexpectedClass("the path of this Python has white space in it")
    command = f"{sys.executable.replace('%', '%%')} -IS -c __import__('os').kill(%s,9)"
    classfile.constants[classfile.constants.index(kill)] = text_constant(command)


def _ask(classfile: ClassFile, interface: str, name: str, result: str) -> bytes:
    """Code that calls a method of an interface that takes nothing on what lies on the stack."""
    reference = classfile.add_method_reference(interface, name, f"()L{result};", interface=True)
    return b"\xb9" + index(reference) + b"\x01\x00"  # invokeinterface, with one argument: the object
