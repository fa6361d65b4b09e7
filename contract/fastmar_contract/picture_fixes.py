"""Fixes for pictures that can't be read, which a server and the client's fake server send."""

from __future__ import annotations

BASE64_FIX = "encode all bytes of the file with base64."
EMPTY_FIX = "send the complete file."
FILE_FIX = "send a JPEG, PNG, GIF, BMP, WebP or TIFF file."
COMPLETE_FIX = "send the complete file; check that a viewer opens it."
