"""What TorchServe is made to answer besides its own paths, and whom it lets in: edits of three of its classes.

TorchServe's `/ping` says Healthy while models are still loading, asks for a key, and can't be given another path. Its
keys are made anew at each start, so two replicas never share one.

- `TokenAuthorizationHandler.handleRequest`, the first that sees a request, is wrapped. It answers the paths of health
  checks itself: 200 while the ready file exists, 503 otherwise, and no key asked. And it lets other paths mean
  `/predictions/NAME`, for platforms that name the path.
- `InferenceRequestHandler.handleRequest`, which sees a request that had the key, is wrapped: `/v1/models` lists models.
- `TokenAuthorization.checkTokenAuthorization` is wrapped: the inference API's key is the one in Java's environment.

Which paths those are, and what is answered, lies in files: one for each path, named by the path's SHA-256, in a folder
for each kind. So a path that is asked for never is a part of a file's name, no text is too long for a class, and paths
may come while the server runs.
"""

from __future__ import annotations

import hashlib
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
DIGEST = "java/security/MessageDigest"
HEX = "java/util/HexFormat"
HANDLE = "handleRequest"
HANDLE_DESCRIPTOR = f"(L{CONTEXT};Lio/netty/handler/codec/http/FullHttpRequest;L{DECODER};[Ljava/lang/String;)V"
CHECK = "checkTokenAuthorization"
CHECK_DESCRIPTOR = f"(Ljava/lang/String;L{TOKEN_TYPE};)Z"
STRING = "java/lang/String"
EQUALS = ("java/lang/Object", "equals", "(Ljava/lang/Object;)Z")

LIVE, ALIVE = "/v2/health/live", json.dumps({"live": True})
HEALTHY = json.dumps({"status": "Healthy"})
NO_MODELS = json.dumps({"models": [], "details": []})
NOT_READY = json.dumps({"status": "Not ready", "message": "a model is still loading, or the server is stopping"})
SECRET = "FASTMAR_INFERENCE_SECRET"  # noqa: S105 - a variable of Java's environment, kept from workers by its name


HEALTH, PREDICTIONS, DOCUMENTS = "health", "predictions", "documents"  # folders, one for each kind of path


