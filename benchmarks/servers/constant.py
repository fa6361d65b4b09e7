"""Granian with a constant response: the floor, and the maximum of the load generator.

granian --interface rsgi benchmarks.servers.constant:app
"""

BODY = b'{"prediction":"on time","probabilities":{"late":0.080418840,"on time":0.919581175}}'
HEADERS = [("content-type", "application/json")]


class Constant:
    """Reads the request and sends the same response."""

    async def __rsgi__(self, scope, protocol):
        """Answer a request."""
        await protocol()
        protocol.response_bytes(200, HEADERS, BODY)


app = Constant()
