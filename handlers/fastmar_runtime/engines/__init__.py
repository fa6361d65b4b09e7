"""Servers that run a model. Each module is the only one that knows its server."""
