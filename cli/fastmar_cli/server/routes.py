"""What TorchServe is made to answer besides its own paths, and whom it lets in: edits of three of its classes.

TorchServe's `/ping` says Healthy while models are still loading, asks for a key, and can't be given another path. Its
keys are made anew at each start, so two replicas never share one.

- `TokenAuthorizationHandler.handleRequest`, the first that sees a request, is wrapped. It answers the paths of health
  checks itself: 200 while the ready file exists, 503 otherwise, and no key asked. And it lets other paths mean
  `/predictions/NAME`, for platforms that name the path.
- `InferenceRequestHandler.handleRequest`, which sees a request that had the key, is wrapped: `/v1/models` lists models.
- `TokenAuthorization.checkTokenAuthorization` is wrapped: the inference API's key is the one in Java's environment.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from fastmar_cli.server import bytecode
from fastmar_cli.server.bytecode import (
    add_method,
    call,
    file_exists,
    if_false_skip,
    index,
    new_file,
    rename,
    same_frames,
    text,
)
from fastmar_cli.server.classfile import ClassFile
from fastmar_cli.server.patches import Edits

HANDLER = "org/pytorch/serve/http/TokenAuthorizationHandler"
BEHIND_THE_KEY = "org/pytorch/serve/http/api/rest/InferenceRequestHandler"
LIST = "/v1/models"
AUTHORIZATION = "org/pytorch/serve/util/TokenAuthorization"
TOKEN_TYPE = "org/pytorch/serve/util/TokenAuthorization$TokenType"  # noqa: S105 - a class
NETTY_UTILS = "org/pytorch/serve/util/NettyUtils"
DECODER = "io/netty/handler/codec/http/QueryStringDecoder"
STATUS = "io/netty/handler/codec/http/HttpResponseStatus"
CONTEXT = "io/netty/channel/ChannelHandlerContext"
HANDLE = "handleRequest"
HANDLE_DESCRIPTOR = f"(L{CONTEXT};Lio/netty/handler/codec/http/FullHttpRequest;L{DECODER};[Ljava/lang/String;)V"
CHECK = "checkTokenAuthorization"
CHECK_DESCRIPTOR = f"(Ljava/lang/String;L{TOKEN_TYPE};)Z"
EQUALS = ("java/lang/Object", "equals", "(Ljava/lang/Object;)Z")

LIVE, ALIVE = "/v2/health/live", json.dumps({"live": True})
HEALTHY = json.dumps({"status": "Healthy"})
NOT_READY = json.dumps({"status": "Not ready", "message": "a model is still loading, or the server is stopping"})
SECRET = "FASTMAR_INFERENCE_SECRET"  # noqa: S105 - a variable of Java's environment, kept from workers by its name


@dataclass(frozen=True)
class Routes:
    """Paths of our own on the inference API.

    Attributes:
        ready_file: exists while the server can answer.
        models_file: JSON text that lists what is served.
        health: path -> JSON text that is answered with 200 while it can; 503 otherwise.
        predictions: path -> segments of the path that it means, such as ["", "predictions", NAME].
        documents: path -> JSON text that is answered to whoever has the key.
    """

    ready_file: Path
    models_file: Path
    health: dict[str, str] = field(default_factory=dict)
    predictions: dict[str, list[str]] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)


def edits(routes: Routes, *, fixed_key: bool) -> Edits:
    """The edits by class, for `write_patched_classes`."""
    by_class: Edits = {
        HANDLER: [lambda classfile: answer_routes(classfile, routes)],
        BEHIND_THE_KEY: [lambda classfile: answer_documents(classfile, routes)],
    }
    if fixed_key:
        by_class[AUTHORIZATION] = [ask_for_fixed_key]
    return by_class


def standard_health(models: list[str]) -> dict[str, str]:
    """Health paths of TorchServe and of the Open Inference Protocol, versions 1 and 2."""
    health = {"/ping": HEALTHY, "/v2/health/ready": json.dumps({"ready": True})}
    for name in models:
        health[f"/v1/models/{name}"] = health[f"/v2/models/{name}/ready"] = json.dumps({"name": name, "ready": True})
    return health


def answer_routes(classfile: ClassFile, routes: Routes) -> None:
    """Wrap the method that sees each request first.

    for each health path:      if (path.equals(decoder.path())) { sendJson(...); return }
    if (LIVE.equals(decoder.path())) { sendJson(...); return }
    for each predictions path: if (path.equals(decoder.path())) segments = {"", "predictions", name}
    handleRequestAsBefore(context, request, decoder, segments)
    """
    renamed = rename(classfile, HANDLE, HANDLE_DESCRIPTOR)
    code, places = b"", []
    for path, body in routes.health.items():
        ready = if_false_skip(_send(classfile, text(classfile, body), "OK"))
        unready = _send(classfile, text(classfile, NOT_READY), "SERVICE_UNAVAILABLE")
        exists = file_exists(classfile, routes.ready_file)
        asked = _asks_for(classfile, path)
        places.append(len(code) + len(asked) + 3 + len(exists) + len(ready))
        code += asked + if_false_skip(exists + ready + unready)
        places.append(len(code))
    code += _asks_for(classfile, LIVE) + if_false_skip(_send(classfile, text(classfile, ALIVE), "OK"))
    places.append(len(code))
    for path, segments in routes.predictions.items():
        code += _asks_for(classfile, path) + if_false_skip(_segments(classfile, segments))
        places.append(len(code))
    code += _as_before(classfile, HANDLER, renamed)
    frames = same_frames(places)
    add_method(classfile, HANDLE, HANDLE_DESCRIPTOR, flags=0x0001, code=code, stack=6, variables=5, frames=frames)


def answer_documents(classfile: ClassFile, routes: Routes) -> None:
    """Wrap the method that answers requests of the inference API.

    if ("/v1/models".equals(decoder.path())) { sendJson(context, new String(Files.readAllBytes(file)), OK); return }
    for each document: if (path.equals(decoder.path())) { sendJson(...); return }
    handleRequestAsBefore(context, request, decoder, segments)
    """
    renamed = rename(classfile, HANDLE, HANDLE_DESCRIPTOR)
    bodies = {LIST: _text_of_file(classfile, routes.models_file)}
    bodies |= {path: text(classfile, body) for path, body in routes.documents.items()}
    code, places = b"", []
    for path, body in bodies.items():
        code += _asks_for(classfile, path) + if_false_skip(_send(classfile, body, "OK"))
        places.append(len(code))
    code += _as_before(classfile, BEHIND_THE_KEY, renamed)
    add_method(
        classfile,
        HANDLE,
        HANDLE_DESCRIPTOR,
        flags=0x0001,
        code=code,
        stack=6,
        variables=5,
        frames=same_frames(places),
    )


def ask_for_fixed_key(classfile: ClassFile) -> None:
    """Wrap the method that compares a key with TorchServe's.

    isInference = type.equals(TokenType.INFERENCE)
    checkAsBefore(key, type) & !isInference | isInference & MessageDigest.isEqual(key.getBytes(), secret.getBytes())
    """
    renamed = rename(classfile, CHECK, CHECK_DESCRIPTOR)
    is_inference = b"\x2b" + bytecode.field(classfile, TOKEN_TYPE, "INFERENCE", f"L{TOKEN_TYPE};")
    is_inference += call(classfile, *EQUALS)
    get_bytes = call(classfile, "java/lang/String", "getBytes", "()[B")
    code = b"".join(
        [
            b"\x2a\x2b",  # key, type
            call(classfile, AUTHORIZATION, renamed, CHECK_DESCRIPTOR, static=True),
            is_inference,
            b"\x04\x82\x7e",  # iconst_1, ixor (not), iand
            is_inference,
            b"\x2a" + get_bytes,
            text(classfile, SECRET),
            call(classfile, "java/lang/System", "getenv", "(Ljava/lang/String;)Ljava/lang/String;", static=True),
            get_bytes,
            call(classfile, "java/security/MessageDigest", "isEqual", "([B[B)Z", static=True),
            b"\x7e\x80\xac",  # iand, ior, ireturn
        ]
    )
    add_method(classfile, CHECK, CHECK_DESCRIPTOR, flags=0x0009, code=code, stack=4, variables=2)  # public static


def _asks_for(classfile: ClassFile, path: str) -> bytes:
    """Whether the request is for a path."""
    decoded = b"\x2d" + call(classfile, DECODER, "path", "()Ljava/lang/String;")
    return text(classfile, path) + decoded + call(classfile, *EQUALS)


def _send(classfile: ClassFile, body: bytes, status: str) -> bytes:
    """Answer with the text that the code `body` puts on the stack, and return."""
    send = call(classfile, NETTY_UTILS, "sendJsonResponse", f"(L{CONTEXT};Ljava/lang/String;L{STATUS};)V", static=True)
    status_field = bytecode.field(classfile, STATUS, status, f"L{STATUS};")
    return b"\x2b" + body + status_field + send + b"\xb1"


def _as_before(classfile: ClassFile, owner: str, renamed: str) -> bytes:
    """Call the method that was wrapped, and return."""
    arguments = b"\x2a\x2b\x2c\x2d\x19\x04"  # this, context, request, decoder, segments
    return arguments + call(classfile, owner, renamed, HANDLE_DESCRIPTOR) + b"\xb1"


def _text_of_file(classfile: ClassFile, file: Path) -> bytes:
    """Code for `new String(Files.readAllBytes(new File(file).toPath()))`."""
    return b"".join(
        [
            b"\xbb" + index(classfile.add_class("java/lang/String")) + b"\x59",  # new, dup
            new_file(classfile, file),
            call(classfile, "java/io/File", "toPath", "()Ljava/nio/file/Path;"),
            call(classfile, "java/nio/file/Files", "readAllBytes", "(Ljava/nio/file/Path;)[B", static=True),
            b"\xb7" + index(classfile.add_method_reference("java/lang/String", "<init>", "([B)V")),  # invokespecial
        ]
    )


def _segments(classfile: ClassFile, segments: list[str]) -> bytes:
    """Code that gives the variable `segments` a new array, of at most five."""
    code = bytes([0x03 + len(segments)]) + b"\xbd" + index(classfile.add_class("java/lang/String"))  # iconst, anewarray
    for place, part in enumerate(segments):
        code += b"\x59" + bytes([0x03 + place]) + text(classfile, part) + b"\x53"  # dup, iconst, ldc_w, aastore
    return code + b"\x3a\x04"  # astore segments
