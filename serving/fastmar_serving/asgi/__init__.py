"""The ASGI engine: worker processes that share a port, and the launcher that starts, monitors and stops them."""
