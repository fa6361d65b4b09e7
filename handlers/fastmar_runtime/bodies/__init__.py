"""Parsers of request bodies, one module per format, for all engines and paths.

The formats are `json_text`, `json_shapes` (JSON of other tools), `multipart` and `forms`, and `tensors` (protocol v2).
`fastmar_runtime.payload` selects the parser of a body.
"""
