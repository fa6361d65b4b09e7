"""Servers that a cloud runs."""
