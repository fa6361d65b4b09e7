"""Converters of batch transforms of pictures, which become layers of the graph before the network."""
