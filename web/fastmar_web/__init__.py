"""Forms made from a model's schema, in a browser: pages of Flask, answers through fastmar_client."""

from fastmar_web.app import create_app
from fastmar_web.settings import Settings

__all__ = ["Settings", "create_app"]
