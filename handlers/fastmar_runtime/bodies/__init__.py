"""Request bodies to records, for every engine and path.

`fastmar_runtime.payload` is the entry. `media_types` names the format of a body, `text` decodes it, and one module
reads each format: `json_text`, `json_shapes` (shapes of other tools), `multipart` and `forms`, `tensors` (protocol v2).
"""
