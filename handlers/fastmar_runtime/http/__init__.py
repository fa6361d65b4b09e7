"""HTTP around the models of a server, for engines without a front of their own: paths, keys, documents, refusals."""
