"""Rules that both ends of HTTP share: how cells are read, categories matched, tables taken apart, answers compared.

The runtime in an archive, the client, the forms and the server import it, so that each rule is written once. It needs
the standard library alone.
"""
