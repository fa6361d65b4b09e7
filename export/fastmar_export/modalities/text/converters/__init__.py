"""Converters of transforms of texts. Each has a file with the name of its step."""

from fastmar_export.converters import import_all

import_all(__name__, __path__)
