"""Reads a text from the server-sent events in which a server sends its parts as they are generated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from fastmar_client.errors import ClientError, ServerFailed
from fastmar_client.refusals import REQUEST_ID, to_client_error
from fastmar_client.transport import Reply, header

ANSWER, ERROR = b"answer", b"error"  # events after the parts, which have no name
_INTERNAL = "internal"  # code of an error that is not the record's


class TextParts:
    """The parts of a text, from the bytes of a response. Used in a `with` block around the reading of these bytes.

    At the end of the block, an error of the connection gets the name of the model and the id of the request.

    Args:
        reply: the response, with events.
        model: the name of the requested model.
        request_id: the id that was sent.
    """

    def __init__(self, reply: Reply, model: str, request_id: str | None) -> None:
        self._reply = reply
        self._model = model
        self._request_id = header(reply, REQUEST_ID) or request_id
        self._rest = b""
        self._name = b""
        self._is_complete = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raises `ServerFailed` if the response ended before the text."""
        if isinstance(error, ClientError):
            error.model = error.model or self._model
            error.request_id = error.request_id or self._request_id
        elif error is None and not self._is_complete:
            raise self._failed("the response ended before the text was complete.", "stream_incomplete")

    def __call__(self, chunk: bytes) -> Iterator[str]:
        """The parts in the next bytes.

        Raises:
            ClientError: the server sent an error instead of the rest of the text.
        """
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            field, _, value = line.rstrip(b"\r").partition(b": ")
            if field == b"event":
                self._name = value
            elif field == b"data":
                yield from self._read(value)
                self._name = b""

    def _read(self, data: bytes) -> Iterator[str]:
        try:
            event = json.loads(data)
            if self._name == ERROR:
                is_internal = event["error"]["code"] == _INTERNAL
                raise to_client_error(Reply(500 if is_internal else 400, data), self._model)
            if self._name == ANSWER:
                self._is_complete = True
            else:
                yield str(event["text"])
        except (ValueError, KeyError, TypeError) as error:
            raise self._failed(f"an event can't be read: {data[:200]!r}.", "event_unreadable") from error

    def _failed(self, message: str, code: str) -> ServerFailed:
        fix = "read the logs of the server and of proxies, and send the request again."
        return ServerFailed(message, fix=fix, code=code, model=self._model, request_id=self._request_id)
