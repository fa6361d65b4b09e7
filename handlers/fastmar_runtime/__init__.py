"""Answers records from a bundle that `fastmar export` wrote. Travels inside every archive."""

__version__ = "0.1.0"
