"""fastmar in a notebook: `fastmar.export(learn, "model_store", name="flights")`.

The command `fastmar` does everything else; `fastmar_client` asks a server.
"""

from fastmar_export.notebook import Summary, export

__all__ = ["Summary", "export"]
