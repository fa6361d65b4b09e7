"""Scores tables of rows, pictures or texts by column. Input and output are Arrow columns.

The answers equal those of `fastmar_runtime`, which scores record by record. This package is not part of archives,
because workers receive records.
"""
