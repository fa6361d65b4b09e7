"""Load generator: clients that send requests without pause and count the outcomes."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

BODY = b'{"a": 1}'


@dataclass
class Load:
    """Streams of requests to one server; a stream ends when a connection is refused.

    `outcomes` counts statuses, "refused", and other exceptions by their text.
    """

    port: int
    path: str
    body: bytes = BODY
    host: str = "127.0.0.1"
    outcomes: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)
    _end: float = field(default_factory=lambda: time.monotonic() + 180)

    def start(self, *, keep_alive: int, one_each: int) -> None:
        for kept in [True] * keep_alive + [False] * one_each:
            thread = threading.Thread(target=self._stream, args=(kept,))
            self._threads.append(thread)
            thread.start()

    def wait_for_answers(self, number: int) -> None:
        while self.outcomes["200"] < number:
            assert time.monotonic() < self._end, self.outcomes
            time.sleep(0.01)

    def wait(self) -> Counter[str]:
        for thread in self._threads:
            thread.join()
        return self.outcomes

    def _stream(self, keep_alive: bool) -> None:
        connection = None
        while time.monotonic() < self._end:
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
                    connection.connect()
                connection.request("POST", self.path, self.body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
            except ConnectionRefusedError:
                self._count("refused")
                return
            except (OSError, http.client.HTTPException) as error:
                self._count(repr(error))
                connection = None
                continue
            self._count(str(answer.status))
            if answer.will_close or not keep_alive:
                connection.close()
                connection = None

    def _count(self, outcome: str) -> None:
        with self._lock:
            self.outcomes[outcome] += 1
