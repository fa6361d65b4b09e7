"""A handler that returns the bodies of requests: the floor of TorchServe."""


class EchoHandler:
    """Answers each request of a batch with its body."""

    def initialize(self, context):
        """There is nothing to load."""

    def handle(self, data, context):
        """Return the bodies."""
        for index in range(len(data)):
            context.set_response_content_type(index, "application/json")
        return [bytes(row["body"]) for row in data]
