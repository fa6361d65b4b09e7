"""Answers every request with the same bytes: the load generator's own ceiling on this machine.

python -m benchmarks.servers.constant --port 8080
"""

from __future__ import annotations

import argparse
import asyncio

BODY = b'{"prediction":"on time","probabilities":{"late":0.080418840,"on time":0.919581175}}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Constant(asyncio.Protocol):
    """Takes every chunk for a whole request, which those of the load generator are."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:  # noqa: ARG002
        """Answer."""
        self._transport.write(ANSWER)  # type: ignore[attr-defined]


async def serve(port: int) -> None:
    """Until killed."""
    server = await asyncio.get_running_loop().create_server(Constant, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(serve(parser.parse_args().port))
