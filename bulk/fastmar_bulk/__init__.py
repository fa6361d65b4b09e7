"""Scores tables in this process, Arrow columns in, Arrow columns out; tables of pictures and texts, too.

The answers are those of `fastmar_runtime`, which reads record by record. It is not part of archives, because workers
receive records.
"""
