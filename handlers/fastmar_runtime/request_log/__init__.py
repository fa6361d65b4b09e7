"""The request log: a worker writes sampled records and their answers as lines of JSON; off by default.

`entries` makes the lines, `files` writes them, `logger` connects both to a `Service`, without delaying an answer.
"""
