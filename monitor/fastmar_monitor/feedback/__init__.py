"""Measures the accuracy of the answers in a request log, with the truth that became known later."""
