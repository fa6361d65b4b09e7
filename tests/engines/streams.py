"""Concurrent streams of requests to one model, which record all answers in order."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

from tests.engines import LONG

COUNT = 8
PAUSE = 0.0 if LONG else 0.02  # seconds between the requests of a stream: other tests need the processors, too


class Streams:
    """Streams that keep sending the same record, half of them with a new connection for each request.

    Attributes:
        answers: the predictions of each stream, in order.
        failures: exceptions, and responses with another status than 200.
    """

    def __init__(self, url: str, path: str, record: Any, key: str | None = None, *, enough: int = 20) -> None:
        """Create the streams; `running` starts them.

        Args:
            url: URL of the server.
            path: path of the model.
            record: the record to send.
            key: key of the server.
            enough: number of answers of each stream that `wait_for_more` waits for.
        """
        self._enough = enough
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._path = path
        self._body = json.dumps(record)
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._stop = threading.Event()
        self.answers: list[list[Any]] = [[] for _ in range(COUNT)]
        self.failures: list[Any] = []
        self._threads = [
            threading.Thread(target=self._send, args=(each, number % 2 == 0))
            for number, each in enumerate(self.answers)
        ]

    @contextmanager
    def running(self) -> Iterator[Streams]:
        """Send requests while the block runs."""
        for thread in self._threads:
            thread.start()
        try:
            self.wait_for_more()
            yield self
            self.wait_for_more()
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def wait_for_more(self) -> None:
        """Wait until each stream has `enough` more answers, or one has failed."""
        before = [len(each) for each in self.answers]
        while not self.failures and any(
            len(now) < b + self._enough for now, b in zip(self.answers, before, strict=True)
        ):
            if self._stop.wait(0.01):
                return

    def changes(self) -> list[list[Any]]:
        """The predictions of each stream without consecutive duplicates."""
        return [[answer for answer, _ in groupby(each)] for each in self.answers]

    def _send(self, answers: list[Any], is_kept: bool) -> None:
        connection = None
        while not self._stop.is_set():
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(*self._address, timeout=30)
                connection.request("POST", self._path, self._body, self._headers)
                reply = connection.getresponse()
                body = reply.read()
                if reply.status == 200:
                    answers.append(json.loads(body)["prediction"])
                else:
                    self.failures.append((reply.status, body))
            except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
                self.failures.append(repr(error))
                connection = None
                continue
            if not is_kept or reply.will_close:
                connection.close()
                connection = None
            self._stop.wait(PAUSE)
        if connection:
            connection.close()
