"""Compares the data of a model's requests with its training data."""
