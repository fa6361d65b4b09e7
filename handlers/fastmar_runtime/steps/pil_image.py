"""fastai's PILImage.create and PILImageBW.create: decodes pictures, or refuses them with a reason."""

from __future__ import annotations

import io
import re
import threading
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

from fastmar_contract.display import short_repr
from fastmar_contract.errors import RecordError
from fastmar_contract.picture_fixes import COMPLETE_FIX, EMPTY_FIX, FILE_FIX
from fastmar_runtime.file_kinds import describe_file
from fastmar_runtime.geometry import Geometry
from fastmar_runtime.pictures import Picture, describe_picture
from fastmar_runtime.spec import IMAGE
from fastmar_runtime.steps import DecodedPicture, PictureStep
from fastmar_runtime.validation import build, invalid

_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "MPO", "DIB", "PPM", "AVIF", "JPEG2000", "TGA", "PCX")
"""The accepted formats. Pillow supports others, such as formats that start other programs, and icons, which it decodes
before their size can be checked."""

# Start of a JPEG scan: marker, length, number of components. Compressed pixels never contain the marker, and data after
# a picture, such as the videos of phones, almost never contains all of it.
_SCAN = re.compile(rb"\xff\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")
_MAX_SCANS = 100  # programs write about ten; each takes a pass over all pixels
_TILE_SIDES = (322, 323)  # tags of TIFF
_OPENING = threading.Lock()  # catch_warnings affects the whole process


@dataclass(frozen=True, slots=True)
class PILImage(PictureStep):
    """Decodes a picture.

    Attributes:
        mode: ``"RGB"`` or ``"L"``. As in fastai, transparency is dropped and 16 bits are clipped.
        exif_transpose: whether a photo is rotated according to its EXIF data; fastai does not.
        max_pixels, max_bytes: larger pictures are refused before they are decoded.
    """

    mode: str
    exif_transpose: bool
    max_pixels: int
    max_bytes: int

    def __call__(self, picture: Picture) -> DecodedPicture:  # type: ignore[override]  # the first step
        """The decoded picture.

        Raises:
            RecordError: the picture is refused.
        """
        image = self._decode(picture)
        return DecodedPicture(image, Geometry(image.size, image.size, mask_size=picture.mask_size))

    def _decode(self, picture: Picture) -> Any:
        name = describe_picture(picture.name)
        if not picture.data:
            raise _refused("empty_picture", f"{name} has no bytes.", EMPTY_FIX)
        if len(picture.data) > self.max_bytes:
            raise _refused(
                "picture_too_large",
                f"{name} has {len(picture.data):,} bytes, over the limit of {self.max_bytes:,}.",
                "send a smaller file, or export with a higher limit.",
            )
        image = _open(picture)
        with image:
            w, h = image.size
            if w * h > self.max_pixels:
                raise _too_many_pixels(name, f"{w} x {h} pixels", f"{self.max_pixels:,}")
            _refuse_bombs(image, picture.data, name, self.max_pixels)
            try:
                return self._converted(image)
            except MemoryError:
                raise
            except Exception as error:  # Pillow's plugins raise any exception for damaged files
                raise _refused(
                    "damaged_picture",
                    f"{name} is damaged or truncated ({' '.join(str(error).split())[:200]}).",
                    COMPLETE_FIX,
                ) from error

    def _converted(self, image: Any) -> Any:
        image.load()  # OSError if the file is truncated
        if self.exif_transpose:
            image = ImageOps.exif_transpose(image)
        if image.mode == "P":
            # Pillow warns that transparency is lost; the pixels are the same without it.
            image.info.pop("transparency", None)
        return image.convert(self.mode)


def _open(picture: Picture) -> Any:
    data, name = picture.data, describe_picture(picture.name)
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return Image.open(io.BytesIO(data), formats=_formats())
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise _too_many_pixels(name, "enormous", f"{Image.MAX_IMAGE_PIXELS:,}") from error
        except UnidentifiedImageError as error:
            file = "the file" if picture.name is None else short_repr(picture.name)
            raise _refused("not_a_picture", f"{file} is {describe_file(data)}.", FILE_FIX) from error
        except Exception as error:  # Pillow's plugins raise any exception for damaged files
            raise _refused(
                "damaged_picture",
                f"{name} is damaged ({' '.join(str(error).split())[:200]}).",
                COMPLETE_FIX,
            ) from error


def _refuse_bombs(image: Any, data: bytes, name: str, max_pixels: int) -> None:
    """Refuse files of few pixels whose decoding takes much memory or time."""
    if image.format == "TIFF":  # whole tiles are decoded, which may be larger than the picture
        sides = [image.tag_v2.get(tag) for tag in _TILE_SIDES]
        if all(isinstance(side, int) for side in sides) and sides[0] * sides[1] > max_pixels:
            raise _too_many_pixels(name, f"stored in tiles of {sides[0]} x {sides[1]} pixels", f"{max_pixels:,}")
    elif image.format in ("JPEG", "MPO") and (scans := sum(1 for _ in _SCAN.finditer(data))) > _MAX_SCANS:
        raise _refused(
            "damaged_picture",
            f"{name} is a JPEG with {scans:,} scans, over the limit of {_MAX_SCANS}.",
            "save it again with an image editor.",
        )


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    """The accepted formats that this build of Pillow supports."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _too_many_pixels(name: str, size: str, limit: str) -> RecordError:
    return _refused(
        "too_many_pixels",
        f"{name} is {size}, over the limit of {limit} pixels.",
        "send a smaller picture; the model scales pictures down.",
    )


def _refused(code: str, message: str, fix: str) -> RecordError:
    return RecordError(code, message, fix=fix, field=IMAGE)


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> PILImage:
    """Read ``{"mode", "exif_transpose", "max_pixels", "max_bytes"}``; `path` is its place, for messages."""
    step = build(PILImage, state, path, ignored=("step",))
    if step.mode not in ("RGB", "L"):
        raise invalid(f"{path}.mode", "RGB or L", step.mode)
    if min(step.max_pixels, step.max_bytes) < 1:
        raise invalid(f"{path}.max_pixels and max_bytes", "over 0", min(step.max_pixels, step.max_bytes))
    return step
