"""Adapters for servers. All code that depends on a server is in its module."""
