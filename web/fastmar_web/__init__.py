"""Web app with a form for each model, made from its schema: Flask for the pages, fastmar_client for the server."""

from fastmar_web.app import create_app
from fastmar_web.settings import Settings

__all__ = ["Settings", "create_app"]
