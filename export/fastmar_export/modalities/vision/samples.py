"""Sample pictures: small copies of a few reference pictures, which forms offer to try."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from fastmar_contract.errors import RecordError
from fastmar_contract.files import is_picture
from fastmar_export.bundle import Bundle
from fastmar_export.errors import ExportError
from fastmar_export.options import Options
from fastmar_runtime.pictures import Picture
from fastmar_runtime.steps.pil_image import PILImage, from_state

SIZE = 160  # pixels of the longer side
MAX_SAMPLES = 24
_QUALITY = 85


def check_samples(options: Options) -> None:
    """Check the number of samples, and that there are reference pictures.

    Raises:
        ExportError: one of them is invalid.
    """
    count = options.with_samples
    if count is None:
        return
    if not 1 <= count <= MAX_SAMPLES:
        raise ExportError(
            f"--with-samples is {count}.", fix=f"use a number from 1 to {MAX_SAMPLES}.", code="invalid_sample_count"
        )
    if options.reference is None or not options.reference.is_dir():
        given = (
            "there is no --reference" if options.reference is None else f"--reference {options.reference} is no folder"
        )
        raise ExportError(
            f"--with-samples needs a folder of pictures, and {given}.",
            fix="pass the folder with --reference, or remove --with-samples.",
            code="samples_without_pictures",
        )


def add_samples(bundle: Bundle, options: Options) -> Bundle:
    """`bundle` with small copies of some of the reference pictures, if the options request them.

    Raises:
        ExportError: the model can't read any of the pictures.
    """
    if options.with_samples is None or options.reference is None:
        return bundle
    opening = from_state(next(step for step in bundle.spec.steps if step["step"] == "pil_image"))
    samples = tuple(_samples(opening, options.reference, options.with_samples))
    if not samples:
        raise ExportError(
            f"--reference {options.reference}: it has no pictures that the model accepts.",
            fix="pass another folder, or remove --with-samples.",
            code="no_samples",
        )
    return replace(bundle, samples=samples)


def _samples(opening: PILImage, folder: Path, count: int) -> Iterator[bytes]:
    """At most `count` JPEG files from parts of the folder of equal size, so that subfolders of labels are all seen."""
    paths = [path for path in sorted(folder.rglob("*")) if is_picture(path.name)]
    bounds = np.linspace(0, len(paths), min(count, len(paths)) + 1).astype(int).tolist() if paths else []
    for start, end in pairwise(bounds):
        if (data := _first(opening, paths[start:end])) is not None:
            yield data


def _first(opening: PILImage, paths: Sequence[Path]) -> bytes | None:
    """A small copy of the first picture that the model accepts."""
    for path in paths:
        try:
            return small_copy(opening(Picture(path.read_bytes())).image)
        except (RecordError, OSError):
            continue
    return None


def small_copy(image: Image.Image) -> bytes:
    """A JPEG of at most `SIZE` x `SIZE` pixels. It has no metadata: no EXIF, name, place or time."""
    small = image.copy()
    small.thumbnail((SIZE, SIZE), Image.Resampling.LANCZOS)
    plain = Image.frombytes(small.mode, small.size, small.tobytes())  # Pillow writes what `info` contains
    buffer = io.BytesIO()
    plain.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return buffer.getvalue()
