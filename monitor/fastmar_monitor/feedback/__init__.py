"""Measures how well the answers of a request log were, by the truth that became known later."""
