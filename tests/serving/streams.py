"""Streams of requests for one model, each of which notes every answer that it gets, in order."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

COUNT = 8


class Streams:
    """Asks for the same record without a pause, over connections that are kept open or new for each request.

    Attributes:
        answers: of each stream, what was predicted, in order.
        failures: whatever else came: statuses that are not 200, and exceptions.
    """

    def __init__(self, url: str, path: str, record: Any, key: str | None = None, *, enough: int = 20) -> None:
        """Nothing is asked yet.

        Args:
            url: of the server.
            path: of the model.
            record: to ask for.
            key: that the server wants.
            enough: answers of each stream before and behind whatever happens.
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
            threading.Thread(target=self._ask, args=(each, number % 2 == 0)) for number, each in enumerate(self.answers)
        ]

    @contextmanager
    def running(self) -> Iterator[Streams]:
        """Ask as long as this lasts."""
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
        """Return when each stream has got enough more answers, or when one has failed."""
        before = [len(each) for each in self.answers]
        while not self.failures and any(
            len(now) < b + self._enough for now, b in zip(self.answers, before, strict=True)
        ):
            if self._stop.wait(0.01):
                return

    def turns(self) -> list[list[Any]]:
        """Of each stream, what was predicted, without the repetitions."""
        return [[answer for answer, _ in groupby(each)] for each in self.answers]

    def _ask(self, answers: list[Any], is_kept: bool) -> None:
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
        if connection:
            connection.close()
