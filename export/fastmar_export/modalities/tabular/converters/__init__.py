"""Converters of the procs of a table, one file each, named like its step."""

from fastmar_export.converters import import_all

import_all(__name__, __path__)
