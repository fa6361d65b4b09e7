"""The encoding of a table: chosen in the form, declared with the file, or UTF-8."""

from __future__ import annotations

import codecs

from fastmar_contract.csv_rows import UTF8
from fastmar_web.errors import RequestRefused

# Choices in the form. Excel's "Save as CSV" writes the Windows encodings.
CHOICES = {
    "": "UTF-8 or UTF-16 (Unicode)",
    "windows-1252": "Western European (Windows-1252)",
    "iso-8859-1": "Western European (ISO 8859-1)",
    "windows-1250": "Central European (Windows-1250)",
    "windows-1251": "Cyrillic (Windows-1251)",
    "gb18030": "Chinese (GB 18030)",
    "shift_jis": "Japanese (Shift JIS)",
}
_NOT_CHARSETS = frozenset(["idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "mbcs", "oem"])


def encoding_of(chosen: str, declared: str) -> str:
    """Python's name of the encoding: `chosen` in the form, else `declared` by the file's Content-Type, else UTF-8.

    Raises:
        RequestRefused: Python knows no such encoding.
    """
    name = (chosen or declared).strip()[:40]
    if not name:
        return UTF8
    try:
        found = codecs.lookup(name).name
        if found in _NOT_CHARSETS:
            raise LookupError
        b"a\0a\0".decode(found)  # fails for codecs from bytes to bytes, such as zip
    except (LookupError, ValueError) as error:
        raise RequestRefused(
            f"The encoding “{name}” is unknown.",
            fix="choose one in the form, or save the file as UTF-8.",
            code="unknown_charset",
            title="Unknown encoding",
        ) from error
    return UTF8 if found == "utf-8" else found