@dataclass(frozen=True)
class Routes:
    """Paths of our own on the inference API.

    Attributes:
        health: path -> JSON text that is answered with 200 while the server can answer; 503 otherwise.
        predictions: path -> path that it means, such as /predictions/NAME.
        documents: path -> JSON text that is answered to whoever has the key.
    """

    health: dict[str, str] = field(default_factory=dict)
    predictions: dict[str, str] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Add them to what is answered out of `folder`, each whole or not at all.

        Raises:
            OSError: a file can't be written.
        """
        folder.mkdir(exist_ok=True)
        for kind, texts in {HEALTH: self.health, PREDICTIONS: self.predictions, DOCUMENTS: self.documents}.items():
            (folder / kind).mkdir(exist_ok=True)
            for path, body in texts.items():
                file = folder / kind / hashlib.sha256(path.encode()).hexdigest()
                draft = file.with_suffix(".new")
                draft.write_text(body, "utf-8")
                draft.replace(file)


def edits(folder: Path, ready_file: Path, *, fixed_key: bool) -> Edits:
    """The edits by class, for `write_patched_classes`: what is answered lies in `folder`."""
    by_class: Edits = {
        HANDLER: [lambda classfile: answer_routes(classfile, folder, ready_file)],
        BEHIND_THE_KEY: [lambda classfile: answer_documents(classfile, folder)],
    }
    if fixed_key:
        by_class[AUTHORIZATION] = [ask_for_fixed_key]
    return by_class


def standard_routes(models: dict[str, list[str]]) -> Routes:
    """What TorchServe and the Open Inference Protocol, versions 1 and 2, ask of models, given by name with versions."""
    health = {"/ping": HEALTHY, "/v2/health/ready": json.dumps({"ready": True})}
    predictions = {}
    for name, versions in models.items():
        health[f"/v1/models/{name}"] = health[f"/v2/models/{name}/ready"] = json.dumps({"name": name, "ready": True})
        predictions[f"/v1/models/{name}:explain"] = "/explanations"  # nobody explains: 404
        for version in versions:
            predictions[f"/v2/models/{name}/versions/{version}/infer"] = f"/predictions/{name}/{version}"
    return Routes(health, predictions)


def answer_routes(classfile: ClassFile, folder: Path, ready_file: Path) -> None:
    """Wrap the method that sees each request first.

    if (file(HEALTH).isFile()) {
        if (ready.exists()) { sendJson(context, Files.readString(file(HEALTH)), OK); return }
        sendJson(context, NOT_READY, SERVICE_UNAVAILABLE); return
    }
    if (LIVE.equals(decoder.path())) { sendJson(context, ALIVE, OK); return }
    if (file(PREDICTIONS).isFile()) segments = Files.readString(file(PREDICTIONS)).split("/")
    handleRequestAsBefore(context, request, decoder, segments)
    """
    renamed = rename(classfile, HANDLE, HANDLE_DESCRIPTOR)
    health, predictions = _file(classfile, folder / HEALTH), _file(classfile, folder / PREDICTIONS)
    ready = file_exists(classfile, ready_file) + if_false_skip(_send(classfile, _text_of(classfile, health), "OK"))
    unready = _send(classfile, text(classfile, NOT_READY), "SERVICE_UNAVAILABLE")
    split = text(classfile, "/") + call(classfile, STRING, "split", "(Ljava/lang/String;)[Ljava/lang/String;")
    code = _is_file(classfile, health)
    places = [len(code) + 3 + len(ready)]  # 3: the branch around what follows
    code += if_false_skip(ready + unready)
    places.append(len(code))
    code += text(classfile, LIVE) + _path(classfile) + call(classfile, *EQUALS)
    code += if_false_skip(_send(classfile, text(classfile, ALIVE), "OK"))
    places.append(len(code))
    code += _is_file(classfile, predictions)
    code += if_false_skip(_text_of(classfile, predictions) + split + b"\x3a\x04")  # astore segments
    places.append(len(code))
    _replace(classfile, HANDLER, renamed, code, places)


def answer_documents(classfile: ClassFile, folder: Path) -> None:
    """Wrap the method that answers requests of the inference API.

    if (file(DOCUMENTS).isFile()) { sendJson(context, Files.readString(file(DOCUMENTS)), OK); return }
    handleRequestAsBefore(context, request, decoder, segments)
    """
    renamed = rename(classfile, HANDLE, HANDLE_DESCRIPTOR)
    document = _file(classfile, folder / DOCUMENTS)
    code = _is_file(classfile, document) + if_false_skip(_send(classfile, _text_of(classfile, document), "OK"))
    _replace(classfile, BEHIND_THE_KEY, renamed, code, [len(code)])


def ask_for_fixed_key(classfile: ClassFile) -> None:
    """Wrap the method that compares a key with TorchServe's.

    isInference = type.equals(TokenType.INFERENCE)
    checkAsBefore(key, type) & !isInference | isInference & MessageDigest.isEqual(key.getBytes(), secret.getBytes())
    """
    renamed = rename(classfile, CHECK, CHECK_DESCRIPTOR)
    is_inference = b"\x2b" + bytecode.field(classfile, TOKEN_TYPE, "INFERENCE", f"L{TOKEN_TYPE};")
    is_inference += call(classfile, *EQUALS)
    get_bytes = call(classfile, STRING, "getBytes", "()[B")
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


def _path(classfile: ClassFile) -> bytes:
    """Code for `decoder.path()`: the path that is asked for, decoded."""
    return b"\x2d" + call(classfile, DECODER, "path", "()Ljava/lang/String;")


def _file(classfile: ClassFile, folder: Path) -> bytes:
    """Code for the file of the path that is asked for:

    new File(folder, HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(path.getBytes("UTF-8"))))
    """
    new_file = classfile.add_method_reference("java/io/File", "<init>", "(Ljava/lang/String;Ljava/lang/String;)V")
    return b"".join(
        [
            b"\xbb" + index(classfile.add_class("java/io/File")) + b"\x59",  # new, dup
            text(classfile, str(folder)),
            call(classfile, HEX, "of", f"()L{HEX};", static=True),
            text(classfile, "SHA-256"),
            call(classfile, DIGEST, "getInstance", f"(Ljava/lang/String;)L{DIGEST};", static=True),
            _path(classfile) + text(classfile, "UTF-8"),
            call(classfile, STRING, "getBytes", "(Ljava/lang/String;)[B"),
            call(classfile, DIGEST, "digest", "([B)[B"),
            call(classfile, HEX, "formatHex", "([B)Ljava/lang/String;"),
            b"\xb7" + index(new_file),  # invokespecial
        ]
    )


def _is_file(classfile: ClassFile, file: bytes) -> bytes:
    """Whether the file that the code `file` puts on the stack is there."""
    return file + call(classfile, "java/io/File", "isFile", "()Z")


def _text_of(classfile: ClassFile, file: bytes) -> bytes:
    """Code for `Files.readString(file.toPath())`, which reads UTF-8."""
    read = call(classfile, "java/nio/file/Files", "readString", "(Ljava/nio/file/Path;)Ljava/lang/String;", static=True)
    return file + call(classfile, "java/io/File", "toPath", "()Ljava/nio/file/Path;") + read


def _send(classfile: ClassFile, body: bytes, status: str) -> bytes:
    """Answer with the text that the code `body` puts on the stack, and return."""
    send = call(classfile, NETTY_UTILS, "sendJsonResponse", f"(L{CONTEXT};Ljava/lang/String;L{STATUS};)V", static=True)
    status_field = bytecode.field(classfile, STATUS, status, f"L{STATUS};")
    return b"\x2b" + body + status_field + send + b"\xb1"


def _replace(classfile: ClassFile, owner: str, renamed: str, code: bytes, places: list[int]) -> None:
    """Put a method that does `code` and then what it did before in the place of the one that was renamed.

    `places` are those that the code's branches lead to.
    """
    code += b"\x2a\x2b\x2c\x2d\x19\x04"  # this, context, request, decoder, segments
    code += call(classfile, owner, renamed, HANDLE_DESCRIPTOR) + b"\xb1"
    frames = same_frames(places)
    add_method(classfile, HANDLE, HANDLE_DESCRIPTOR, flags=0x0001, code=code, stack=8, variables=5, frames=frames)
