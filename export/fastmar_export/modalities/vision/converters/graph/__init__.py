"""Converters of transforms of a batch of pictures: each becomes a layer of the graph, in front of the network."""
