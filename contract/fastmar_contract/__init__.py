"""Rules that client and server share: reading cells, matching categories, parsing CSV, comparing answers.

The runtime in an archive, the client, the forms and the server import this package, so that each rule is written once.
It depends only on the standard library.
"""
