"""Encodes open files, PIL images and arrays of pixels as the bytes of a picture's file.

PIL and numpy are not imported: their objects are recognised by the names of their classes.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")  # modes of PIL that PNG supports
_OTHER_MODES = ("CMYK", "HSV", "LAB", "La", "PA", "RGBX", "RGBa", "YCbCr")  # fastai reads files of these modes as RGB
_PNG_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # by number of channels
_FILE_FIX = "pass the path of a picture's file, or its bytes"


def is_picture_object(value: object) -> bool:
    """Whether `value` is an open file, a PIL image or a numpy array."""
    return hasattr(value, "read") or _is_image(value) or _is_array(value)


def is_batch(value: object) -> bool:
    """Whether `value` is a numpy array of several pictures."""
    return _is_array(value) and len(value.shape) == 4  # type: ignore[attr-defined]


def to_file(value: Any) -> tuple[bytes, str | None]:
    """The bytes of a picture's file, and its name if it has one.

    An image or an array is encoded as PNG, which is lossless. A file is read from its beginning, like PIL does.

    Raises:
        TypeError: the value can't be encoded so that the model reads the same pixels as fastai.
    """
    if _is_image(value):
        return _encode_image(value), None
    if _is_array(value):
        return _encode_array(value), None
    return _read_file(value)


def _is_image(value: object) -> bool:
    return any(kind.__module__ == "PIL.Image" and kind.__name__ == "Image" for kind in type(value).__mro__)


def _is_array(value: object) -> bool:
    return any(kind.__module__ == "numpy" and kind.__name__ == "ndarray" for kind in type(value).__mro__)


def _read_file(file: Any) -> tuple[bytes, str | None]:
    if isinstance(file, io.TextIOBase):
        raise TypeError("the file is open in text mode. Fix: open(path, 'rb').")
    if hasattr(file, "seek") and (not hasattr(file, "seekable") or file.seekable()):
        file.seek(0)
    data = file.read()
    if not isinstance(data, bytes | bytearray):
        raise TypeError(f"file.read() returned {type(data).__name__}, not bytes. Fix: open(path, 'rb').")
    name = getattr(file, "name", None)
    return bytes(data), Path(name).name if isinstance(name, str | os.PathLike) else None


def _encode_image(image: Any) -> bytes:
    if image.mode in _OTHER_MODES:
        image = image.convert("RGB")
    if image.mode not in _PNG_MODES:
        raise TypeError(f"the image has the mode {image.mode!r}, which PNG can't store. Fix: image.convert('RGB').")
    file = io.BytesIO()
    # Keep the EXIF orientation, as in the image's file: the model decides whether to apply it.
    image.save(file, "PNG", exif=image.getexif(), compress_level=1)
    return file.getvalue()


def _encode_array(array: Any) -> bytes:
    shape = tuple(array.shape)
    if str(array.dtype) != "uint8":
        raise TypeError(
            f"the array has the dtype {array.dtype}; a picture must be uint8. Fix: pass pixels from 0 to 255, such as "
            "(array * 255).astype('uint8') for values from 0 to 1."
        )
    channels = 1 if len(shape) == 2 else shape[-1]
    if len(shape) not in (2, 3) or (len(shape) == 3 and channels not in (3, 4)) or 0 in shape:
        channels_first = len(shape) == 3 and shape[0] in (1, 3, 4)
        fix = "array.transpose(1, 2, 0), which moves the channels last" if channels_first else _FILE_FIX
        raise TypeError(
            f"the array has the shape {shape}; a picture must be (height, width), (height, width, 3) or "
            f"(height, width, 4). Fix: {fix}."
        )
    return png(shape[1], shape[0], _PNG_COLOUR_TYPES[channels], array.tobytes())


def png(width: int, height: int, colour_type: int, pixels: bytes) -> bytes:
    """A PNG with 8 bits per channel; `colour_type` is PNG's: 0 for grey, 2 for RGB, 6 for RGBA."""
    line = len(pixels) // height
    rows = b"".join(b"\0" + pixels[place : place + line] for place in range(0, len(pixels), line))
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows, 1)),
        (b"IEND", b""),
    ]
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
