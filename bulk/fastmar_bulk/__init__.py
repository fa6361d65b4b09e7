"""Scores tables column by column, in this process: Arrow columns in, Arrow columns out.

The answers are those of `fastmar_runtime`, which reads record by record. It is not part of archives, because workers
receive records.
"""
