"""Answers every request with the same bytes, to measure the maximum of the load generator.

python -m benchmarks.servers.constant --port 8080
"""

from __future__ import annotations

import argparse
import asyncio

BODY = b'{"prediction":"on time","probabilities":{"late":0.080418840,"on time":0.919581175}}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Constant(asyncio.Protocol):
    """Answers a request when it is complete; one at a time, as the load generator sends them."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start a connection."""
        self._transport = transport
        self._missing = 0  # missing bytes of the current request

    def data_received(self, data: bytes) -> None:
        """Answer if the request is complete."""
        if not self._missing:  # the head is short and arrives in one piece
            head, _, body = data.partition(b"\r\n\r\n")
            self._missing = int(head.rpartition(b"Content-Length: ")[2].split(b"\r\n")[0]) - len(body)
        else:
            self._missing -= len(data)
        if not self._missing:
            self._transport.write(ANSWER)  # type: ignore[attr-defined]


async def serve(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Constant, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(serve(parser.parse_args().port))
